// The page's sockets: which of them is cut off, why, and what is done to all of them.

import { computed, signal } from "@preact/signals";
import { api } from "./api/client";
import { Events, type EventsOptions } from "./api/events";
import { ApiError } from "./api/problem";

/** A connection that is cut stays so until it is live again. */
export interface Cut {
  reason: string;
  /** When it is tried again; 0 while it is tried. */
  retryAt: number;
}

interface Wanted extends Omit<EventsOptions, "onLink"> {
  /** Whether there must be something to hear. */
  talks: () => boolean;
  /** Is called after each time that it came about. */
  onLive: () => void;
}

interface Link {
  events: Events;
  talks: () => boolean;
}

const links = new Map<symbol, Link>();
const cuts = signal<ReadonlyMap<symbol, Cut>>(new Map());

/** What is shown is as old as the connection that is worst off. */
export const cut = computed<Cut | undefined>(() => [...cuts.value.values()][0]);

function setCut(id: symbol, to: Cut | undefined): void {
  const next = new Map(cuts.peek());
  if (to === undefined) next.delete(id);
  else next.set(id, to);
  cuts.value = next;
}

/** Keeps a connection up until the returned function is called. */
export function listen({ talks, onLive, ...options }: Wanted): () => void {
  const id = Symbol(options.streamId);
  const change = (part: Partial<Cut>) => {
    const known = cuts.peek().get(id);
    if (known !== undefined) setCut(id, { ...known, ...part });
  };
  const events = new Events({
    ...options,
    onLink: (link) => {
      if (link.state === "connecting") change({ retryAt: 0 });
      else if (link.state === "live") {
        setCut(id, undefined);
        onLive();
      } else {
        const before = cuts.peek().get(id)?.reason ?? "";
        setCut(id, { reason: link.reason ?? before, retryAt: link.retryAt });
        void whyCut(options.streamId, link.reason).then((reason) => change({ reason }));
      }
    },
  });
  links.set(id, { events, talks });
  return () => {
    events.close();
    links.delete(id);
    setCut(id, undefined);
  };
}

/** Browsers do not say why a socket was refused; a call that is admitted by the same rules does. */
async function whyCut(streamId: string | undefined, told: string | undefined): Promise<string> {
  try {
    await api.streams(streamId);
    return told ?? "the service answers, but its events do not come through";
  } catch (error) {
    const refused = error instanceof ApiError && error.status > 0;
    const message = error instanceof Error ? error.message : String(error);
    return refused ? message : (told ?? message);
  }
}

export function retryNow(): void {
  for (const { events } of links.values()) events.retry();
}

/** Gives up the connections that have brought nothing for so long. */
export function abandonSilent(limitMs: number): void {
  for (const { events, talks } of links.values()) if (talks()) events.abandonIfSilent(limitMs);
}
