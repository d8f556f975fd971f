// Runs all tests beside one server.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { startServer } from "./server.js";

const folder = fileURLToPath(new URL(".", import.meta.url));
const files = (await readdir(folder)).filter((name) => name.endsWith(".test.js")).map((name) => folder + name);
const server = await startServer();
try {
  const child = spawn(process.execPath, ["--test", "--test-concurrency=4", "--test-reporter=spec", ...process.argv.slice(2), ...files.sort()], {
    stdio: "inherit",
    timeout: 5 * 60_000, // What hangs fails.
    env: { ...process.env, TILLBOOK_TEST_URL: server.url },
  });
  const [code] = (await once(child, "exit")) as [number | null];
  process.exitCode = code ?? 1;
} finally {
  await server.stop();
}
