// A waveform on a canvas, with the place that is played; a click, or the arrow keys, go elsewhere.

import { useEffect, useRef } from "preact/hooks";
import { seconds } from "../../model/format";
import { type Peaks, peaks } from "../../model/wave";
import { theme } from "../../theme";
import type { Sound, SoundPlayer } from "./sound";

const HEIGHT = 44;
const STEP_S = 1;

export function Wave({
  sound,
  length,
  player,
  label,
}: {
  sound: Sound;
  length: number;
  player: SoundPlayer;
  label: string;
}) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const head = useRef<HTMLElement>(null);
  const shownTheme = theme.value;

  useEffect(() => {
    const element = canvas.current;
    if (!element) return undefined;
    const redraw = () => draw(element, sound, length);
    const observer = new ResizeObserver(redraw);
    observer.observe(element);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", redraw);
    return () => {
      observer.disconnect();
      scheme.removeEventListener("change", redraw);
    };
  }, [sound, length, shownTheme]);

  useEffect(() => {
    let frame = requestAnimationFrame(function move() {
      if (head.current) head.current.style.left = `${(player.position / length) * 100}%`;
      frame = requestAnimationFrame(move);
    });
    return () => cancelAnimationFrame(frame);
  }, [player, length]);

  const seek = (event: MouseEvent) => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    player.seek(((event.clientX - box.left) / box.width) * length);
  };
  const keys = (event: KeyboardEvent) => {
    const step = event.key === "ArrowRight" ? STEP_S : event.key === "ArrowLeft" ? -STEP_S : 0;
    if (step === 0) return;
    event.preventDefault();
    player.seek(player.position + step);
  };
  return (
    <span
      class="wave"
      role="slider"
      tabIndex={0}
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={Math.round(length)}
      aria-valuenow={Math.round(player.position)}
      aria-valuetext={seconds(player.position)}
      onClick={seek}
      onKeyDown={keys}
    >
      <canvas ref={canvas} height={HEIGHT} />
      <i class="wave-head" ref={head} />
    </span>
  );
}

function draw(canvas: HTMLCanvasElement, sound: Sound, length: number): void {
  const scale = devicePixelRatio;
  const width = Math.max(1, Math.round(canvas.clientWidth * scale));
  const height = Math.round(HEIGHT * scale);
  canvas.width = width;
  canvas.height = height;
  const pen = canvas.getContext("2d");
  if (!pen) return;
  pen.fillStyle = getComputedStyle(canvas).color;
  const columns: Peaks = peaks(sound.channels, sound.buffer.sampleRate, length, width);
  const middle = height / 2;
  for (let x = 0; x < width; x += 1) {
    const top = middle - (columns.high[x] ?? 0) * middle;
    const bottom = middle - (columns.low[x] ?? 0) * middle;
    pen.fillRect(x, top, 1, Math.max(scale, bottom - top));
  }
}
