// All batches, and the one that is chosen.

import { useState } from "preact/hooks";
import type { Stream } from "../../api/types";
import type { Detail } from "../../detail";
import { plural } from "../../model/format";
import { Check } from "../../parts/field";
import { tellError } from "../../parts/toast";
import { go, streamLink } from "../../route";
import { BatchPanel } from "./batch-panel";
import { useRendition, Waterfall } from "./waterfall";

export function Batches({
  stream,
  detail,
  selected,
}: {
  stream: Stream;
  detail: Detail;
  selected: number | undefined;
}) {
  const [rendition, picker] = useRendition(stream);
  const [fallenOnly, setFallenOnly] = useState(false);
  const [loading, setLoading] = useState(false);
  const all = detail.batches.value;
  const shown = fallenOnly
    ? all.filter(
        (batch) =>
          batch.state === "skipped" ||
          batch.renditions.some((one) => one.name === rendition && one.times["fallback"] !== undefined),
      )
    : all;
  const batch = all.find((one) => one.batch === selected);
  const older = async () => {
    setLoading(true);
    await detail.loadOlder().catch(tellError);
    setLoading(false);
  };
  return (
    <div class={batch === undefined ? "batches" : "batches batches-split"}>
      <section class="card" aria-labelledby="batches">
        <div class="card-head">
          <h2 id="batches">{plural(shown.length, "batch", "batches")}</h2>
          {picker}
          <Check name="fallenOnly" checked={fallenOnly} onValue={setFallenOnly}>
            Only fallbacks
          </Check>
          {detail.hasOlder.value && (
            <button type="button" onClick={older} disabled={loading}>
              {loading ? "Loading …" : "Load older"}
            </button>
          )}
        </div>
        {fallenOnly && shown.length === 0 && all.length > 0 ? (
          <p class="dim empty-note">None of these batches is on fallback.</p>
        ) : (
          <Waterfall
            batches={shown}
            rendition={rendition}
            selected={selected}
            onSelect={(number) => go(streamLink(stream.streamId, "batches", number), true)}
          />
        )}
      </section>
      {batch !== undefined && (
        <BatchPanel
          key={batch.batch}
          stream={stream}
          batch={batch}
          rendition={rendition}
          onClose={() => go(streamLink(stream.streamId, "batches"), true)}
        />
      )}
    </div>
  );
}
