import { afterEach, beforeEach, expect, test, vi } from "vitest";

class Socket {
  static all: Socket[] = [];
  onmessage: ((message: { data: string }) => void) | null = null;
  onclose: ((event: { reason: string }) => void) | null = null;
  constructor(readonly url: string) {
    Socket.all.push(this);
  }
  close(): void {}
  snapshot(): void {
    this.onmessage?.({ data: JSON.stringify({ type: "snapshot", streams: [] }) });
  }
  refuse(): void {
    this.onclose?.({ reason: "" });
  }
}

const answer = (status: number, detail: string) =>
  vi.fn(async () => new Response(JSON.stringify({ detail }), { status }));

let links: typeof import("./links");

beforeEach(async () => {
  vi.useFakeTimers();
  vi.stubGlobal("WebSocket", Socket);
  vi.stubGlobal("window", globalThis);
  vi.stubGlobal("location", { href: "http://host/" });
  vi.stubGlobal("addEventListener", () => {});
  vi.stubGlobal("removeEventListener", () => {});
  vi.stubGlobal("fetch", answer(200, ""));
  vi.resetModules();
  Socket.all = [];
  links = await import("./links");
});

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

function listen(streamId?: string, talks = true) {
  const onLive = vi.fn();
  const options = { logs: "off" as const, talks: () => talks, onLive, onEvent: () => {} };
  const close = links.listen(streamId === undefined ? options : { ...options, streamId });
  const socket = Socket.all.at(-1);
  if (!socket) throw new Error("a socket");
  return { socket, onLive, close };
}

test("either socket that is cut is told of until it is live again or not wanted any more", () => {
  const [fleet, stream] = [listen(), listen("news")];
  expect(links.cut.value, "nothing is lost while the first connection comes about").toBeUndefined();
  fleet.socket.snapshot();
  stream.socket.snapshot();
  stream.socket.refuse();
  expect(links.cut.value?.retryAt).toBeGreaterThan(Date.now());
  links.retryNow();
  expect(links.cut.value?.retryAt).toBe(0);
  Socket.all.at(-1)?.snapshot();
  expect([links.cut.value, stream.onLive.mock.calls.length]).toEqual([undefined, 2]);
  fleet.socket.refuse();
  expect(links.cut.value).toBeDefined();
  fleet.close();
  expect(links.cut.value).toBeUndefined();
});

test.each([
  [403, "list the origin in server.cors_origins", "list the origin in server.cors_origins"],
  [503, "the service is shutting down", "the service is shutting down"],
  [200, "", "the service answers, but its events do not come through"],
])("why a socket is refused is asked for: %i", async (status, detail, reason) => {
  const fetched = answer(status, detail);
  vi.stubGlobal("fetch", fetched);
  listen("news").socket.refuse();
  await vi.waitFor(() => expect(links.cut.value?.reason).toBe(reason));
  expect(fetched.mock.calls).toMatchObject([["/api/streams/news", {}]]);
});

test("a service that does not answer cannot be reached", async () => {
  vi.stubGlobal("fetch", () => Promise.reject(new TypeError("network")));
  listen().socket.refuse();
  await vi.waitFor(() => expect(links.cut.value?.reason).toBe("the service cannot be reached"));
});

test("after a sleep every connection that had something to tell is dialled again", () => {
  const [fleet, running, stopped] = [listen(), listen("news"), listen("old", false)];
  for (const { socket } of [fleet, running, stopped]) socket.snapshot();
  vi.setSystemTime(Date.now() + 60_000);
  links.abandonSilent(45_000);
  links.retryNow();
  const dialled = Socket.all.slice(3).map(({ url }) => new URL(url).searchParams.get("streamId"));
  expect(dialled).toEqual([null, "news"]);
});
