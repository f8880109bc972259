// Figures as people read them.

const DASH = "–";

export function seconds(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return DASH;
  if (value < 0.0005) return "0 s";
  if (value < 1) return `${Math.round(value * 1000)} ms`;
  if (value < 10) return `${value.toFixed(1)} s`;
  if (value < 120) return `${Math.round(value)} s`;
  return span(value);
}

/** A longer time in its two largest units. */
export function span(total: number): string {
  const s = Math.max(0, Math.floor(total));
  const [d, h, m] = [Math.floor(s / 86_400), Math.floor(s / 3600) % 24, Math.floor(s / 60) % 60];
  if (d > 0) return `${d} d ${h} h`;
  if (h > 0) return `${h} h ${m} min`;
  if (m > 0) return `${m} min ${s % 60} s`;
  return `${s} s`;
}

export function ago(at: string | undefined, nowMs: number): string {
  const then = at === undefined ? Number.NaN : Date.parse(at);
  if (Number.isNaN(then)) return DASH;
  const passed = (nowMs - then) / 1000;
  return passed < 2 ? "just now" : `${span(passed)} ago`;
}

export function bitrate(bitsPerSecond: number | null | undefined): string {
  if (bitsPerSecond === null || bitsPerSecond === undefined) return DASH;
  if (bitsPerSecond >= 999_500) return `${(bitsPerSecond / 1e6).toFixed(bitsPerSecond < 1e7 ? 2 : 1)} Mbit/s`;
  return `${Math.round(bitsPerSecond / 1000)} kbit/s`;
}

export function bytes(value: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let [amount, unit] = [value, 0];
  while (amount >= 1023.5 && unit < units.length - 1) [amount, unit] = [amount / 1024, unit + 1];
  return `${unit === 0 || amount >= 100 ? Math.round(amount) : amount.toFixed(1)} ${units[unit]}`;
}

export function percent(share: number): string {
  if (share <= 0) return "0 %";
  if (share < 0.01) return "< 1 %";
  if (share > 0.99 && share < 1) return "> 99 %";
  return `${Math.round(share * 100)} %`;
}

const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});

/** Time of the day in the viewer's zone. */
export function timeOfDay(at: string | undefined): string {
  const then = at === undefined ? Number.NaN : Date.parse(at);
  return Number.isNaN(then) ? DASH : clock.format(then);
}

/** The same with milliseconds, for logs. */
export function exactTime(at: string): string {
  const then = Date.parse(at);
  if (Number.isNaN(then)) return at;
  return `${clock.format(then)}.${String(new Date(then).getMilliseconds()).padStart(3, "0")}`;
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString()} ${count === 1 ? one : many}`;
}
