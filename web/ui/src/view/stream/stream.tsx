// One stream: its state and what to do, then a tab.

import "../../styles/stream.css";
import { useEffect, useRef } from "preact/hooks";
import type { Stream } from "../../api/types";
import { detail, lookAt } from "../../detail";
import { advise } from "../../model/advice";
import { judge } from "../../model/health";
import { Icon } from "../../parts/icon";
import { StateBadge, ToneIcon } from "../../parts/status";
import { route, streamLink, type Tab, TABS } from "../../route";
import { fleet, fleetKnown, mayChange } from "../../state";
import { isActive, remove, restart, start, stop } from "../actions";
import { Since } from "../since";
import { Batches } from "./batches";
import { Log } from "./log";
import { Overview } from "./overview";
import { Settings } from "./settings";
import { StorageTab } from "./storage";
import { Tiles } from "./tiles";

const TAB_NAMES: Record<Tab, string> = {
  overview: "Overview",
  batches: "Batches",
  log: "Log",
  storage: "Storage",
  settings: "Settings",
};

export function StreamPage() {
  const here = route.value;
  const id = here.page === "stream" ? here.id : "";
  const stream = fleet.value.get(id);
  const known = stream !== undefined;
  useEffect(() => {
    lookAt(known ? id : undefined);
    return () => lookAt(undefined);
  }, [id, known]);
  if (here.page !== "stream" || !fleetKnown.value) return <div class="empty" aria-busy="true" />;
  if (stream === undefined) {
    return (
      <div class="empty">
        <h1>There is no stream “{id}”</h1>
        <p>It may have been deleted.</p>
        <a class="button" href="#/">
          All streams
        </a>
      </div>
    );
  }
  const looked = detail.value;
  return (
    <>
      <Head stream={stream} />
      <Tiles stream={stream} whole={here.tab === "overview"} />
      <Tabs id={id} current={here.tab} />
      {looked === undefined || looked.streamId !== id ? (
        <div class="empty" aria-busy="true" />
      ) : here.tab === "overview" ? (
        <Overview stream={stream} detail={looked} />
      ) : here.tab === "batches" ? (
        <Batches stream={stream} detail={looked} selected={here.batch} />
      ) : here.tab === "log" ? (
        <Log detail={looked} />
      ) : here.tab === "storage" ? (
        <StorageTab stream={stream} detail={looked} />
      ) : (
        <Settings stream={stream} />
      )}
    </>
  );
}

function Tabs({ id, current }: { id: string; current: Tab }) {
  const nav = useRef<HTMLElement>(null);
  useEffect(() => {
    // On a phone the last ones lie beyond the edge.
    const link = nav.current?.querySelector<HTMLElement>("[aria-current]");
    if (nav.current && link) nav.current.scrollLeft = link.offsetLeft - nav.current.clientWidth / 2;
  }, [current]);
  return (
    <nav class="tabs" ref={nav} aria-label={`Parts of ${id}`}>
      {TABS.map((tab) => (
        <a
          key={tab}
          href={streamLink(id, tab)}
          {...(tab === current ? { "aria-current": "page" as const } : {})}
        >
          {TAB_NAMES[tab]}
        </a>
      ))}
    </nav>
  );
}

function Head({ stream }: { stream: Stream }) {
  const id = stream.streamId;
  const { tone } = judge(stream.state);
  const advice = advise(stream);
  const active = isActive(stream);
  return (
    <div class="stream-head">
      <div class="page-head">
        <a class="button ghost square" href="#/" aria-label="All streams" title="All streams">
          <Icon name="back" size={18} />
        </a>
        <h1 class="mono">{id}</h1>
        <StateBadge state={stream.state} />
        <Since at={stream.since} />
        {mayChange.value && (
          <div class="buttons head-actions">
            {active ? (
              <>
                <button type="button" onClick={() => restart(id)}>
                  <Icon name="restart" /> Restart
                </button>
                <button type="button" onClick={() => stop(id)}>
                  <Icon name="stop" /> Stop
                </button>
              </>
            ) : (
              <button type="button" class="primary" onClick={() => start(id)}>
                <Icon name="play" /> Start
              </button>
            )}
            <button
              type="button"
              class="ghost square"
              aria-label={`Delete ${id}`}
              title="Delete"
              onClick={() => remove(id)}
            >
              <Icon name="trash" />
            </button>
          </div>
        )}
      </div>
      {stream.reason !== undefined && tone !== "idle" && (
        <div class={`why why-${tone}`}>
          <ToneIcon tone={tone} size={20} />
          <div>
            <p class="why-reason">{stream.reason.charAt(0).toUpperCase() + stream.reason.slice(1)}</p>
            {advice !== undefined && <p class="why-advice">{advice}</p>}
          </div>
        </div>
      )}
    </div>
  );
}
