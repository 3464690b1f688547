// The program as a user starts it: `cadre up`, a process with a home of its own.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createApp } from "../src/app.ts";
import { config } from "../src/config/index.ts";
import type { CadreContract } from "../src/faces/contract.ts";
import type { Client } from "../src/operations/index.ts";
import { realWorld, silentLog } from "../src/platform/index.ts";
import { atExit, sleep } from "./scratch.ts";
import { benchAgent } from "./worker.ts";

export const CHECKOUT = fileURLToPath(new URL("..", import.meta.url));
const READY_MS_MAX = 60_000;

export type Program = {
  readonly process: ChildProcess;
  readonly url: string;
  readonly token: string;
  /** Wall clock of the moment it was started, to compare with times it records. */
  readonly startedAt: number;
  /** From its start until `/ready` answered. */
  readonly readyMs: number;
  /** Resident memory now, in MB. */
  rssMb(): number;
  /** kill -9, and gone. */
  kill(): Promise<void>;
};

type Turn = {
  readonly say?: string;
  readonly latencyMs?: number;
  readonly calls?: readonly { readonly tool: string; readonly arguments: object }[];
};

/** A home whose one agent plays this script. */
export function writeHome(home: string, turns: readonly Turn[]): void {
  mkdirSync(join(home, "rehearsal"), { recursive: true });
  const { version: _, source: __, tools: ___, ...agent } = benchAgent;
  // JSON is YAML.
  writeFileSync(
    join(home, "cadre.yaml"),
    JSON.stringify({ agents: { list: [agent] }, models: { rehearsal: "rehearsal" } }),
  );
  writeFileSync(join(home, "rehearsal", "bench.yaml"), JSON.stringify({ turns }));
}

/** Starts `cadre up` in this home, on any free port; resolves when it is ready. */
export async function startProgram(home: string): Promise<Program> {
  const startedAt = Date.now();
  const at = performance.now();
  const child = spawn(process.execPath, [join(CHECKOUT, "bin", "cadre.js"), "up", "--port", "0"], {
    cwd: home,
    env: { PATH: process.env["PATH"] ?? "", HOME: home, CADRE_HOME: home, NO_COLOR: "1" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const forget = atExit(() => child.kill("SIGKILL"));
  const exited = once(child, "exit").finally(forget);
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-4_000);
  });
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await exited;
  };
  try {
    const url = await readyUrl(child, home, at);
    const readyMs = performance.now() - at;
    const token = readFileSync(join(home, "token"), "utf8").trim();
    return { process: child, url, token, startedAt, readyMs, rssMb: () => rssMb(child.pid), kill };
  } catch (error) {
    await kill();
    throw new Error(`cadre up did not come up:\n${said}`, { cause: error });
  }
}

async function readyUrl(child: ChildProcess, home: string, since: number): Promise<string> {
  while (performance.now() - since < READY_MS_MAX) {
    if (child.exitCode !== null) throw new Error(`It ended with ${child.exitCode}.`);
    const url = addressOf(child, home);
    if (url !== undefined && (await fetch(`${url}/ready`)).ok) return url;
    await sleep(2);
  }
  throw new Error("It took too long.");
}

/** From the file a hub keeps in its home; undefined while it is not there or half written. */
function addressOf(child: ChildProcess, home: string): string | undefined {
  try {
    const facts = JSON.parse(readFileSync(join(home, "hub.json"), "utf8")) as {
      readonly pid: number;
      readonly url?: string;
    };
    return facts.pid === child.pid ? facts.url : undefined;
  } catch {
    return undefined;
  }
}

/** Resident memory of a process, in MB. */
function rssMb(pid: number | undefined): number {
  const kib = execFileSync("ps", ["-o", "rss=", "-p", String(pid)], { encoding: "utf8" });
  return (Number(kib) * 1_024) / 1e6;
}

/** Looks into a home that no hub works on. */
export async function inStoppedHome<T>(
  home: string,
  body: (client: Client<CadreContract>) => Promise<T>,
): Promise<T> {
  const app = await createApp({
    config: config.parse({}),
    home,
    world: realWorld(),
    log: silentLog,
    listen: false,
    works: false,
  });
  try {
    return await body(app.client);
  } finally {
    await app.stop("now");
  }
}
