// The batch waterfall: a row a batch, each stage a bar on the time since the batch was collected,
// with its deadline and its air time. Rows are plain elements, and only those that are seen exist.

import { Component, type JSX } from "preact";
import { useRef, useState } from "preact/hooks";
import type { Batch, Stream } from "../../api/types";
import { fallbackTitle } from "../../model/advice";
import { axisSeconds, ticks, wasStopped, waterfallRow, type WaterfallRow } from "../../model/batches";
import { seconds } from "../../model/format";
import { Segments } from "../../parts/field";
import { Icon } from "../../parts/icon";
import { rowByKey } from "../../parts/row-keys";
import { Virtual } from "../../parts/virtual";
import { now } from "../../state";

const ROW_HEIGHT = 28;
/** The axis fits these, the newest; older ones are cut off where they differ. */
const AXIS_ROWS = 40;

const STAGES = [
  ["demux", "Demuxed"],
  ["queue", "Waits"],
  ["processor", "Processor"],
  ["fit", "Fitted"],
  ["fallback", "Fallback"],
  ["ready", "Ready"],
  ["air", "On air"],
] as const;

/** Which rendition is looked at, and a choice where there are several. */
export function useRendition(stream: Stream): [string | undefined, JSX.Element | null] {
  const names = stream.renditions.map((rendition) => rendition.name);
  const [chosen, choose] = useState<string>();
  const current = chosen !== undefined && names.includes(chosen) ? chosen : names[0];
  if (names.length < 2) return [current, null];
  const options = names.map((name) => ({ value: name, text: name }));
  return [
    current,
    <Segments key="rendition" label="Rendition" value={current ?? ""} options={options} onValue={choose} />,
  ];
}

interface Props {
  batches: readonly Batch[];
  rendition: string | undefined;
  selected: number | undefined;
  onSelect: (batch: number) => void;
  /** What a click and Enter do, where it is more than to select. */
  onOpen?: (batch: number) => void;
  /** As many rows as there are instead of a scrolling box. */
  short?: boolean;
}

export function Waterfall({ batches, rendition, selected, onSelect, onOpen, short = false }: Props) {
  const open = onOpen ?? onSelect;
  const box = useRef<HTMLDivElement>(null);
  const nowS = now.value / 1000;
  const span = axisSeconds(batches.slice(0, AXIS_ROWS).map((batch) => waterfallRow(batch, rendition, nowS)));
  const index = batches.findIndex((batch) => batch.batch === selected);

  const keys = (event: KeyboardEvent) => {
    if (event.key === "Enter" && index >= 0) open(batches[index]?.batch ?? 0);
    const target = rowByKey(event, box.current, ROW_HEIGHT, batches.length, index);
    const batch = target === undefined ? undefined : batches[target];
    if (batch) onSelect(batch.batch);
  };

  if (batches.length === 0)
    return (
      <p class="dim empty-note">There is no batch yet: the first is complete once the buffer is full.</p>
    );
  return (
    <div class="waterfall">
      <Legend />
      <Axis span={span} />
      <Virtual
        box={box}
        class={short ? "waterfall-rows waterfall-short" : "waterfall-rows"}
        count={batches.length}
        rowHeight={ROW_HEIGHT}
        attributes={{
          role: "listbox",
          "aria-label": "Batches, newest first",
          ...(index >= 0 ? { "aria-activedescendant": `batch-${selected}` } : {}),
          onKeyDown: keys,
        }}
        row={(at) => {
          const batch = batches[at];
          // What is settled does not move with the time.
          const still =
            batch?.state === "cleaned" || batch?.state === "published" || batch?.state === "skipped";
          return batch === undefined ? null : (
            <Row
              key={batch.batch}
              batch={batch}
              rendition={rendition}
              span={span}
              nowS={still ? 0 : nowS}
              selected={batch.batch === selected}
              onClick={open}
            />
          );
        }}
      />
    </div>
  );
}

function Legend() {
  return (
    <ul class="legend" aria-label="What the colours mean">
      {STAGES.map(([stage, name]) => (
        <li key={stage}>
          <i class={`swatch bar-${stage}`} /> {name}
        </li>
      ))}
      <li>
        <i class="swatch-mark mark-deadline" /> Deadline
      </li>
      <li>
        <i class="swatch-mark mark-air" /> Air time
      </li>
    </ul>
  );
}

