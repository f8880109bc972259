// The official Socket.IO server as an audio processor that echoes, for tests.
//
// Environment: PORT (0, the default, takes a free one), DELAY_MS, MAX_HTTP_BUFFER_SIZE,
// PING_INTERVAL and PING_TIMEOUT in ms, NAMESPACE ("/" by default), TOKEN (refuses a handshake whose query
// has another one), MODE: "binary" (default), "base64", "error", "silent" or "disconnect" (once), EXIT_WITH_STDIN
// (ends when its standard input does, so that it never outlives the test that started it).
// Prints "listening PORT", then one JSON line an event.
"use strict";

const { createServer } = require("node:http");
const { createHash } = require("node:crypto");
const { Server } = require("socket.io");

const env = process.env;
const number = (name, otherwise) => (env[name] ? Number(env[name]) : otherwise);
const log = (line) => process.stdout.write(JSON.stringify(line) + "\n");

const http = createServer();
const io = new Server(http, {
  maxHttpBufferSize: number("MAX_HTTP_BUFFER_SIZE", 64 * 1024 * 1024),
  pingInterval: number("PING_INTERVAL", 25000),
  pingTimeout: number("PING_TIMEOUT", 20000),
});
const namespace = io.of(env.NAMESPACE || "/");
const delay = number("DELAY_MS", 0);
let mode = env.MODE || "binary";

namespace.use((socket, next) => {
  const given = socket.handshake.query.token;
  next(env.TOKEN && given !== env.TOKEN ? new Error(`token ${given} is not known`) : undefined);
});

namespace.on("connection", (socket) => {
  log({ event: "connection" });
  socket.on("disconnect", (reason) => log({ event: "disconnect", reason }));
  socket.on("fragment:data", ({ fragment, data }) => {
    const sha256 = createHash("sha256").update(data).digest("hex");
    log({ event: "fragment", fragment, isBuffer: Buffer.isBuffer(data), size: data.length, sha256 });
    if (mode === "disconnect") {
      mode = "binary";
      socket.disconnect(true);
      return;
    }
    setTimeout(() => {
      if (mode === "binary") {
        socket.emit("fragment:processed", { fragment, data, metadata: { processor: "test" } });
      } else if (mode === "base64") {
        socket.emit("fragment:processed", { fragment, data: data.toString("base64") });
      } else if (mode === "error") {
        socket.emit("fragment:error", { fragment, error: "no model", code: "E_MODEL" });
      }
    }, delay);
  });
});

http.listen(number("PORT", 0), "127.0.0.1", () => {
  process.stdout.write(`listening ${http.address().port}\n`);
});
if (env.EXIT_WITH_STDIN) process.stdin.on("end", () => process.exit(0)).resume();
