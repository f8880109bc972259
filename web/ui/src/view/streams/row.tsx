// One stream in the list.

import { Component } from "preact";
import type { Stream } from "../../api/types";
import { bitrate, seconds } from "../../model/format";
import { judge, outputsDown, totalHistory } from "../../model/health";
import { Icon } from "../../parts/icon";
import { FallbackSpark, Meter } from "../../parts/meters";
import { ToneIcon } from "../../parts/status";
import { streamLink } from "../../route";
import { isActive, remove, restart, start, stop } from "../actions";
import { Since } from "../since";

interface Props {
  stream: Stream;
  mayChange: boolean;
}

/** Is drawn anew only when its own stream has changed. */
export class StreamRow extends Component<Props> {
  override shouldComponentUpdate(next: Props): boolean {
    return next.stream !== this.props.stream || next.mayChange !== this.props.mayChange;
  }

  render() {
    const { stream, mayChange } = this.props;
    const { tone, word, group } = judge(stream.state);
    const { source, settings } = stream;
    const active = isActive(stream);
    const buffer = source.bufferDuration ?? settings.bufferDuration;
    const reason = group === "attention" || tone === "busy" ? stream.reason : undefined;
    return (
      <tr
        class={`stream stream-${tone} ${active ? "" : "stream-off"}`}
        data-stream={stream.streamId}
        data-state={stream.state}
      >
        <td class="cell-name">
          <a class="row-link" href={streamLink(stream.streamId)}>
            <ToneIcon tone={tone} size={18} />
            <span class="stream-id">{stream.streamId}</span>
            <span class={`state-word tone-${tone}`}>{word}</span>
            <Since at={stream.since} />
          </a>
          {reason !== undefined && (
            <span class="reason" title={reason}>
              {reason.charAt(0).toUpperCase() + reason.slice(1)}
            </span>
          )}
        </td>
        <td data-label="Source">
          {!active || (!source.up && tone === "busy") ? (
            <span class="dim">–</span>
          ) : source.up ? (
            <span class="num">{bitrate(source.bitrate)}</span>
          ) : (
            <Wrong text="Down" />
          )}
        </td>
        <td data-label="Buffer">
          {active ? (
            <Meter
              share={source.accumulatedDuration / buffer}
              label="Buffer"
              text={`${source.accumulatedDuration.toFixed(0)} / ${buffer.toFixed(0)} s`}
            />
          ) : (
            <span class="dim">–</span>
          )}
        </td>
        <td data-label="Delay">
          <span class="num">
            {seconds(stream.delay ?? settings.delay)} <span class="dim">/ {seconds(stream.endToEnd)}</span>
          </span>
        </td>
        <td data-label="Turnaround" class="num">
          {seconds(stream.lastTurnaround)}
        </td>
        <td data-label="Fallback">
          <FallbackSpark history={totalHistory(stream.renditions)} />
        </td>
        <td data-label="Outputs">
          <Outputs stream={stream} active={active} />
        </td>
        <td class="cell-actions">{mayChange && <Actions stream={stream} active={active} />}</td>
      </tr>
    );
  }
}

function Wrong({ text }: { text: string }) {
  return (
    <span class="wrong-word">
      <Icon name="bad" size={14} /> {text}
    </span>
  );
}

function Outputs({ stream, active }: { stream: Stream; active: boolean }) {
  if (!active) return <span class="dim">–</span>;
  const down = outputsDown(stream);
  const total = stream.outputs.length;
  if (down === 0) {
    return (
      <span class="num" title={stream.outputs.map((output) => output.name).join(", ")}>
        {total} up
      </span>
    );
  }
  const names = stream.outputs.filter((output) => !output.up).map((output) => output.name);
  const faulty = stream.outputs.some((output) => !output.up && output.reason !== undefined);
  const text = `${total - down} of ${total} up`;
  return (
    <span title={`Not up: ${names.join(", ")}`}>
      {faulty ? <Wrong text={text} /> : <span class="num dim">{text}</span>}
    </span>
  );
}

function Actions({ stream, active }: { stream: Stream; active: boolean }) {
  const id = stream.streamId;
  return (
    <span class="row-actions">
      {active ? (
        <>
          <button
            type="button"
            class="ghost square"
            title="Restart"
            aria-label={`Restart ${id}`}
            onClick={() => restart(id)}
          >
            <Icon name="restart" />
          </button>
          <button
            type="button"
            class="ghost square"
            title="Stop"
            aria-label={`Stop ${id}`}
            onClick={() => stop(id)}
          >
            <Icon name="stop" />
          </button>
        </>
      ) : (
        <button
          type="button"
          class="ghost square"
          title="Start"
          aria-label={`Start ${id}`}
          onClick={() => start(id)}
        >
          <Icon name="play" />
        </button>
      )}
      <button
        type="button"
        class="ghost square"
        title="Delete"
        aria-label={`Delete ${id}`}
        onClick={() => remove(id)}
      >
        <Icon name="trash" />
      </button>
    </span>
  );
}
