// The stream's log: live, by level, searched.

import { useMemo, useRef, useState } from "preact/hooks";
import type { Level } from "../../api/types";
import type { Detail } from "../../detail";
import { exactTime, plural } from "../../model/format";
import { countLevels, fieldsText, LEVELS, type LogLine, selectLines } from "../../model/logs";
import { Segments } from "../../parts/field";
import { Icon } from "../../parts/icon";
import { rowByKey } from "../../parts/row-keys";
import { Virtual } from "../../parts/virtual";

const ROW_HEIGHT = 22;
const NAMES: Record<Level, string> = { error: "Errors", warn: "Warnings", info: "Info", debug: "All" };

export function Log({ detail }: { detail: Detail }) {
  const [level, setLevel] = useState<Level>("info");
  const [search, setSearch] = useState("");
  const [follow, setFollow] = useState(true);
  const [opened, setOpened] = useState<LogLine>();
  const [selected, select] = useState<LogLine>();
  const box = useRef<HTMLDivElement>(null);
  const version = detail.logVersion.value;
  const all = detail.log.lines;
  const shown = useMemo(() => selectLines(all, { level, search }), [all, version, level, search]);
  const counts = useMemo(() => countLevels(all), [all, version]);
  const choose = (value: string) => {
    setLevel(value as Level);
    // Debug lines are asked for when somebody wants them.
    detail.setLogLevel(value === "debug" ? "debug" : "info");
  };
  const clear = () => {
    detail.log.clear();
    detail.logVersion.value += 1;
  };
  const keys = (event: KeyboardEvent) => {
    if (event.key === "Enter" && selected !== undefined) setOpened(selected);
    const at = selected === undefined ? -1 : shown.indexOf(selected);
    // The newest lines are last: it begins there.
    const target = rowByKey(event, box.current, ROW_HEIGHT, shown.length, at < 0 ? shown.length : at);
    if (target === undefined) return;
    select(shown[target]);
    setFollow(target === shown.length - 1);
  };
  const open = (line: LogLine) => {
    select(line);
    setOpened(line);
  };
  return (
    <section class="card log" aria-label="Log">
      <div class="card-head">
        <Segments
          label="Least level"
          value={level}
          onValue={choose}
          options={LEVELS.map((one) => ({
            value: one,
            text: NAMES[one],
            ...(one === "error" || one === "warn"
              ? {
                  extra: <span class={counts[one] > 0 ? `count count-${one}` : "count"}>{counts[one]}</span>,
                }
              : {}),
          }))}
        />
        <label class="search">
          <Icon name="search" />
          <span class="hidden">Search the log</span>
          <input
            type="search"
            placeholder="Search"
            value={search}
            onInput={(event) => setSearch(event.currentTarget.value)}
          />
        </label>
        <span class="dim num">{plural(shown.length, "line")}</span>
        <button
          type="button"
          class={follow ? "on" : ""}
          aria-pressed={follow}
          onClick={() => setFollow(!follow)}
        >
          <Icon name="down" /> Follow
        </button>
        <button type="button" onClick={() => download(detail.streamId, shown)} disabled={shown.length === 0}>
          Save
        </button>
        <button type="button" onClick={clear} disabled={all.length === 0}>
          Clear
        </button>
      </div>
      {shown.length === 0 ? (
        <p class="dim empty-note">
          {all.length === 0 ? "Nothing has been logged yet." : "No line is like that."}
        </p>
      ) : (
        <Virtual
          box={box}
          class="log-rows"
          count={shown.length}
          rowHeight={ROW_HEIGHT}
          follow={follow}
          onFollow={setFollow}
          shift={shown.at(-1)?.seq ?? 0}
          attributes={{
            role: "listbox",
            "aria-label": "Log lines, newest last",
            ...(selected === undefined ? {} : { "aria-activedescendant": `line-${selected.seq}` }),
            onKeyDown: keys,
          }}
          row={(index) => {
            const line = shown[index];
            return line === undefined ? null : (
              <Line
                key={line.seq}
                line={line}
                search={search}
                on={line === opened}
                selected={line === selected}
                onOpen={open}
              />
            );
          }}
        />
      )}
      {opened !== undefined && <Opened line={opened} onClose={() => setOpened(undefined)} />}
    </section>
  );
}

function Line({
  line,
  search,
  on,
  selected,
  onOpen,
}: {
  line: LogLine;
  search: string;
  on: boolean;
  selected: boolean;
  onOpen: (line: LogLine) => void;
}) {
  const { entry } = line;
  return (
    <div
      id={`line-${line.seq}`}
      class={`log-line log-${entry.level} ${on ? "log-on" : ""} ${selected ? "log-selected" : ""}`}
      role="option"
      aria-selected={selected}
      onClick={() => onOpen(line)}
    >
      <span class="log-time num">{exactTime(entry.at)}</span>
      <span class="log-level">{entry.level}</span>
      <span class="log-text">
        <Marked text={entry.message} search={search} />{" "}
        <span class="log-fields">{<Marked text={fieldsText(entry.fields)} search={search} />}</span>
      </span>
    </div>
  );
}

/** The text with what was searched for marked. */
function Marked({ text, search }: { text: string; search: string }) {
  const words = search
    .split(/\s+/)
    .filter(Boolean)
    .map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  if (words.length === 0) return <>{text}</>;
  const parts = text.split(new RegExp(`(${words.join("|")})`, "gi"));
  return <>{parts.map((part, index) => (index % 2 === 1 ? <mark key={index}>{part}</mark> : part))}</>;
}

function Opened({ line, onClose }: { line: LogLine; onClose: () => void }) {
  const { entry } = line;
  return (
    <div class="log-opened" role="region" aria-label="The chosen line">
      <button type="button" class="ghost square" aria-label="Close" onClick={onClose}>
        <Icon name="close" />
      </button>
      <p>
        <strong class={`log-${entry.level}`}>{entry.level}</strong> <span class="num dim">{entry.at}</span>{" "}
        <span class="dim mono">{entry.target}</span>
      </p>
      <p>{entry.message}</p>
      {Object.keys(entry.fields ?? {}).length > 0 && (
        <dl class="log-pairs mono">
          {Object.entries(entry.fields ?? {}).map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{typeof value === "string" ? value : JSON.stringify(value)}</dd>
            </div>
          ))}
        </dl>
      )}
    </div>
  );
}

function download(streamId: string, lines: readonly LogLine[]): void {
  const text = lines
    .map(({ entry }) =>
      `${entry.at} ${entry.level.toUpperCase()} ${entry.message} ${fieldsText(entry.fields)}`.trimEnd(),
    )
    .join("\n");
  const url = URL.createObjectURL(new Blob([`${text}\n`], { type: "text/plain" }));
  const link = Object.assign(document.createElement("a"), { href: url, download: `${streamId}.log` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
