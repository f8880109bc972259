// Made-up sound as WAV: swells of a tone, another for each track.

const RATE = 16_000;
const PITCH = { original: 220, processed: 330, fitted: 330 };

export function tone(track, batch, duration) {
  const samples = Math.round(duration * RATE);
  const wav = Buffer.alloc(44 + samples * 2);
  wav.write("RIFF", 0);
  wav.writeUInt32LE(36 + samples * 2, 4);
  wav.write("WAVEfmt ", 8);
  wav.writeUInt32LE(16, 16);
  wav.writeUInt16LE(1, 20);
  wav.writeUInt16LE(1, 22);
  wav.writeUInt32LE(RATE, 24);
  wav.writeUInt32LE(RATE * 2, 28);
  wav.writeUInt16LE(2, 32);
  wav.writeUInt16LE(16, 34);
  wav.write("data", 36);
  wav.writeUInt32LE(samples * 2, 40);
  for (let n = 0; n < samples; n += 1) {
    const t = n / RATE;
    const swell =
      Math.abs(Math.sin(t * 1.7 + batch) * Math.sin(t * 0.43 + batch * 2)) * (0.6 + 0.4 * Math.sin(t * 23));
    const level = track === "original" ? 0.75 : 0.45;
    wav.writeInt16LE(
      Math.round(Math.sin(2 * Math.PI * (PITCH[track] ?? 220) * t) * swell * level * 32_000),
      44 + n * 2,
    );
  }
  return wav;
}
