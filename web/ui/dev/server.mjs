// A stand-in for the service, to work on the page and to measure it: `npm run demo [-- PORT]`.
// Serves the built page and an API whose streams are made up and change by themselves.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { makeFleet } from "./fleet.mjs";
import { tone } from "./tone.mjs";

const PAGE = new URL("../dist/page", import.meta.url).pathname;
const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
};
const options = {
  port: Number(process.argv[2] ?? 3100),
  streams: Number(process.env.STREAMS ?? 52),
  batches: Number(process.env.BATCHES ?? 1000),
  lines: Number(process.env.LINES ?? 10_000),
  token: process.env.TOKEN ?? "",
};

const fleet = makeFleet(options);
const sockets = new Set();

function problem(response, status, detail, more = {}) {
  response.writeHead(status, { "content-type": "application/problem+json" });
  response.end(JSON.stringify({ type: "about:blank", title: detail, status, detail, ...more }));
}

function json(response, body, status = 200) {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}

async function page(response, path) {
  const file = normalize(join(PAGE, path === "/" ? "index.html" : path));
  if (!file.startsWith(PAGE)) return problem(response, 404, "there is nothing at this path");
  try {
    const body = await readFile(file);
    response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream" });
    return response.end(body);
  } catch {
    return problem(response, 404, "there is nothing at this path");
  }
}

async function bodyOf(request) {
  let text = "";
  for await (const chunk of request) text += chunk;
  return text === "" ? {} : JSON.parse(text);
}

const tokenFits = (given) => options.token === "" || given === options.token;

async function answer(request, response) {
  const url = new URL(request.url ?? "/", "http://localhost");
  const bearer = (request.headers.authorization ?? "").replace(/^Bearer /, "");
  const [, first, second, id, fourth, number, last] = url.pathname.split("/");
  if (first !== "api") return page(response, url.pathname);
  if (second === "session") {
    const access = tokenFits(bearer) ? "full" : "none";
    return json(response, {
      access,
      authRequired: options.token !== "",
      version: "0.1.0",
      defaults: fleet.defaults,
    });
  }
  if (!tokenFits(bearer))
    return problem(response, 401, "send `Authorization: Bearer TOKEN` with one of the configured tokens");
  const body = request.method === "GET" ? {} : await bodyOf(request);
  if (second === "webhooks") return webhooks(request, response, id, body);
  if (second === "storage") {
    if (id === "clean") return json(response, { success: true, removedBatches: 12, freedBytes: 93e6 });
    return json(response, {
      originalStreamSize: 41.2e6,
      processedFragmentsSize: 88.1e6,
      totalSize: 129.3e6,
      oldestBatch: 1188,
      newestBatch: 1194,
    });
  }
  if (second === "streams" && id === undefined) {
    if (request.method !== "POST") return json(response, { streams: fleet.streams() });
    const errors = fleet.check(body);
    if (errors.length > 0) return problem(response, 400, errors[0].message, { errors });
    if (fleet.get(body.streamId))
      return problem(response, 409, `stream ${body.streamId} is known already; take another id`);
    return json(response, fleet.create(body), 201);
  }
  const stream = fleet.get(id);
  if (!stream) return problem(response, 404, `stream ${id} is not known`);
  if (request.method === "DELETE") return json(response, fleet.remove(id));
  if (request.method === "PATCH") {
    if (body.bufferDuration && !url.searchParams.has("restart"))
      return problem(response, 409, "bufferDuration needs a restart", { restart: ["bufferDuration"] });
    return json(response, fleet.patch(id, body));
  }
  if (fourth === undefined) return json(response, stream);
  if (fourth === "batches" && last === "audio") return audio(response, url, Number(number), id);
  if (fourth === "batches")
    return json(
      response,
      fleet.page(
        id,
        Number(url.searchParams.get("limit")),
        Number(url.searchParams.get("before") ?? Infinity),
      ),
    );
  if (fourth === "logs") return json(response, { entries: fleet.logs(id) });
  return json(response, fleet.act(id, fourth));
}

function audio(response, url, batch, id) {
  const track = url.searchParams.get("track");
  const shown = fleet.batch(id, batch);
  if (!shown || (track === "processed" && shown.renditions[0].times.processed === undefined))
    return problem(response, 404, "it is gone");
  response.writeHead(200, { "content-type": "audio/wav" });
  return response.end(tone(track, batch, shown.duration));
}

const hooks = [
  {
    id: "1",
    url: "https://ops.example.com/hooks/overdub",
    events: ["stream.state", "output.down"],
    streamId: null,
  },
];
function webhooks(request, response, id, body) {
  if (request.method === "GET") return json(response, { webhooks: hooks });
  if (request.method === "DELETE")
    return json(
      response,
      hooks.splice(
        hooks.findIndex((hook) => hook.id === id),
        1,
      ),
    );
  if (id !== undefined) return json(response, { delivered: false, error: "connection refused" });
  hooks.push({ id: String(Date.now()), streamId: null, ...body, secret: undefined });
  return json(response, hooks.at(-1), 201);
}

const server = createServer((request, response) => {
  answer(request, response).catch((error) => problem(response, 500, String(error)));
});

/** One unmasked text frame (RFC 6455 5.2). */
function frame(text) {
  const payload = Buffer.from(text);
  const length = payload.length;
  if (length < 126) return Buffer.concat([Buffer.from([0x81, length]), payload]);
  const head = Buffer.alloc(length < 65_536 ? 4 : 10);
  head[0] = 0x81;
  if (length < 65_536) {
    head[1] = 126;
    head.writeUInt16BE(length, 2);
  } else {
    head[1] = 127;
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  return Buffer.concat([head, payload]);
}

server.on("upgrade", (request, socket) => {
  const url = new URL(request.url, "http://localhost");
  const offered = (request.headers["sec-websocket-protocol"] ?? "").split(/,\s*/);
  const bearer = offered.find((one) => one.startsWith("bearer."))?.slice(7) ?? "";
  if (!tokenFits(bearer)) return socket.end("HTTP/1.1 401 Unauthorized\r\n\r\n");
  const accept = createHash("sha1")
    .update(`${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest("base64");
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: overdub.v1\r\n\r\n`,
  );
  const only = url.searchParams.get("streamId");
  const client = {
    wants: (event) => {
      const id = event.streamId ?? event.stream?.streamId;
      if (event.type === "log" && url.searchParams.get("logs") === "off") return false;
      return only === null || id === only;
    },
    send: (event) => socket.write(frame(JSON.stringify({ v: 1, at: new Date().toISOString(), ...event }))),
  };
  sockets.add(client);
  const gone = () => sockets.delete(client);
  socket.on("close", gone);
  socket.on("error", gone);
  // Any close frame is answered by closing.
  socket.on("data", (data) => (data[0] & 0x0f) === 8 && socket.end());
  const streams = only === null ? fleet.streams() : [fleet.get(only)].filter(Boolean);
  client.send({
    type: "snapshot",
    streams,
    ...(only === null ? {} : { batches: { [only]: fleet.page(only, 200).batches } }),
  });
  return undefined;
});

fleet.onEvent((event) => {
  for (const client of sockets) if (client.wants(event)) client.send(event);
});
server.listen(options.port, "127.0.0.1", () =>
  console.log(`listening on http://127.0.0.1:${server.address().port}`),
);