function Axis({ span }: { span: number }) {
  return (
    <div class="wf-row wf-axis" aria-hidden="true">
      <span>Batch</span>
      <span class="wf-bars">
        {ticks(span, 8).map((tick) => (
          <span key={tick} class="wf-tick" style={{ left: `${(tick / span) * 100}%` }}>
            {tick} s
          </span>
        ))}
      </span>
      <span class="wf-outcome">Outcome</span>
    </div>
  );
}

interface RowProps {
  batch: Batch;
  rendition: string | undefined;
  span: number;
  /** 0: settled. */
  nowS: number;
  selected: boolean;
  onClick: (batch: number) => void;
}

class Row extends Component<RowProps> {
  override shouldComponentUpdate(next: RowProps): boolean {
    const { batch, rendition, span, nowS, selected } = this.props;
    return (
      next.batch !== batch ||
      next.rendition !== rendition ||
      next.span !== span ||
      next.nowS !== nowS ||
      next.selected !== selected
    );
  }

  render() {
    const { batch, rendition, span, nowS, selected, onClick } = this.props;
    const row = waterfallRow(batch, rendition, nowS === 0 ? Number.MAX_SAFE_INTEGER : nowS);
    const place = (from: number, to: number) => ({
      left: `${(from / span) * 100}%`,
      width: `max(2px, ${(Math.max(0, Math.min(to, span) - from) / span) * 100}%)`,
    });
    const result = outcome(batch, row);
    return (
      <div
        id={`batch-${batch.batch}`}
        class={`wf-row wf-${result.kind} ${selected ? "wf-selected" : ""}`}
        role="option"
        aria-selected={selected}
        aria-label={`Batch ${batch.batch}: ${result.text}`}
        data-batch={batch.batch}
        onClick={() => onClick(batch.batch)}
      >
        <span class="wf-number num">{batch.batch}</span>
        <span class="wf-bars">
          {row.bars.map((bar) =>
            bar.from > span ? null : (
              <i key={bar.stage} class={`bar bar-${bar.stage}`} style={place(bar.from, bar.to)} />
            ),
          )}
          {row.deadline !== undefined && row.deadline <= span && (
            <i class="mark mark-deadline" style={{ left: `${(row.deadline / span) * 100}%` }} />
          )}
          {row.air !== undefined && row.air <= span && (
            <i class="mark mark-air" style={{ left: `${(row.air / span) * 100}%` }} />
          )}
          {row.late !== undefined && row.late <= span && (
            <i class="mark mark-late" style={{ left: `${(row.late / span) * 100}%` }} />
          )}
        </span>
        <span class="wf-outcome" title={result.title}>
          {result.icon !== undefined && <Icon name={result.icon} size={14} />}
          <span>{result.text}</span>
        </span>
      </div>
    );
  }
}

interface Outcome {
  kind: "good" | "fallback" | "skipped" | "open";
  text: string;
  title: string;
  icon?: "good" | "warn" | "bad";
}

/** What became of the batch, in words. */
export function outcome(batch: Batch, row: WaterfallRow): Outcome {
  if (batch.state === "skipped") {
    const title = batch.reason ?? "";
    // Whoever stops a stream knows that what had not aired will not.
    if (wasStopped(batch)) return { kind: "open", text: "Stopped before", title };
    return { kind: "skipped", icon: "bad", text: "Skipped", title };
  }
  const { rendition } = row;
  if (rendition?.times["fallback"] !== undefined) {
    return {
      kind: "fallback",
      icon: "warn",
      text: fallbackTitle(rendition.fallbackKind),
      title: rendition.fallbackReason ?? "",
    };
  }
  if (rendition?.times["processed"] !== undefined) {
    const trip = row.bars.find((bar) => bar.stage === "processor");
    const text = trip === undefined ? "Processed" : `Back in ${seconds(trip.to - trip.from)}`;
    return { kind: "good", icon: "good", text, title: text };
  }
  const words = {
    waiting: "Waits",
    sent: "With the processor",
    processed: "Processed",
    fallback: "Fallback",
    remuxed: "Fitted",
  };
  const text = batch.times["demuxed"] === undefined ? "Is demuxed" : words[rendition?.state ?? "waiting"];
  return { kind: "open", text, title: text };
}
