// Sound as a picture: the lowest and highest sample of each column.

export interface Peaks {
  low: Float32Array;
  high: Float32Array;
}

/** Peaks of all channels together in `columns` even parts of `seconds`; what is beyond the sound's end is flat. */
export function peaks(
  channels: readonly Float32Array[],
  sampleRate: number,
  seconds: number,
  columns: number,
): Peaks {
  const low = new Float32Array(columns);
  const high = new Float32Array(columns);
  const samplesAColumn = (seconds * sampleRate) / columns;
  for (const samples of channels) {
    for (let column = 0; column < columns; column += 1) {
      const end = Math.min(samples.length, Math.floor((column + 1) * samplesAColumn));
      for (let index = Math.floor(column * samplesAColumn); index < end; index += 1) {
        const sample = samples[index] ?? 0;
        if (sample < (low[column] ?? 0)) low[column] = sample;
        if (sample > (high[column] ?? 0)) high[column] = sample;
      }
    }
  }
  return { low, high };
}

/** Root mean square of all channels in dB below full scale; nothing for silence. */
export function loudnessDb(channels: readonly Float32Array[]): number | undefined {
  let [sum, count] = [0, 0];
  for (const samples of channels) {
    for (const sample of samples) sum += sample * sample;
    count += samples.length;
  }
  const power = count === 0 ? 0 : sum / count;
  return power < 1e-10 ? undefined : 10 * Math.log10(power);
}
