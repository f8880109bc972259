// The stream at a glance: watch it, see its parts, its newest batches and what its processor takes.

import { useState } from "preact/hooks";
import type { Stream } from "../../api/types";
import type { Detail } from "../../detail";
import { go, streamLink } from "../../route";
import { Player } from "./player";
import { RoundTrips } from "./round-trips";
import { Tree } from "./tree";
import { useRendition, Waterfall } from "./waterfall";

const NEWEST = 12;

export function Overview({ stream, detail }: { stream: Stream; detail: Detail }) {
  const [rendition, picker] = useRendition(stream);
  const [selected, select] = useState<number>();
  return (
    <div class="overview">
      <Player stream={stream} detail={detail} />
      <Tree stream={stream} />
      <section class="card overview-wide" aria-labelledby="newest">
        <div class="card-head">
          <h2 id="newest">Newest batches</h2>
          {picker}
          <a href={streamLink(stream.streamId, "batches")}>All batches</a>
        </div>
        <Waterfall
          batches={detail.batches.value.slice(0, NEWEST)}
          rendition={rendition}
          selected={selected}
          onSelect={select}
          onOpen={(batch) => go(streamLink(stream.streamId, "batches", batch))}
          short
        />
      </section>
      <RoundTrips stream={stream} batches={detail.batches.value} rendition={rendition} />
    </div>
  );
}
