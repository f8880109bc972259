// The stream's actors as the tree that they are, with what each does and what last went wrong.

import type { Actor, Stream } from "../../api/types";
import { bytes, plural } from "../../model/format";
import { judge, type Tone } from "../../model/health";
import { ToneIcon } from "../../parts/status";
import { isActive } from "../actions";
import { Since } from "../since";

interface Node {
  actor: Actor;
  title: string;
  target: string;
  /** What else there is to know, a line each. */
  more: string[];
  note: string;
  tone: Tone;
}

export function Tree({ stream }: { stream: Stream }) {
  const active = isActive(stream);
  const nodes = stream.actors.map((actor) => describe(actor, stream, active));
  const shared = nodes.filter(({ actor }) => renditionOf(actor.name) === undefined);
  const restarts = stream.actors.reduce((sum, actor) => sum + actor.restarts, 0);
  return (
    <section class="card tree" aria-labelledby="tree">
      <div class="card-head">
        <h2 id="tree">Actors</h2>
        <span class="dim">{restarts === 0 ? "No restarts" : plural(restarts, "restart")}</span>
      </div>
      <ul class="tree-root">
        <li>
          <div class="node">
            <ToneIcon tone={judge(stream.state).tone} size={18} />
            <span class="node-title">Supervisor</span>
            <span class="node-note">{judge(stream.state).word.toLowerCase()}</span>
          </div>
          <ul>
            {shared.map((node) => (
              <NodeItem key={node.actor.name} node={node} />
            ))}
            {stream.renditions.map((rendition) => (
              <li key={rendition.name}>
                <div class="node node-group">
                  <span class="node-title">{rendition.name}</span>
                  <span class="node-note">
                    {[
                      rendition.language,
                      `${rendition.processed} processed`,
                      `${rendition.fallbacks} on fallback`,
                      `${rendition.late} late`,
                    ]
                      .filter(Boolean)
                      .join(" · ")}
                  </span>
                </div>
                <ul>
                  {nodes
                    .filter(({ actor }) => renditionOf(actor.name) === rendition.name)
                    .map((node) => (
                      <NodeItem key={node.actor.name} node={node} />
                    ))}
                </ul>
              </li>
            ))}
          </ul>
        </li>
      </ul>
    </section>
  );
}

function NodeItem({ node }: { node: Node }) {
  const { actor } = node;
  return (
    <li>
      <div class="node" data-actor={actor.name}>
        <ToneIcon tone={node.tone} size={18} />
        <span class="node-title">{node.title}</span>
        <span class="node-note">{node.note}</span>
        {actor.restarts > 0 && <span class="node-restarts">{plural(actor.restarts, "restart")}</span>}
        {node.target !== "" && (
          <span class="node-target mono" title={node.target}>
            {node.target}
          </span>
        )}
        {node.more.map((line) => (
          <span key={line} class="node-more">
            {line}
          </span>
        ))}
        {actor.lastFault !== undefined && (
          <span class={node.tone === "good" ? "node-fault dim" : "node-fault"}>
            {node.tone === "good" && "Over: "}
            {actor.lastFault.message} <Since at={actor.lastFault.at} />
          </span>
        )}
      </div>
    </li>
  );
}

/** `processor-link/de`, `remuxer/de` and `publisher/de/rtmp-0` belong to `de`. */
export function renditionOf(name: string): string | undefined {
  const [kind, rendition, rest] = name.split("/");
  if (kind === "publisher" && rest === undefined) return undefined;
  return rendition;
}

function describe(actor: Actor, stream: Stream, active: boolean): Node {
  const [kind = "", ...rest] = actor.name.split("/");
  const settings = stream.settings.renditions.find((one) => one.name === rest[0]);
  const rendition = stream.renditions.find((one) => one.name === rest[0]);
  const make = (
    title: string,
    tone: Tone,
    note: string,
    target = "",
    ...more: (string | undefined)[]
  ): Node => ({
    actor,
    title,
    target,
    more: more.filter((line) => line !== undefined),
    note: !active ? "not running" : actor.running ? note : "is being replaced",
    tone: !active ? "idle" : actor.running ? tone : "warn",
  });
  switch (kind) {
    case "fetcher": {
      const { source } = stream;
      const note = source.up
        ? `${plural(source.segments, "segment")}, ${bytes(source.bytes)}`
        : "source down";
      return make(
        "Fetcher",
        source.up ? "good" : stream.state === "starting" ? "busy" : "bad",
        note,
        stream.settings.sourceUrl,
        source.variant,
        source.audio,
      );
    }
    case "demuxer":
      return make("Demuxer", "good", "runs", "", stream.source.media);
    case "processor-link": {
      const pending = rendition && rendition.pending > 0 ? `, ${rendition.pending} pending` : "";
      const note = rendition?.connected ? `connected${pending}` : "not connected";
      return make(
        "Processor link",
        rendition?.connected ? "good" : "warn",
        note,
        settings?.audioProcessorUrl,
      );
    }
    case "remuxer":
      return make(
        "Remuxer",
        "good",
        rendition && rendition.pendingRemux > 0
          ? `${rendition.pendingRemux} waiting`
          : `${rendition?.remuxed ?? 0} fitted`,
      );
    case "publisher": {
      const output = stream.outputs.find((one) => one.name === rest.join("/"));
      const missed = output && output.missedSamples > 0 ? `, ${output.missedSamples} samples missed` : "";
      const tone: Tone = output?.up ? "good" : output?.reason !== undefined ? "bad" : "busy";
      const note = output?.up
        ? `up, ${plural(output.published, "batch", "batches")}${missed}`
        : (output?.connectionStatus ?? "down");
      const title =
        rest[0] === "hls" ? "HLS publisher" : `RTMP publisher ${(rest[1] ?? "").replace("rtmp-", "")}`;
      return make(title, tone, note, output?.target);
    }
    default:
      return make(actor.name, "good", "runs");
  }
}
