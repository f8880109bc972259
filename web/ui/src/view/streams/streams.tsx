// All streams: the verdict first, then the worst first.

import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Stream } from "../../api/types";
import {
  compareIds,
  countGroups,
  type Filter,
  type Group,
  GROUP_NAMES,
  judge,
  matches,
  verdict,
  worstFirst,
} from "../../model/health";
import { Segments } from "../../parts/field";
import { Icon } from "../../parts/icon";
import { ToneIcon } from "../../parts/status";
import { fleet, fleetKnown, mayChange } from "../../state";
import { StreamRow } from "./row";

const filter = signal<Filter>("all");
const search = signal("");
const order = signal("worst");

const GROUPS: readonly Group[] = ["attention", "well", "off"];

export function Streams() {
  const all = [...fleet.value.values()];
  if (!fleetKnown.value) return <Loading />;
  if (all.length === 0) return <NoStreams />;
  const counts = countGroups(all);
  const shown = all
    .filter(
      (stream) =>
        (filter.value === "all" || judge(stream.state).group === filter.value) &&
        matches(stream, search.value),
    )
    .sort(order.value === "worst" ? worstFirst : compareIds);
  const { tone, text } = verdict(all);
  return (
    <>
      <div class="page-head">
        <h1 class="verdict">
          <ToneIcon tone={tone} size={30} />
          <span>{text}</span>
        </h1>
        {mayChange.value && <NewButton />}
      </div>
      <div class="toolbar">
        <Segments
          label="Show"
          value={filter.value}
          onValue={(value) => (filter.value = value as Filter)}
          options={[
            { value: "all", text: "All", extra: <Count of={counts.all} /> },
            ...GROUPS.map((group) => ({
              value: group,
              text: GROUP_NAMES[group],
              extra: <Count of={counts[group]} alarm={group === "attention"} />,
            })),
          ]}
        />
        <div class="toolbar-end">
          <Search />
          <select
            aria-label="Order"
            value={order.value}
            onChange={(event) => (order.value = event.currentTarget.value)}
          >
            <option value="worst">Worst first</option>
            <option value="name">By name</option>
          </select>
        </div>
      </div>
      {shown.length === 0 ? <NoMatch /> : <Table streams={shown} grouped={order.value === "worst"} />}
    </>
  );
}

function Count({ of, alarm = false }: { of: number; alarm?: boolean }) {
  return <span class={alarm && of > 0 ? "count count-alarm" : "count"}>{of}</span>;
}

/** The search field; `/` goes there from anywhere. */
function Search() {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const toSearch = (event: KeyboardEvent) => {
      const typing =
        event.target instanceof Element && event.target.closest("input, textarea, select, dialog");
      if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      input.current?.focus();
    };
    addEventListener("keydown", toSearch);
    return () => removeEventListener("keydown", toSearch);
  }, []);
  return (
    <label class="search">
      <Icon name="search" />
      <span class="hidden">Search streams</span>
      <input
        ref={input}
        type="search"
        placeholder="Search  /"
        value={search.value}
        onInput={(event) => (search.value = event.currentTarget.value)}
      />
    </label>
  );
}

function Table({ streams, grouped }: { streams: Stream[]; grouped: boolean }) {
  const sections = grouped
    ? GROUPS.map((group) => ({
        group,
        members: streams.filter((stream) => judge(stream.state).group === group),
      }))
    : [{ group: undefined, members: streams }];
  return (
    <table class="streams">
      <caption class="hidden">Streams</caption>
      <thead>
        <tr>
          <th scope="col">Stream</th>
          <th scope="col">Source</th>
          <th scope="col">Buffer</th>
          <th scope="col">
            Delay<span class="th-more">set / measured</span>
          </th>
          <th
            scope="col"
            title="What the service itself took for the newest batch, the processor's time excluded"
          >
            Turnaround
          </th>
          <th scope="col">
            Fallback<span class="th-more">last hour</span>
          </th>
          <th scope="col">Outputs</th>
          <th scope="col">
            <span class="hidden">Actions</span>
          </th>
        </tr>
      </thead>
      {sections.map(({ group, members }) =>
        members.length === 0 ? null : (
          <tbody key={group ?? "all"} class={`group-${group ?? "all"}`}>
            {group !== undefined && (
              <tr class="group">
                <th colSpan={8} scope="rowgroup">
                  {GROUP_NAMES[group]} <span class="count">{members.length}</span>
                </th>
              </tr>
            )}
            {members.map((stream) => (
              <StreamRow key={stream.streamId} stream={stream} mayChange={mayChange.value} />
            ))}
          </tbody>
        ),
      )}
    </table>
  );
}

function NewButton() {
  return (
    <a class="button primary" href="#/new">
      <Icon name="plus" />
      New stream
    </a>
  );
}

function Loading() {
  return (
    <div class="skeleton" aria-busy="true" aria-label="Loading">
      <div class="bone bone-head" />
      {Array.from({ length: 6 }, (_, index) => (
        <div class="bone" key={index} />
      ))}
    </div>
  );
}

function NoStreams() {
  return (
    <div class="empty">
      <svg width="72" height="48" viewBox="0 0 72 48" class="empty-art" aria-hidden="true">
        <path d="M6 20v8M15 12v24M24 6v36M33 15v18" />
        <path class="empty-art-two" d="M42 15v18M51 9v30M60 14v20M69 20v8" transform="translate(-3)" />
      </svg>
      <h1>No stream yet</h1>
      <p>
        A stream takes live HLS in, sends its sound through a processor, and puts what comes back beside the
        untouched picture. All it needs is the address of a live playlist.
      </p>
      {mayChange.value && <NewButton />}
    </div>
  );
}

function NoMatch() {
  const clear = () => {
    search.value = "";
    filter.value = "all";
  };
  return (
    <div class="empty">
      <p>No stream is like that.</p>
      <button type="button" onClick={clear}>
        Show all
      </button>
    </div>
  );
}
