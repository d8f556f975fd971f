import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { after } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

const PROGRAM = fileURLToPath(new URL("../../../bin/tillbook", import.meta.url));
const START_MS = 60_000;

/** A sandbox server with a database of its own. */
export interface Server {
  readonly url: string;
  stop(): Promise<void>;
}

/** Starts a server; `make build` makes the program. */
export async function startServer(...flags: string[]): Promise<Server> {
  const folder = await mkdtemp(join(tmpdir(), "tillbook-typescript-"));
  const port = await freePort();
  const args = ["serve", "--sandbox", "--listen", `127.0.0.1:${port}`, "--data-dir", join(folder, "data")];
  const child = spawn(PROGRAM, [...args, "--log-level", "error", "--grace", "2s", ...flags], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  const exited = once(child, "exit");
  const stop = async () => {
    child.kill("SIGTERM");
    await exited;
    await rm(folder, { recursive: true, force: true });
  };
  const url = `http://127.0.0.1:${port}`;
  try {
    await Promise.race([ready(url), exited.then(() => Promise.reject(new Error("the server ended at once")))]);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, stop };
}

/** Returns the server that all tests share, or starts one for a test file that runs alone. */
export async function sharedServer(): Promise<string> {
  const shared = process.env["TILLBOOK_TEST_URL"];
  if (shared !== undefined) {
    return shared;
  }
  return await ownServer();
}

/** Starts a server that ends with the test file. */
export async function ownServer(...flags: string[]): Promise<string> {
  const server = await startServer(...flags);
  after(() => server.stop());
  return server.url;
}

async function ready(url: string): Promise<void> {
  for (const began = Date.now(); Date.now() - began < START_MS; await sleep(50)) {
    const response = await fetch(`${url}/readyz`).catch(() => undefined);
    if (response?.ok) {
      return;
    }
  }
  throw new Error(`the server at ${url} isn't ready after ${START_MS / 1000} s`);
}

/**
 * Returns a port on which nobody listens. It isn't among those that whoever asks for
 * any gets, such as the tests beside this one.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 10_000);
    const server = createServer().listen(port, "127.0.0.1");
    const free = await once(server, "listening").then(() => true, () => false);
    if (free) {
      server.close();
      await once(server, "close");
      return port;
    }
  }
}
