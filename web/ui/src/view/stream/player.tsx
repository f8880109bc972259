// The HLS output, and which of its sound tracks is heard: one click compares.

import type Hls from "hls.js";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Stream } from "../../api/types";
import type { Detail } from "../../detail";
import { secondsToAir } from "../../model/batches";
import { seconds } from "../../model/format";
import { Segments } from "../../parts/field";
import { Icon } from "../../parts/icon";
import { now } from "../../state";
import { isActive } from "../actions";
import { attach, type Track } from "./hls";

export function Player({ stream, detail }: { stream: Stream; detail: Detail }) {
  const hls = stream.outputs.find((output) => output.name === "hls");
  const ready = stream.hlsPath !== undefined && hls?.up === true;
  return (
    <section class="card player" aria-label="Player">
      {ready ? (
        <Screen path={stream.hlsPath ?? ""} stream={stream} />
      ) : (
        <Waiting stream={stream} detail={detail} />
      )}
    </section>
  );
}

/** What the screen shows before there is something to watch. */
function Waiting({ stream, detail }: { stream: Stream; detail: Detail }) {
  const onAirIn = secondsToAir(detail.batches.value, now.value / 1000);
  const { source, settings } = stream;
  let text = "It is being prepared";
  if (stream.hlsPath === undefined)
    text = "The HLS output of this stream is off: there is nothing to watch here";
  else if (!isActive(stream))
    text = stream.state === "ended" ? "The stream has ended" : "The stream is stopped";
  else if (stream.state === "waiting") text = "There is no source yet";
  else if (onAirIn !== undefined) text = `On air in ${seconds(Math.ceil(onAirIn))}`;
  else if (source.up) {
    const missing = settings.bufferDuration - source.accumulatedDuration + settings.delay;
    text = `The buffer is filling: on air in about ${seconds(Math.max(1, Math.ceil(missing)))}`;
  }
  return (
    <div class="screen screen-wait">
      <p>{text}</p>
    </div>
  );
}

function Screen({ path, stream }: { path: string; stream: Stream }) {
  const video = useRef<HTMLVideoElement>(null);
  const player = useRef<Hls | undefined>(undefined);
  const [tracks, setTracks] = useState<Track[]>([]);
  const [current, setCurrent] = useState(0);
  const [muted, setMuted] = useState(false);
  const [error, setError] = useState<string>();

  useEffect(() => {
    const element = video.current;
    if (!element) return undefined;
    return attach(element, path, {
      onPlayer: (hls) => (player.current = hls),
      onTracks: setTracks,
      onTrack: setCurrent,
      onMuted: () => setMuted(true),
      onError: setError,
    });
  }, [path]);

  const choose = (index: number) => {
    setCurrent(index);
    if (player.current) player.current.audioTrack = index;
  };
  const soundOn = () => {
    if (video.current) video.current.muted = false;
    setMuted(false);
  };
  const language = (name: string) =>
    stream.renditions.find((rendition) => rendition.name === name)?.language ?? undefined;
  return (
    <>
      <div class="screen">
        <video
          ref={video}
          controls
          playsInline
          aria-label={`Output of ${stream.streamId}`}
          onVolumeChange={(event) => setMuted(event.currentTarget.muted)}
        />
        {muted && (
          <button type="button" class="sound-on" onClick={soundOn}>
            <Icon name="sound" /> Turn the sound on
          </button>
        )}
        {error !== undefined && (
          <p class="screen-error" role="status">
            {error}
          </p>
        )}
      </div>
      <div class="player-bar">
        {tracks.length > 0 && (
          <Segments
            label="Sound track"
            value={String(current)}
            onValue={(value) => choose(Number(value))}
            options={tracks.map(({ name }, index) => ({
              value: String(index),
              text: trackTitle(name, language(name)),
            }))}
          />
        )}
        <a href={path} class="player-link" title="Address of the HLS output, for any player">
          HLS <Icon name="external" size={14} />
        </a>
      </div>
    </>
  );
}

/** `main`, `de (German)`, `Original`. */
function trackTitle(name: string, language: string | undefined): string {
  if (language === undefined) return name;
  try {
    const spoken = new Intl.DisplayNames(undefined, { type: "language" }).of(language);
    return spoken === undefined || spoken.toLowerCase() === name.toLowerCase() ? name : `${name} (${spoken})`;
  } catch {
    return `${name} (${language})`;
  }
}
