// What can be done to a stream, asked for confirmation where it hurts.

import { api } from "../api/client";
import type { Stream } from "../api/types";
import { confirm } from "../parts/dialog";
import { tell, tellError } from "../parts/toast";
import { go, route } from "../route";

const PAST = { start: "started", stop: "stopped", restart: "restarted" } as const;

async function act(id: string, action: "start" | "stop" | "restart"): Promise<void> {
  await api.act(id, action);
  tell("good", `${id} has been ${PAST[action]}`);
}

export const isActive = (stream: Stream): boolean => stream.state !== "stopped" && stream.state !== "ended";

export const start = (id: string): void => void act(id, "start").catch(tellError);

export const stop = (id: string): void =>
  confirm({
    title: `Stop ${id}?`,
    text: "Its outputs end cleanly. What has not aired by then will not air. Numbers go on at the next start.",
    action: "Stop",
    run: () => act(id, "stop"),
  });

export const restart = (id: string): void =>
  confirm({
    title: `Restart ${id}?`,
    text: "Its outputs end and begin again: viewers see a gap of the buffer and the delay.",
    action: "Restart",
    run: () => act(id, "restart"),
  });

export const remove = (id: string): void =>
  confirm({
    title: `Delete ${id}?`,
    text: "It is stopped and forgotten, with its settings and the history of its batches. This cannot be taken back.",
    action: "Delete",
    danger: true,
    option: "Delete its files too",
    run: async (purge) => {
      await api.remove(id, purge);
      tell("good", `${id} has been deleted`);
      const here = route.value;
      if (here.page === "stream" && here.id === id) go("#/");
    },
  });
