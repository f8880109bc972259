// Sounds decoded by the browser, and a player that runs several in step and lets one be heard.

import { api } from "../../api/client";
import { loudnessDb } from "../../model/wave";

export interface Sound {
  track: string;
  buffer: AudioBuffer;
  channels: Float32Array[];
  levelDb: number | undefined;
}

/** A changed choice fades over this, so that it does not click. */
const FADE_S = 0.01;

let shared: AudioContext | undefined;
const context = (): AudioContext => (shared ??= new AudioContext());

export async function decodeTrack(
  streamId: string,
  batch: number,
  track: string,
  rendition: string,
): Promise<Sound> {
  const bytes = await api.audio(streamId, batch, track, rendition);
  let buffer: AudioBuffer;
  try {
    buffer = await context().decodeAudioData(bytes);
  } catch {
    throw new Error("this browser cannot decode it");
  }
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, channel) =>
    buffer.getChannelData(channel),
  );
  return { track, buffer, channels, levelDb: loudnessDb(channels) };
}

interface Running {
  source: AudioBufferSourceNode;
  gain: GainNode;
}

export class SoundPlayer {
  private running = new Map<string, Running>();
  private startedAt = 0;
  private offset = 0;

  constructor(
    private readonly sounds: readonly Sound[],
    private readonly onPlaying: (playing: boolean) => void,
  ) {}

  private get length(): number {
    return Math.max(...this.sounds.map((sound) => sound.buffer.duration));
  }

  get playing(): boolean {
    return this.running.size > 0;
  }

  /** Seconds from the batch's start. */
  get position(): number {
    const position = this.playing ? this.offset + context().currentTime - this.startedAt : this.offset;
    return Math.min(position, this.length);
  }

  toggle(heard: string): void {
    if (this.playing) this.pause();
    else this.play(heard);
  }

  seek(position: number): void {
    const heard = [...this.running].find(([, { gain }]) => gain.gain.value > 0.5)?.[0];
    const playing = this.playing;
    this.halt();
    this.offset = Math.max(0, Math.min(position, this.length));
    if (playing && heard !== undefined) this.play(heard);
  }

  hear(track: string): void {
    for (const [name, { gain }] of this.running) {
      gain.gain.setTargetAtTime(name === track ? 1 : 0, context().currentTime, FADE_S);
    }
  }

  close(): void {
    this.halt();
  }

  private play(heard: string): void {
    const audio = context();
    void audio.resume();
    if (this.offset >= this.length - 0.05) this.offset = 0;
    this.startedAt = audio.currentTime;
    for (const { track, buffer } of this.sounds) {
      const source = new AudioBufferSourceNode(audio, { buffer });
      const gain = new GainNode(audio, { gain: track === heard ? 1 : 0 });
      source.connect(gain).connect(audio.destination);
      source.onended = () => this.ended(track, source);
      source.start(0, this.offset);
      this.running.set(track, { source, gain });
    }
    this.onPlaying(true);
  }

  private pause(): void {
    const position = this.position;
    this.halt();
    this.offset = position;
    this.onPlaying(false);
  }

  private ended(track: string, source: AudioBufferSourceNode): void {
    if (this.running.get(track)?.source !== source) return;
    if (this.running.size === 1) {
      this.offset = 0;
      this.onPlaying(false);
    }
    this.running.delete(track);
  }

  private halt(): void {
    const ending = [...this.running.values()];
    this.running.clear();
    for (const { source } of ending) source.stop();
  }
}
