import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
// @ts-expect-error a script without types
import { serve } from "../serve.mjs";

export type Keys = Record<"agent" | "operator" | "author" | "auditor" | "admin", string>;

export interface Running {
  origin: string;
  keys: Keys;
  directory: string;
  stop(): Promise<void>;
}

const BINARY = process.env.SENTINEL_BIN ?? "../target/release/sentinel";
const STARTS_WITHIN_MS = 60_000;

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.on("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}

async function ready(api: string, child: ChildProcess): Promise<void> {
  const deadline = Date.now() + STARTS_WITHIN_MS;
  while (Date.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}`);
    const answer = await fetch(`${api}/readyz`).catch(() => null);
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("the server did not become ready");
}

/** The real binary, and in front of it the exported console on the same origin. */
export async function start(options: readonly string[] = []): Promise<Running> {
  if (!existsSync(BINARY)) throw new Error(`SENTINEL_BIN: there is no ${BINARY}`);
  const directory = mkdtempSync(join(tmpdir(), "sentinel-console-"));
  const port = await freePort();
  const api = `http://127.0.0.1:${port}`;
  const child = spawn(
    BINARY,
    ["dev", "--quiet", "--listen", `127.0.0.1:${port}`, "--data-dir", directory, ...options],
    { stdio: ["ignore", "ignore", "inherit"] },
  );
  await ready(api, child);
  const front = await serve({ api, port: 0, files: join(import.meta.dirname, "../../out") });
  return {
    origin: `http://127.0.0.1:${front.address().port}`,
    keys: JSON.parse(readFileSync(join(directory, "keys.json"), "utf8")),
    directory,
    stop: async () => {
      front.closeAllConnections();
      front.close();
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      await ended;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
