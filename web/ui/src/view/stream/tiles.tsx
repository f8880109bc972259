// The stream's figures at a glance.

import type { ComponentChildren } from "preact";
import type { Stream } from "../../api/types";
import { bitrate, plural, seconds } from "../../model/format";
import { judge, outputsDown, sourceNote, totalHistory } from "../../model/health";
import { FallbackSpark, Meter } from "../../parts/meters";
import { isActive } from "../actions";

/** `whole`: on a phone too, where they would push what is looked at off the screen. */
export function Tiles({ stream, whole }: { stream: Stream; whole: boolean }) {
  const { source, settings } = stream;
  const active = isActive(stream);
  const buffer = source.bufferDuration ?? settings.bufferDuration;
  const down = outputsDown(stream);
  const pending = stream.renditions.reduce((sum, rendition) => sum + rendition.pending, 0);
  return (
    <dl class={whole ? "tiles" : "tiles tiles-aside"}>
      <Tile label="Source" note={sourceNote(source)}>
        {active && !source.up && judge(stream.state).tone !== "busy" ? (
          <span class="tone-bad">Down</span>
        ) : (
          bitrate(active && source.up ? source.bitrate : null)
        )}
      </Tile>
      <Tile label="Buffer" note={`Filling batch ${source.currentBatch}`}>
        <Meter
          share={source.accumulatedDuration / buffer}
          label="Buffer"
          text={`${source.accumulatedDuration.toFixed(0)} / ${buffer.toFixed(0)} s`}
        />
      </Tile>
      <Tile label="Delay" note={`End to end: ${seconds(stream.endToEnd)}`}>
        {seconds(stream.delay ?? settings.delay)}
      </Tile>
      <Tile
        label="Turnaround"
        note={pending > 0 ? `${plural(pending, "batch", "batches")} with processors` : "newest batch"}
      >
        {seconds(stream.lastTurnaround)}
      </Tile>
      <Tile
        label="Fallback, last hour"
        note={`${plural(
          stream.renditions.reduce((sum, one) => sum + one.fallbacks, 0),
          "batch",
          "batches",
        )} on it in all`}
      >
        <FallbackSpark history={totalHistory(stream.renditions)} />
      </Tile>
      <Tile label="Outputs" note={stream.outputs.map((output) => output.name).join(", ") || "None"}>
        {!active ? (
          "–"
        ) : down === 0 ? (
          `${stream.outputs.length} up`
        ) : (
          <span
            class={stream.outputs.some((o) => o.reason) ? "tone-bad" : ""}
          >{`${stream.outputs.length - down} of ${stream.outputs.length} up`}</span>
        )}
      </Tile>
    </dl>
  );
}

function Tile({ label, note, children }: { label: string; note: string; children: ComponentChildren }) {
  return (
    <div class="tile">
      <dt>{label}</dt>
      <dd class="tile-value">{children}</dd>
      <dd class="tile-note" title={note}>
        {note}
      </dd>
    </div>
  );
}
