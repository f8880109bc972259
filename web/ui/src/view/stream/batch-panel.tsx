// One batch: what happened when, why it fell back, how its sound was fitted, and how it sounds.

import type { ComponentChildren } from "preact";
import { sentence } from "../../api/problem";
import type { Batch, BatchRendition, Fit, Stream } from "../../api/types";
import { fallbackAdvice, fallbackTitle } from "../../model/advice";
import { wasStopped } from "../../model/batches";
import { seconds, timeOfDay } from "../../model/format";
import { Icon } from "../../parts/icon";
import { ToneIcon } from "../../parts/status";
import { Compare } from "./compare";

interface Props {
  stream: Stream;
  batch: Batch;
  rendition: string | undefined;
  onClose: () => void;
}

export function BatchPanel({ stream, batch, rendition: name, onClose }: Props) {
  const rendition = batch.renditions.find((one) => one.name === name) ?? batch.renditions[0];
  return (
    <section class="card batch-panel" aria-labelledby="batch">
      <div class="card-head">
        <h2 id="batch">Batch {batch.batch}</h2>
        <span class="dim">
          {seconds(batch.duration)}, segments {batch.firstSegment}–{batch.lastSegment}
          {rendition && batch.renditions.length > 1 ? `, ${rendition.name}` : ""}
        </span>
        <button type="button" class="ghost square panel-close" aria-label="Close" onClick={onClose}>
          <Icon name="close" />
        </button>
      </div>
      {batch.state === "skipped" && (
        <Why
          tone={wasStopped(batch) ? "warn" : "bad"}
          title="Skipped"
          text={batch.reason}
          advice={undefined}
        />
      )}
      {rendition?.fallbackReason !== undefined && (
        <Why
          tone="warn"
          title={fallbackTitle(rendition.fallbackKind)}
          text={rendition.fallbackReason}
          advice={fallbackAdvice(rendition.fallbackKind)}
        />
      )}
      <Compare streamId={stream.streamId} batch={batch} rendition={rendition} />
      <Timeline batch={batch} rendition={rendition} />
      {rendition?.fit !== undefined && <FitFigures fit={rendition.fit} />}
      {rendition?.metadata !== undefined && rendition.metadata !== null && (
        <details>
          <summary>
            <h3>What the processor says</h3>
          </summary>
          <pre class="code">{JSON.stringify(rendition.metadata, null, 2)}</pre>
        </details>
      )}
    </section>
  );
}

function Why(props: {
  tone: "warn" | "bad";
  title: string;
  text: string | undefined;
  advice: string | undefined;
}) {
  return (
    <div class={`why why-${props.tone}`}>
      <ToneIcon tone={props.tone} size={20} />
      <div>
        <p class="why-reason">
          <strong>{props.title}.</strong> {props.text !== undefined && sentence(props.text)}
        </p>
        {props.advice !== undefined && <p class="why-advice">{props.advice}</p>}
      </div>
    </div>
  );
}

function Timeline({ batch, rendition }: { batch: Batch; rendition: BatchRendition | undefined }) {
  const begin = Date.parse(batch.times["collected"] ?? "");
  const steps: [string, string | undefined][] = [
    ["Collected", batch.times["collected"]],
    ["Demuxed", batch.times["demuxed"]],
    ["Sent", rendition?.times["sent"]],
    ["Processed", rendition?.times["processed"]],
    ["Fallback", rendition?.times["fallback"]],
    ["Fitted", rendition?.times["remuxed"]],
    ["Deadline", batch.deadline],
    ["Late reply", rendition?.times["late"]],
    ["On air", batch.airTime],
    ["Aired", batch.times["published"]],
    ["Cleaned up", batch.times["cleaned"]],
  ];
  const known = steps
    .flatMap(([name, at]) => (at === undefined ? [] : [{ name, at }]))
    .sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
  return (
    <table class="figures">
      <caption>
        <h3>When</h3>
      </caption>
      <tbody>
        {known.map(({ name, at }) => (
          <tr key={name} class={name === "Deadline" ? "strong" : ""}>
            <th scope="row">{name}</th>
            <td class="num">{timeOfDay(at)}</td>
            <td class="num dim">+ {seconds((Date.parse(at) - begin) / 1000)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function FitFigures({ fit }: { fit: Fit }) {
  const { differenceSamples } = fit;
  const difference =
    differenceSamples === 0
      ? "exactly"
      : differenceSamples > 0
        ? `${differenceSamples.toLocaleString()} samples too many, cut`
        : `${(-differenceSamples).toLocaleString()} samples too few, silence at the end`;
  return (
    <table class="figures">
      <caption>
        <h3>How the sound fits</h3>
      </caption>
      <tbody>
        <Figure name="Slot">{fit.slotSamples.toLocaleString()} samples</Figure>
        <Figure name="Came">{fit.receivedSamples.toLocaleString()} samples</Figure>
        <Figure name="Fits">{difference}</Figure>
        <Figure name="Priming removed">{fit.primingSamples.toLocaleString()} samples</Figure>
        <Figure name="Converted">{fit.converted ? "yes, to the stream's own format" : "no, copied"}</Figure>
      </tbody>
    </table>
  );
}

function Figure({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <tr>
      <th scope="row">{name}</th>
      <td colSpan={2}>{children}</td>
    </tr>
  );
}
