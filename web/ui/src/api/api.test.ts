import { expect, test } from "vitest";
import { parseRoute, streamLink } from "../route";
import { backoffMs, eventsUrl } from "./events";
import { problemFrom, sentence } from "./problem";

test("a problem's detail, fields and restarts are read, whatever else is there", () => {
  const problem = problemFrom(400, {
    detail: "delay is wrong",
    errors: [{ field: "delay", message: "too long", allowed: "1 to 300" }, 7, {}],
    restart: ["start", 1],
  });
  expect([problem.status, problem.message, problem.restart]).toEqual([400, "delay is wrong", ["start"]]);
  expect(problem.fields).toEqual([{ field: "delay", message: "too long", allowed: "1 to 300" }]);
  for (const odd of [null, "text", 7, []]) expect(problemFrom(502, odd).message).toContain("502");
  expect(sentence(problem)).toBe("Delay is wrong");
});

test("the events socket is asked for what is wanted, encrypted where the page is", () => {
  expect(eventsUrl("http://host:3000/#/x", { logs: "off" })).toBe("ws://host:3000/api/events?logs=off");
  expect(eventsUrl("https://host/", { streamId: "a", logs: "info" })).toBe(
    "wss://host/api/events?streamId=a&logs=info",
  );
});

test("tries to connect come ever more seldom, up to a bound", () => {
  expect([0, 1, 2, 50].map((failures) => backoffMs(failures, 0))).toEqual([500, 1000, 2000, 15_000]);
  expect(backoffMs(50, 1)).toBe(18_750);
});

test("an address leads to its view, and a view to its address", () => {
  expect(parseRoute("")).toEqual({ page: "streams" });
  expect(parseRoute("#/streams/a%20b/batches/7")).toEqual({
    page: "stream",
    id: "a b",
    tab: "batches",
    batch: 7,
  });
  expect(parseRoute("#/streams/a")).toEqual({ page: "stream", id: "a", tab: "overview" });
  expect(parseRoute("#/streams/a/nothing")).toEqual({ page: "unknown" });
  expect(parseRoute("#/%E0%A4%A")).toEqual({ page: "unknown" });
  expect([streamLink("a b"), streamLink("a", "batches", 7)]).toEqual([
    "#/streams/a%20b",
    "#/streams/a/batches/7",
  ]);
});
