// Made-up streams in every state, whose figures, batches and logs go on by themselves.

const iso = (ms) => new Date(ms).toISOString();
const pick = (list) => list[Math.floor(Math.random() * list.length)];
const around = (value, part = 0.1) => value * (1 + (Math.random() - 0.5) * 2 * part);

const NAMES = [
  "news",
  "sports",
  "music",
  "kids",
  "weather",
  "parliament",
  "court",
  "church",
  "cooking",
  "travel",
  "science",
  "cinema",
  "radio",
];
const CITIES = ["berlin", "wien", "paris", "madrid", "roma", "oslo", "praha", "lisboa"];
const WRONG = [
  {
    state: "failed",
    reason: "the remuxer was replaced 6 times in 60 s: no space left on device (writing batch 1193)",
  },
  { state: "waiting", reason: "source: cannot connect to edge.example.com:443: connection refused" },
  {
    state: "degraded",
    reason:
      "processor of main is not connected: connection refused; main is on fallback: the processor was not connected by the deadline",
    kind: "not_connected",
    message: "the processor was not connected by the deadline",
  },
  {
    state: "degraded",
    reason: "output main/rtmp-0 is down: the server refused to publish: stream key taken",
    output: "the server refused to publish: stream key taken",
  },
  {
    state: "degraded",
    reason: "main is on fallback: the processor did not answer by the deadline",
    kind: "no_reply",
    message: "the processor did not answer by the deadline",
  },
];

