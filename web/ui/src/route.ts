// Where in the page one is: the part of the address behind `#`.

import { signal } from "@preact/signals";

export const TABS = ["overview", "batches", "log", "storage", "settings"] as const;
export type Tab = (typeof TABS)[number];

export type Route =
  | { page: "streams" }
  | { page: "new" }
  | { page: "webhooks" }
  | { page: "stream"; id: string; tab: Tab; batch?: number }
  | { page: "unknown" };

export function parseRoute(hash: string): Route {
  const [first, id, tab, batch] = hash
    .replace(/^#?\/?/, "")
    .split("/")
    .map(decode);
  if (first === "" || (first === "streams" && (id ?? "") === "")) return { page: "streams" };
  if (first === "new") return { page: "new" };
  if (first === "webhooks") return { page: "webhooks" };
  if (first === "streams" && id !== undefined) {
    const known = TABS.find((one) => one === (tab ?? "overview"));
    if (known === undefined) return { page: "unknown" };
    const number = /^\d+$/.test(batch ?? "") ? Number(batch) : undefined;
    return { page: "stream", id, tab: known, ...(number === undefined ? {} : { batch: number }) };
  }
  return { page: "unknown" };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export function streamLink(id: string, tab: Tab = "overview", batch?: number): string {
  const rest = tab === "overview" ? "" : `/${tab}${batch === undefined ? "" : `/${batch}`}`;
  return `#/streams/${encodeURIComponent(id)}${rest}`;
}

export const route = signal<Route>({ page: "streams" });

export function follow(): void {
  route.value = parseRoute(location.hash);
  addEventListener("hashchange", () => (route.value = parseRoute(location.hash)));
}

export function go(link: string, replace = false): void {
  if (replace) {
    history.replaceState(null, "", link);
    route.value = parseRoute(link);
  } else location.hash = link;
}
