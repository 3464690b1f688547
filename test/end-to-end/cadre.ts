// The program as a user has it: real processes, a home of its own, nothing of the caller's HOME.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import type { CadreContract } from "../../src/faces/contract.ts";
import { type Client, remoteClient } from "../../src/operations/index.ts";
import { realWorld } from "../../src/platform/index.ts";

export const CHECKOUT = fileURLToPath(new URL("../..", import.meta.url));
const BIN = join(CHECKOUT, "bin", "cadre.js");

/** A folder that goes away with the test. */
export function scratch(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "cadre-e2e-"));
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  return folder;
}

export type Started = {
  readonly process: ChildProcess;
  /** All it wrote so far. */
  readonly text: { stdout: string; stderr: string };
  readonly exited: Promise<{ readonly code: number | null; readonly signal: string | null }>;
};

type Surroundings = {
  readonly home: string;
  readonly cwd?: string;
  readonly env?: Record<string, string>;
};

/** Starts `cadre …`. It is killed with its test, if it still runs. */
export function start(t: TestContext, args: readonly string[], around: Surroundings): Started {
  const child = spawn(process.execPath, [BIN, ...args], {
    cwd: around.cwd ?? around.home,
    env: {
      PATH: process.env["PATH"] ?? "",
      HOME: around.home,
      CADRE_HOME: around.home,
      NO_COLOR: "1",
      ...around.env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  t.after(() => {
    child.kill("SIGKILL");
  });
  const text = { stdout: "", stderr: "" };
  child.stdout?.setEncoding("utf8").on("data", (part: string) => (text.stdout += part));
  child.stderr?.setEncoding("utf8").on("data", (part: string) => (text.stderr += part));
  const exited = once(child, "close").then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as string | null,
  }));
  return { process: child, text, exited };
}

/** Runs `cadre …` to its end and answers what it wrote to stdout; its exit code is checked. */
export async function run(
  t: TestContext,
  args: readonly string[],
  around: Surroundings & { readonly exit?: number },
): Promise<string> {
  const started = start(t, args, around);
  const { code } = await started.exited;
  assert.equal(
    code,
    around.exit ?? 0,
    `cadre ${args.join(" ")}\n${started.text.stdout}${started.text.stderr}`,
  );
  return started.text.stdout;
}

/** Far beyond any start: a hub that never answers must end its test, not hang it. */
const READY_TRIES_MAX = 3_000;

type HubFacts = { readonly url: string; readonly pid: number };

/** Waits until the process answers as the hub of its home; fails with what it wrote if it ends. */
export async function ready(hub: Started, home: string): Promise<HubFacts> {
  let ended = false;
  void hub.exited.then(() => {
    ended = true;
  });
  for (let tries = 0; ; tries++) {
    assert.ok(
      tries < READY_TRIES_MAX,
      `The hub does not answer:\n${hub.text.stdout}${hub.text.stderr}`,
    );
    assert.ok(!ended, `The hub ended:\n${hub.text.stdout}${hub.text.stderr}`);
    const facts = factsOf(home);
    if (facts?.pid === hub.process.pid && facts?.url !== undefined) {
      const answer = await fetch(`${facts.url}/ready`).catch(() => undefined);
      if (answer?.ok === true) return facts;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function factsOf(home: string): HubFacts | undefined {
  try {
    return JSON.parse(readFileSync(join(home, "hub.json"), "utf8")) as HubFacts;
  } catch {
    // Not written yet, or half written: the caller asks again.
    return undefined;
  }
}

export function clientOf(t: TestContext, home: string, url: string): Client<CadreContract> {
  const token = readFileSync(join(home, "token"), "utf8").trim();
  const client = remoteClient<CadreContract>({ url, token, world: realWorld() });
  t.after(() => client.close());
  return client;
}

/** kill -9: nothing of the process gets to say goodbye. */
export async function killNow(hub: Started): Promise<void> {
  hub.process.kill("SIGKILL");
  await hub.exited;
}
