// Small pictures of figures.

import type { History } from "../api/types";
import { percent } from "../model/format";
import { fallbackShare } from "../model/health";

/** How full something is; the words stand beside it. */
export function Meter({ share, label, text }: { share: number; label: string; text: string }) {
  const clipped = Math.max(0, Math.min(1, share));
  return (
    <span class="meter-line">
      <span
        class="meter"
        role="progressbar"
        aria-label={label}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round(clipped * 100)}
        aria-valuetext={text}
      >
        <span class="meter-fill" style={{ transform: `scaleX(${clipped})` }} />
      </span>
      <span class="num">{text}</span>
    </span>
  );
}

const WIDTH = 96;
const HEIGHT = 22;

/** Fallback share by bucket over the last hour: nothing drawn is no batch, a low line is none on fallback. */
export function FallbackSpark({ history }: { history: History | undefined }) {
  const share = fallbackShare(history);
  if (history === undefined || share === undefined) return <span class="dim">–</span>;
  const step = WIDTH / history.batches.length;
  const span = Math.round((history.bucketSeconds * history.batches.length) / 60);
  const label = `${percent(share)} of the batches of the last ${span} minutes were on fallback`;
  return (
    <span class="spark-line" title={label}>
      <svg
        class="spark"
        width={WIDTH}
        height={HEIGHT}
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        role="img"
        aria-label={label}
      >
        <rect class="spark-base" y={HEIGHT - 1} width={WIDTH} height={1} />
        {history.batches.map((batches, bucket) => {
          if (batches === 0) return null;
          const part = Math.min(1, (history.fallbacks[bucket] ?? 0) / batches);
          const height = part === 0 ? 2 : 4 + part * (HEIGHT - 4);
          return (
            <rect
              key={bucket}
              class={part === 0 ? "spark-good" : "spark-bad"}
              x={bucket * step}
              y={HEIGHT - height}
              width={Math.max(1, step - 0.8)}
              height={height}
              rx={0.5}
            />
          );
        })}
      </svg>
      <span class={share > 0 ? "num strong" : "num dim"}>{percent(share)}</span>
    </span>
  );
}
