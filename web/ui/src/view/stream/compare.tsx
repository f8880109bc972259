// The sounds of a batch as waveforms, one above the other; they play in step, and one click changes which is heard.

import { useEffect, useState } from "preact/hooks";
import { ApiError, sentence } from "../../api/problem";
import type { Batch, BatchRendition } from "../../api/types";
import { seconds } from "../../model/format";
import { Icon } from "../../parts/icon";
import { decodeTrack, type Sound, SoundPlayer } from "./sound";
import { Wave } from "./wave";

/** Moving through the batches must not fetch the sound of each. */
const PATIENCE_MS = 250;

interface Track {
  track: "original" | "processed" | "fitted";
  name: string;
  /** Why it is not even asked for. */
  missing?: string;
}

interface Lane extends Track {
  sound?: Sound;
}

/** What there should be, as far as the batch's history tells. */
function tracksOf(batch: Batch, rendition: BatchRendition | undefined): Track[] {
  const times = rendition?.times ?? {};
  const came = times["processed"] ?? times["late"];
  const missing = (there: boolean, why: string) => (there ? {} : { missing: why });
  return [
    {
      track: "original",
      name: "Original",
      ...missing(batch.times["demuxed"] !== undefined, "not demuxed yet"),
    },
    { track: "processed", name: "Processed", ...missing(came !== undefined, "nothing came back") },
    { track: "fitted", name: "On air", ...missing(times["remuxed"] !== undefined, "not fitted yet") },
  ];
}

async function loadLane(streamId: string, batch: number, rendition: string, track: Track): Promise<Lane> {
  if (track.missing !== undefined) return track;
  try {
    return { ...track, sound: await decodeTrack(streamId, batch, track.track, rendition) };
  } catch (error) {
    const cleaned = error instanceof ApiError && error.status === 404;
    return { ...track, missing: cleaned ? "cleaned up" : sentence(error) };
  }
}

export function Compare({
  streamId,
  batch,
  rendition,
}: {
  streamId: string;
  batch: Batch;
  rendition: BatchRendition | undefined;
}) {
  if (batch.state === "cleaned" || batch.state === "skipped")
    return <p class="dim empty-note">Its files have been cleaned up: there is no sound to compare.</p>;
  const name = rendition?.name ?? "main";
  const tracks = tracksOf(batch, rendition);
  // Another state may mean other files, as when a reply has come: then all is loaded anew.
  const version = tracks.map((track) => track.missing).join();
  return (
    <Sounds
      key={`${streamId} ${batch.batch} ${name} ${version}`}
      load={(track) => loadLane(streamId, batch.batch, name, track)}
      tracks={tracks}
    />
  );
}

/** Loads the tracks once, when it is mounted. */
function Sounds({ load, tracks }: { load: (track: Track) => Promise<Lane>; tracks: Track[] }) {
  const [lanes, setLanes] = useState<Lane[]>();
  useEffect(() => {
    let wanted = true;
    const timer = setTimeout(async () => {
      const loaded = await Promise.all(tracks.map(load));
      if (wanted) setLanes(loaded);
    }, PATIENCE_MS);
    return () => {
      wanted = false;
      clearTimeout(timer);
    };
  }, []);

  if (lanes === undefined)
    return <div class="compare compare-wait" aria-busy="true" aria-label="Sound is being loaded" />;
  const sounds = lanes.flatMap((lane) => (lane.sound ? [lane.sound] : []));
  if (sounds.length === 0)
    return <p class="dim empty-note">There is no sound to compare: {lanes[0]?.missing}.</p>;
  return <Lanes lanes={lanes} sounds={sounds} />;
}

function Lanes({ lanes, sounds }: { lanes: Lane[]; sounds: Sound[] }) {
  const [heard, setHeard] = useState<string>(
    () => lanes.findLast((lane) => lane.sound !== undefined)?.track ?? "original",
  );
  const [playing, setPlaying] = useState(false);
  const [player] = useState(() => new SoundPlayer(sounds, setPlaying));
  const length = Math.max(...sounds.map((sound) => sound.buffer.duration));
  useEffect(() => () => player.close(), [player]);
  const hear = (track: string) => {
    setHeard(track);
    player.hear(track);
  };
  return (
    <div class="compare">
      <div class="compare-bar">
        <button
          type="button"
          class="primary square"
          aria-label={playing ? "Pause" : "Play"}
          onClick={() => player.toggle(heard)}
        >
          <Icon name={playing ? "pause" : "play"} />
        </button>
        <span class="dim">All play in step: choose which one you hear.</span>
        <span class="num dim">{seconds(length)}</span>
      </div>
      {lanes.map((lane) => (
        <div key={lane.track} class={lane.track === heard && lane.sound ? "lane lane-on" : "lane"}>
          <button
            type="button"
            class="lane-name"
            aria-pressed={lane.track === heard}
            disabled={lane.sound === undefined}
            onClick={() => hear(lane.track)}
          >
            <Icon name="sound" size={14} /> {lane.name}
          </button>
          {lane.sound !== undefined ? (
            <Wave sound={lane.sound} length={length} player={player} label={`Waveform: ${lane.name}`} />
          ) : (
            <span class="dim lane-missing">{lane.missing}</span>
          )}
          <span class="num dim lane-level">
            {lane.sound?.levelDb === undefined ? "" : `${lane.sound.levelDb.toFixed(0)} dB`}
          </span>
        </div>
      ))}
    </div>
  );
}
