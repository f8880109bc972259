// Starts the stand-in of the service (dev/server.mjs) as a process of its own.
import { spawn } from "node:child_process";
import { once } from "node:events";

const SERVER = new URL("../dev/server.mjs", import.meta.url).pathname;

export async function serve(settings, port = 0) {
  const server = spawn(process.execPath, [SERVER, String(port)], {
    env: { ...process.env, ...settings },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = await once(server.stdout.setEncoding("utf8"), "data");
  const stop = async () => {
    server.kill("SIGKILL");
    if (server.signalCode === null) await once(server, "exit");
  };
  return { base: /http:\S+/.exec(line)[0], stop };
}
