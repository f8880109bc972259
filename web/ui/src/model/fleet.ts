// All streams: what the events make of them.

import type { ServerEvent, Stream } from "../api/types";

export type Fleet = ReadonlyMap<string, Stream>;

/** The fleet after the events; the same one if they change nothing in it. */
export function applyToFleet(fleet: Fleet, events: readonly ServerEvent[]): Fleet {
  let next: Map<string, Stream> | undefined;
  const writable = () => (next ??= new Map(fleet));
  for (const event of events) {
    if (event.type === "snapshot") next = new Map(event.streams.map((stream) => [stream.streamId, stream]));
    else if (event.type === "stream") writable().set(event.stream.streamId, event.stream);
    else if (event.type === "deleted" && (next ?? fleet).has(event.streamId))
      writable().delete(event.streamId);
  }
  return next ?? fleet;
}
