// hls.js, fetched when it is first needed, on a video element.

import type Hls from "hls.js";

export interface Track {
  name: string;
}

interface Calls {
  onPlayer: (player: Hls | undefined) => void;
  onTracks: (tracks: Track[]) => void;
  onTrack: (index: number) => void;
  onMuted: () => void;
  onError: (message: string | undefined) => void;
}

/** How long a stream that cannot be loaded is left alone before it is tried again. */
const RETRY_MS = 3000;

/** Plays `path` on the element until the returned function is called. */
export function attach(video: HTMLVideoElement, path: string, calls: Calls): () => void {
  let ended = false;
  let detach = () => {};
  void import("hls.js").then(
    ({ default: Player }) => {
      if (ended) return;
      if (Player.isSupported()) detach = withHls(Player, video, path, calls);
      else if (video.canPlayType("application/vnd.apple.mpegurl") !== "") {
        video.src = path;
        void play(video, calls);
      } else calls.onError("This browser cannot play HLS");
    },
    () => calls.onError("The player cannot be loaded"),
  );
  return () => {
    ended = true;
    detach();
  };
}

function withHls(Player: typeof Hls, video: HTMLVideoElement, path: string, calls: Calls): () => void {
  let timer = 0;
  let heard: string | undefined;
  // A worker would have to come from a blob, which the page's policy does not allow; fMP4 needs none.
  const player = new Player({ enableWorker: false, backBufferLength: 60, liveDurationInfinity: true });
  calls.onPlayer(player);
  player.on(Player.Events.MANIFEST_PARSED, () => void play(video, calls));
  player.on(Player.Events.AUDIO_TRACKS_UPDATED, (_, { audioTracks }) => {
    calls.onTracks(audioTracks.map(({ name }) => ({ name })));
    // A source that is loaded again begins with its default track.
    const same = audioTracks.findIndex(({ name }) => name === heard);
    if (same >= 0) player.audioTrack = same;
  });
  player.on(Player.Events.AUDIO_TRACK_SWITCHING, (_, { id, name }) => {
    heard = name;
    calls.onTrack(id);
  });
  player.on(Player.Events.FRAG_BUFFERED, () => calls.onError(undefined));
  player.on(Player.Events.ERROR, (_, { fatal, type, details }) => {
    if (!fatal) return;
    const network = type === Player.ErrorTypes.NETWORK_ERROR;
    calls.onError(
      `${network ? "The output cannot be loaded" : "The player has stopped"} (${details}). It is tried again`,
    );
    clearTimeout(timer);
    timer = window.setTimeout(() => {
      if (type === Player.ErrorTypes.MEDIA_ERROR) player.recoverMediaError();
      else player.loadSource(path);
    }, RETRY_MS);
  });
  player.loadSource(path);
  player.attachMedia(video);
  return () => {
    clearTimeout(timer);
    calls.onPlayer(undefined);
    player.destroy();
  };
}

/** Browsers may refuse sound before the viewer has touched the page; then it begins without. */
async function play(video: HTMLVideoElement, calls: Calls): Promise<void> {
  try {
    await video.play();
  } catch {
    video.muted = true;
    calls.onMuted();
    await video.play().catch(() => {});
  }
}
