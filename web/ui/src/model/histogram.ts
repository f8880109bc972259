// Figures about many durations.

export interface Histogram {
  /** Lower edge of each bucket, seconds. */
  edges: number[];
  counts: number[];
  width: number;
}

const STEPS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50];

/** Even buckets of a round width, at most `most` of them, from 0 to the largest value. */
export function histogram(values: readonly number[], most: number): Histogram {
  const largest = values.reduce((max, value) => Math.max(max, value), 0);
  const width = STEPS.find((step) => largest / step < most) ?? 100;
  const counts = new Array<number>(Math.floor(largest / width) + 1).fill(0);
  for (const value of values) {
    const bucket = Math.floor(value / width);
    counts[bucket] = (counts[bucket] ?? 0) + 1;
  }
  return { edges: counts.map((_, bucket) => bucket * width), counts, width };
}

/** The value below which `share` of all lie (nearest rank); nothing of nothing. */
export function quantile(values: readonly number[], share: number): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}