export function makeFleet({ streams: count, batches: batchCount, lines }) {
  const defaults = {
    bufferDuration: 30,
    delay: 10,
    maxConcurrentBatches: 3,
    fallback: "original",
    audioProcessorUrl: "ws://localhost:5000",
    srsRtmpUrl: "rtmp://srs/live/{streamId}",
    hlsOutput: true,
    start: "live",
  };
  const streams = new Map();
  const batches = new Map();
  const logs = new Map();
  let listener = () => {};
  const say = (event) => listener(event);

  function make(id, index, wrong) {
    const off = wrong === undefined && index % 17 === 16;
    const state = wrong?.state ?? (off ? "stopped" : index % 23 === 22 ? "starting" : "running");
    const up = state !== "waiting" && state !== "stopped" && state !== "starting";
    const fallen = wrong?.kind !== undefined;
    const language = pick(["de", "fr", "es", "pt-BR", "it"]);
    const history = {
      bucketSeconds: 120,
      batches: Array.from({ length: 30 }, () => (off ? 0 : 4)),
      fallbacks: Array.from({ length: 30 }, (_, bucket) =>
        fallen && bucket > 22 ? 3 + (bucket % 2) : Math.random() < 0.02 && !off ? 1 : 0,
      ),
    };
    const renditions = index % 5 === 0 ? ["de", "fr"] : ["main"];
    return {
      streamId: id,
      state,
      ...(wrong
        ? { reason: wrong.reason }
        : state === "stopped"
          ? { reason: "stopped on request" }
          : state === "starting"
            ? { reason: "the source is being reached" }
            : {}),
      since: iso(Date.now() - Math.random() * (wrong ? 6e5 : 9e7)),
      settings: {
        streamId: id,
        sourceUrl: `https://edge.example.com/${id}/index.m3u8?token=***`,
        bufferDuration: 30,
        delay: 10,
        maxConcurrentBatches: 3,
        hlsOutput: true,
        start: "live",
        renditions: renditions.map((name) => ({
          name,
          language: name === "main" ? language : name,
          audioProcessorUrl: `ws://dub-${index % 4}.internal:5000`,
          fallback: "original",
          outputs: [{ type: "rtmp", url: "rtmp://cdn.example.com/live/***" }],
        })),
      },
      actors: [
        {
          name: "fetcher",
          running: state !== "failed",
          restarts: wrong?.state === "waiting" ? 2 : 0,
          ...(wrong?.state === "waiting"
            ? {
                lastFault: {
                  actor: "fetcher",
                  message: "cannot connect to edge.example.com:443: connection refused",
                  at: iso(Date.now() - 14_000),
                },
              }
            : {}),
        },
        { name: "demuxer", running: true, restarts: 0 },
        ...renditions.flatMap((name) => [
          {
            name: `processor-link/${name}`,
            running: true,
            restarts: fallen ? 1 : 0,
            ...(fallen
              ? {
                  lastFault: {
                    actor: `processor-link/${name}`,
                    message: "connection refused (os error 111)",
                    at: iso(Date.now() - 4000),
                  },
                }
              : {}),
          },
          {
            name: `remuxer/${name}`,
            running: state !== "failed",
            restarts: state === "failed" ? 6 : 0,
            ...(state === "failed"
              ? {
                  lastFault: {
                    actor: `remuxer/${name}`,
                    message: "no space left on device (os error 28)",
                    at: iso(Date.now() - 9000),
                  },
                }
              : {}),
          },
          { name: `publisher/${name}/rtmp-0`, running: true, restarts: 0 },
        ]),
        { name: "publisher/hls", running: true, restarts: 0 },
      ],
      source: {
        up,
        segments: 35_820 + index,
        bytes: 53.7e9,
        lostSegments: index % 9 === 0 ? 3 : 0,
        gaps: index % 9 === 0 ? 1 : 0,
        accumulatedDuration: up ? Math.random() * 30 : 0,
        currentBatch: 1195,
        clockJumps: 0,
        bitrate: up ? around(3.4e6, 0.5) : null,
        bufferDuration: 30,
      },
      renditions: renditions.map((name) => ({
        name,
        language: name === "main" ? language : name,
        connected: wrong?.kind !== "not_connected" && !off,
        onFallback: Boolean(fallen),
        processed: 1180,
        fallbacks: history.fallbacks.reduce((a, b) => a + b, 0),
        late: fallen ? 4 : 0,
        pending: up ? 1 : 0,
        remuxed: 1194,
        pendingRemux: 0,
        history,
        ...(fallen
          ? { lastFallback: { reason: wrong.kind, message: wrong.message, at: iso(Date.now() - 20_000) } }
          : {}),
      })),
      outputs: [
        ...renditions.map((name) => ({
          name: `${name}/rtmp-0`,
          target: "rtmp://cdn.example.com/live/***",
          up: up && !wrong?.output,
          connectionStatus: up && !wrong?.output ? "connected" : "disconnected",
          published: 1192,
          missedSamples: 0,
          bytes: 5.2e9,
          maxLatenessMs: 2.1,
          ...(wrong?.output ? { reason: wrong.output } : {}),
        })),
        {
          name: "hls",
          target: `/live/${id}/index.m3u8`,
          up,
          connectionStatus: up ? "connected" : "disconnected",
          published: 1192,
          missedSamples: 0,
          bytes: 0,
          maxLatenessMs: 0,
        },
      ],
      hlsPath: `/live/${id}/index.m3u8`,
      delay: 10,
      endToEnd: up ? around(46, 0.05) : null,
      lastTurnaround: up ? around(0.09, 0.4) : null,
      ...(wrong?.state === "failed"
        ? {
            lastError: {
              actor: "remuxer/main",
              message: "no space left on device",
              at: iso(Date.now() - 9000),
            },
          }
        : {}),
    };
  }

  function makeBatch(stream, number, collected) {
    const fallenStream = stream.renditions.some((one) => one.lastFallback);
    const fallen = fallenStream ? number > 1150 || number % 6 === 0 : number % 41 === 0;
    const air = collected + 12_000;
    const deadline = air - 1000;
    const demuxed = collected + 40 + Math.random() * 30;
    const trip = 2000 + Math.random() ** 3 * 7500;
    const at = (ms) => (ms <= Date.now() ? iso(ms) : undefined);
    const done = fallen ? deadline : demuxed + 15 + trip;
    const renditions = stream.renditions.map(({ name }) => ({
      name,
      state: at(done + 60)
        ? "remuxed"
        : at(done)
          ? fallen
            ? "fallback"
            : "processed"
          : at(demuxed)
            ? "sent"
            : "waiting",
      times: {
        sent: at(demuxed + 15),
        [fallen ? "fallback" : "processed"]: at(done),
        remuxed: at(done + 60),
        ...(fallen && number % 3 === 0 ? { late: at(deadline + 2500) } : {}),
      },
      ...(fallen && at(done)
        ? { fallbackKind: "no_reply", fallbackReason: "the processor did not answer by the deadline" }
        : {}),
      ...(at(done + 60)
        ? {
            fit: {
              slotSamples: 1_440_000,
              receivedSamples: 1_439_488,
              differenceSamples: -512,
              timing: "exact",
              borderUnits: 2,
              primingSamples: 1024,
              converted: false,
            },
          }
        : {}),
      metadata: { model: "dub-2", voices: 2, confidence: 0.93 },
    }));
    return {
      batch: number,
      state: at(air + 30_000) ? "published" : at(air) ? "publishing" : at(demuxed) ? "demuxed" : "collected",
      firstSegment: number * 5,
      lastSegment: number * 5 + 4,
      duration: 30,
      epoch: 0,
      times: { collected: iso(collected), demuxed: at(demuxed), published: at(air + 30_000) },
      airTime: iso(air),
      deadline: iso(deadline),
      renditions,
    };
  }

  const allBatches = (id) => {
    const stream = streams.get(id);
    if (!batches.has(id)) {
      const begin = Date.now();
      batches.set(
        id,
        Array.from({ length: batchCount }, (_, back) => ({
          number: 1194 - back,
          collected: begin - 8000 - back * 30_000,
        })),
      );
    }
    return batches.get(id).map(({ number, collected }) => makeBatch(stream, number, collected));
  };

  const LOGS = [
    ["info", "batch collected", { batch: 1194 }],
    ["info", "reply in time", { batch: 1193, rendition: "main", round_trip_ms: 2841 }],
    ["info", "batch published", { batch: 1192 }],
    ["debug", "segment stored", { segment: 5972, bytes: 1_482_004 }],
    ["warn", "the processor did not answer by the deadline", { batch: 1191, rendition: "main" }],
    ["error", "output is down", { output: "main/rtmp-0", cause: "server closed the connection" }],
  ];
  const logLine = (streamId, ms) => {
    const [level, message, fields] = Math.random() < 0.9 ? LOGS[Math.floor(Math.random() * 4)] : pick(LOGS);
    return { at: iso(ms), level, target: "overdub_actors::supervisor", message, streamId, fields };
  };

  const logOf = (id) => {
    if (!logs.has(id)) {
      const before = (index) => Date.now() - (lines - index) * 700;
      logs.set(
        id,
        Array.from({ length: lines }, (_, index) => logLine(id, before(index))),
      );
    }
    return logs.get(id);
  };
  const log = (line) => {
    logOf(line.streamId).push(line);
    say({ type: "log", ...line });
  };

  const ids = Array.from(
    { length: count },
    (_, index) =>
      `${NAMES[index % NAMES.length]}-${CITIES[Math.floor(index / NAMES.length) % CITIES.length]}`,
  );
  ids.forEach((id, index) =>
    streams.set(
      id,
      make(id, index, count > 8 && index % 8 === 3 ? WRONG[Math.floor(index / 8) % WRONG.length] : undefined),
    ),
  );

  setInterval(() => {
    for (const stream of streams.values()) {
      if (!stream.source.up) continue;
      const source = {
        ...stream.source,
        accumulatedDuration: (stream.source.accumulatedDuration + 2) % 30,
        bitrate: around(stream.source.bitrate, 0.03),
      };
      const next = { ...stream, source };
      streams.set(stream.streamId, next);
      say({ type: "stream", stream: next });
      if (Math.random() < 0.3) log(logLine(stream.streamId, Date.now()));
    }
    for (const id of batches.keys()) {
      if (!streams.has(id)) continue;
      for (const batch of allBatches(id).slice(0, 3)) say({ type: "batch", streamId: id, batch });
      const newest = batches.get(id)[0];
      if (Date.now() - newest.collected > 30_000)
        batches.get(id).unshift({ number: newest.number + 1, collected: Date.now() });
    }
  }, 2000).unref();

  const update = (id, changes) => {
    const stream = { ...streams.get(id), ...changes, since: iso(Date.now()) };
    streams.set(id, stream);
    say({ type: "stream", stream });
    log({ ...logLine(id, Date.now()), level: "info", message: "changed on request", fields: {} });
    return stream;
  };

  return {
    defaults,
    streams: () => [...streams.values()],
    get: (id) => streams.get(id),
    onEvent: (call) => (listener = call),
    batch: (id, number) => allBatches(id).find((batch) => batch.batch === number),
    page: (id, limit = 50, before = Number.POSITIVE_INFINITY) => {
      const found = allBatches(id)
        .filter((batch) => batch.batch < before)
        .slice(0, limit);
      return {
        streamId: id,
        batches: found,
        ...(found.length === limit ? { nextBefore: found.at(-1).batch } : {}),
      };
    },
    logs: logOf,
    check: (body) =>
      /localhost/.test(body.sourceUrl)
        ? [
            {
              field: "sourceUrl",
              message: "sourceUrl leads into a private network, which fetch.allow_private forbids",
            },
          ]
        : [],
    create: (body) => {
      const stream = {
        ...make(body.streamId, 1, undefined),
        state: "starting",
        reason: "the source is being reached",
      };
      streams.set(body.streamId, stream);
      say({ type: "stream", stream });
      return stream;
    },
    remove: (id) => {
      streams.delete(id);
      say({ type: "deleted", streamId: id });
      return { success: true };
    },
    act: (id, action) =>
      action === "stop"
        ? update(id, { state: "stopped", reason: "stopped on request" })
        : update(id, { state: "running", reason: undefined }),
    patch: (id, body) => {
      const stream = streams.get(id);
      const changed = Object.fromEntries(
        Object.entries(body).map(([name, value]) => [name, [stream.settings[name], value]]),
      );
      return {
        stream: update(id, {
          settings: { ...stream.settings, ...body, renditions: stream.settings.renditions },
        }),
        changed,
      };
    },
  };
}
