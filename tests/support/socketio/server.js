// The official Socket.IO server as an audio processor that echoes, for tests.
//
// Environment: PORT (0, the default, takes a free one), DELAY_MS, MAX_HTTP_BUFFER_SIZE,
// PING_INTERVAL and PING_TIMEOUT in ms, NAMESPACE ("/" by default), TOKEN (refuses a handshake whose query
// has another one), MODE: "binary" (default), "base64", "error", "silent" or "disconnect" (once), EXIT_WITH_STDIN
// (ends when its standard input does, so that it never outlives the test that started it).
// SCRIPT (JSON, in place of MODE): steps by batch number, "*" for the others; see processor.rs.
// Prints "listening PORT", then one JSON line an event.
"use strict";

const { createServer } = require("node:http");
const { createHash } = require("node:crypto");
const { spawn } = require("node:child_process");
const { mkdtempSync, readFileSync, rmSync, writeFileSync } = require("node:fs");
const { tmpdir } = require("node:os");
const { join } = require("node:path");
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

const script = env.SCRIPT ? JSON.parse(env.SCRIPT) : undefined;

// What ffmpeg makes of the audio, and the name that its output has.
const forms = {
  quieter: ["out.mp4", "-af", "volume=0.5", "-c:a", "aac", "-b:a", "96k"],
  mono: ["out.aac", "-ac", "1", "-ar", "44100", "-c:a", "aac"],
  wav: ["out.wav", "-c:a", "pcm_s16le"],
  mp3: ["out.mp3", "-c:a", "libmp3lame", "-b:a", "128k"],
  opus: ["out.ogg", "-c:a", "libopus", "-b:a", "128k"],
  flac: ["out.flac", "-c:a", "flac"],
  short: (duration) => ["out.mp4", "-t", String(duration / 1000 - 3), "-c:a", "aac"],
  long: ["out.mp4", "-af", "apad=pad_dur=3", "-c:a", "aac"],
};

function transform(data, form, duration) {
  const chosen = forms[form];
  const [name, ...options] = typeof chosen === "function" ? chosen(duration) : chosen;
  const folder = mkdtempSync(join(tmpdir(), "overdub-processor-"));
  const done = () => rmSync(folder, { recursive: true, force: true });
  writeFileSync(join(folder, "in.mp4"), data);
  return new Promise((resolve, reject) => {
    const out = join(folder, name);
    const child = spawn("ffmpeg", ["-v", "error", "-i", join(folder, "in.mp4"), ...options, out]);
    child.stderr.on("data", (text) => log({ event: "ffmpeg", text: String(text) }));
    child.on("error", reject);
    child.on("close", (code) => (code ? reject(new Error(`ffmpeg ended with ${code}`)) : resolve(readFileSync(out))));
  }).finally(done);
}

const hungUp = new Set();

async function perform(socket, fragment, data, step) {
  const audio = step.as ? await transform(data, step.as, fragment.duration) : data;
  if (step.after_ms) await new Promise((resolve) => setTimeout(resolve, step.after_ms));
  log({ event: "step", batch: fragment.batchNumber, step });
  switch (step.do || "echo") {
    case "echo":
      return socket.emit("fragment:processed", { fragment, data: audio });
    case "error":
      return socket.emit("fragment:error", { fragment, error: "no model", code: "E_MODEL" });
    case "garbage":
      return socket.emit("fragment:processed", { fragment, data: Buffer.alloc(5000, "this is no audio ") });
    case "unknown":
      return socket.emit("fragment:processed", {
        fragment: { ...fragment, id: "nobody-999999", streamId: "nobody", batchNumber: 999999, sequenceNumber: 999999 },
        data: audio,
      });
    case "disconnect": // once; what is sent again is echoed
      if (hungUp.has(fragment.batchNumber)) return socket.emit("fragment:processed", { fragment, data: audio });
      hungUp.add(fragment.batchNumber);
      return socket.disconnect(true);
  }
}

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
    if (script) {
      for (const step of script[fragment.batchNumber] || script["*"] || [{}]) {
        perform(socket, fragment, data, step).catch((error) => log({ event: "failed", error: String(error) }));
      }
      return;
    }
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
