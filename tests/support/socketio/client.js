// The official Socket.IO client as Overdub: sends one file as a fragment, keeps the answer.
//
// node client.js URL FILE OUT [FRAGMENT_JSON]; prints the answer's event and fields as one JSON line.
"use strict";

const { readFileSync, writeFileSync } = require("node:fs");
const { io } = require("socket.io-client");

const [url, file, out, fragment] = process.argv.slice(2);
const transports = (process.env.TRANSPORTS || "websocket").split(",");
const socket = io(url, { transports, reconnection: false });
const finish = (line, code) => {
  process.stdout.write(JSON.stringify(line) + "\n");
  socket.close();
  process.exitCode = code;
};

socket.on("connect_error", (error) => {
  const body = error.context && error.context.responseText;
  finish({ event: "connect_error", message: error.message, body }, 1);
});
socket.on("connect", () => {
  socket.emit("fragment:data", { fragment: JSON.parse(fragment || '{"id":"npm-0"}'), data: readFileSync(file) });
});
socket.on("fragment:processed", ({ fragment, data, metadata }) => {
  writeFileSync(out, data);
  finish({ event: "fragment:processed", fragment, metadata, isBuffer: Buffer.isBuffer(data) }, 0);
});
socket.on("fragment:error", (reply) => finish({ event: "fragment:error", ...reply }, 0));
setTimeout(() => finish({ event: "timeout" }, 1), 30000).unref();
