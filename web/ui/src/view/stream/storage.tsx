// What the stream stores, and getting rid of it.

import { useEffect, useState } from "preact/hooks";
import { api } from "../../api/client";
import { sentence } from "../../api/problem";
import type { Storage, Stream } from "../../api/types";
import type { Detail } from "../../detail";
import { bytes, plural } from "../../model/format";
import { numberError } from "../../model/form";
import { TextField } from "../../parts/field";
import { tell, tellError } from "../../parts/toast";
import { mayChange } from "../../state";

export function StorageTab({ stream, detail }: { stream: Stream; detail: Detail }) {
  const id = stream.streamId;
  const [storage, setStorage] = useState<Storage>();
  const [error, setError] = useState<string>();
  const [version, setVersion] = useState(0);
  // A batch that is new, published or cleaned up changes what is stored; nothing is asked for in between.
  const newest = detail.batches.value[0]?.batch;
  const cleaned = detail.batches.value.find((batch) => batch.state === "cleaned")?.batch;
  useEffect(() => {
    let wanted = true;
    api.storage(id).then(
      (answer) => wanted && (setStorage(answer), setError(undefined)),
      (thrown: unknown) => wanted && setError(sentence(thrown)),
    );
    return () => {
      wanted = false;
    };
  }, [id, newest, cleaned, version]);
  if (error !== undefined) return <p class="card error">{error}</p>;
  if (storage === undefined) return <div class="empty" aria-busy="true" />;
  return (
    <div class="storage">
      <section class="card" aria-labelledby="stored">
        <div class="card-head">
          <h2 id="stored">Stored</h2>
          <button type="button" onClick={() => setVersion(version + 1)}>
            Look again
          </button>
        </div>
        <p class="storage-total num">{bytes(storage.totalSize)}</p>
        <Split storage={storage} />
        <dl class="pairs">
          <div>
            <dt>Batches on disk</dt>
            <dd class="num">
              {storage.oldestBatch === null ? "none" : `${storage.oldestBatch} to ${storage.newestBatch}`}
            </dd>
          </div>
          <div>
            <dt>Came in all</dt>
            <dd class="num">{bytes(stream.source.bytes)}</dd>
          </div>
        </dl>
        <p class="dim">
          Kept are the newest batches (<code>keep_batches</code> of the configuration), what is yet to air,
          and what the HLS playlists list or listed a moment ago.
        </p>
      </section>
      {mayChange.value && <Clean id={id} onCleaned={() => setVersion(version + 1)} />}
    </div>
  );
}

function Split({ storage }: { storage: Storage }) {
  const share = storage.totalSize === 0 ? 0 : storage.originalStreamSize / storage.totalSize;
  return (
    <>
      <div class="split" aria-hidden="true">
        <i class="split-one" style={{ width: `${share * 100}%` }} />
        <i class="split-two" style={{ width: `${storage.totalSize === 0 ? 0 : (1 - share) * 100}%` }} />
      </div>
      <ul class="legend">
        <li>
          <i class="swatch split-one" /> Segments of the source: {bytes(storage.originalStreamSize)}
        </li>
        <li>
          <i class="swatch split-two" /> Batches: {bytes(storage.processedFragmentsSize)}
        </li>
      </ul>
    </>
  );
}

function Clean({ id, onCleaned }: { id: string; onCleaned: () => void }) {
  const [keep, setKeep] = useState("5");
  const [busy, setBusy] = useState(false);
  const wrong = numberError(keep, 0, 1_000_000, true);
  const submit = async (event: Event) => {
    event.preventDefault();
    if (wrong !== undefined) return;
    setBusy(true);
    try {
      const { removedBatches, freedBytes } = await api.clean(id, Number(keep));
      tell(
        "good",
        removedBatches === 0
          ? "There was nothing to remove"
          : `${plural(removedBatches, "batch", "batches")} removed, ${bytes(freedBytes)} free again`,
      );
      onCleaned();
    } catch (thrown) {
      tellError(thrown);
    }
    setBusy(false);
  };
  return (
    <section class="card" aria-labelledby="clean">
      <h2 id="clean">Clean up</h2>
      <p class="dim">What has not aired, and what a playlist still lists, always stays.</p>
      <form class="inline-form" onSubmit={submit} noValidate>
        <TextField
          label="Aired batches to keep"
          name="keepLast"
          value={keep}
          onValue={setKeep}
          error={wrong}
          numeric
        />
        <button type="submit" disabled={busy || wrong !== undefined}>
          {busy ? "Cleaning up …" : "Clean up"}
        </button>
      </form>
    </section>
  );
}
