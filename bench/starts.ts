// Starting, and starting again after a kill -9: real processes, times on one machine's clock.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { TaskId } from "../src/platform/index.ts";
import { nodeSpawnMs } from "./floors-process.ts";
import { type Bench, type Figure, median } from "./harness.ts";
import { DURABILITY } from "./hub.ts";
import { fillWithParked } from "./parked.ts";
import { inStoppedHome, type Program, startProgram, writeHome } from "./program.ts";
import { inScratch, sleep } from "./scratch.ts";
import { benchAgent } from "./worker.ts";

const WAIT_MS_MAX = 30_000;

/** Calls the program's REST face. */
async function ask<T>(program: Program, path: string): Promise<T> {
  const headers = { authorization: `Bearer ${program.token}` };
  const response = await fetch(`${program.url}/api/v2${path}`, { headers });
  if (!response.ok) throw new Error(`${path} answered ${response.status}.`);
  return (await response.json()) as T;
}

/** Asks until there is an answer. */
async function awaited<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const since = performance.now();
  while (performance.now() - since < WAIT_MS_MAX) {
    const found = await look();
    if (found !== undefined) return found;
    await sleep(10);
  }
  throw new Error(`Nothing came: ${what}.`);
}

type Recorded = { readonly at: string; readonly index: number };

async function stepsOf(program: Program, task: TaskId): Promise<readonly Recorded[]> {
  const { items } = await ask<{ items: { id: string }[] }>(program, `/runs?task=${task}`);
  const run = items[0];
  if (run === undefined) return [];
  const path = `/runs/${run.id}/steps?limit=1000`;
  return (await ask<{ items: Recorded[] }>(program, path)).items;
}

/** Milliseconds from the start until `/ready` on an empty home. */
async function emptyStarts(times: number): Promise<number> {
  const samples: number[] = [];
  for (let i = 0; i < times; i++) {
    await inScratch(async (home) => {
      const program = await startProgram(home);
      samples.push(program.readyMs);
      await program.kill();
    });
  }
  return median(samples);
}

/** Milliseconds from the start until a task that lay there has ended, by the hub's own record. */
async function firstSteps(times: number): Promise<number> {
  const samples: number[] = [];
  for (let i = 0; i < times; i++) {
    await inScratch(async (home) => {
      writeHome(home, [{ say: "Done." }]);
      const { id } = await inStoppedHome(home, (client) =>
        client.call("tasks.submit", { title: "Go", agent: benchAgent.name }),
      );
      const program = await startProgram(home);
      const endedAt = await awaited("the end of the first task", async () => {
        const task = await ask<{ state: string; endedAt?: string }>(program, `/tasks/${id}`);
        if (task.state === "failed") throw new Error("The first task failed.");
        return task.endedAt;
      });
      samples.push(Date.parse(endedAt) - program.startedAt);
      await program.kill();
    });
  }
  return median(samples);
}

/** Milliseconds from the second start until a run that was killed in its middle records again. */
async function restarts(times: number): Promise<number> {
  const samples: number[] = [];
  for (let i = 0; i < times; i++) {
    await inScratch(async (home) => {
      const folder = join(home, "work");
      mkdirSync(folder);
      writeHome(home, [{ latencyMs: 20, calls: [{ tool: "glob", arguments: { pattern: "*" } }] }]);
      const workspace = { kind: "directory", path: folder } as const;
      const { id } = await inStoppedHome(home, (client) =>
        client.call("tasks.submit", { title: "Long", agent: benchAgent.name, workspace }),
      );
      const first = await startProgram(home);
      await awaited("steps before the kill", async () => {
        const steps = await stepsOf(first, id);
        return steps.length > 10 ? steps : undefined;
      });
      await first.kill();
      const second = await startProgram(home);
      const again = await awaited("a step after the kill", async () =>
        (await stepsOf(second, id)).find(({ at }) => Date.parse(at) >= second.startedAt),
      );
      samples.push(Date.parse(again.at) - second.startedAt);
      await second.kill();
    });
  }
  return median(samples);
}

async function startsWithParked(parked: number): Promise<{ readyMs: number; rssMb: number }> {
  return await inScratch(async (home) => {
    await fillWithParked(home, parked);
    writeHome(home, [{ say: "Done." }]);
    const program = await startProgram(home);
    const { total } = await countOpen(program);
    if (total !== parked * 2) throw new Error(`${total} tasks are open, not ${parked * 2}.`);
    await sleep(3_000);
    const rssMb = program.rssMb();
    await program.kill();
    return { readyMs: program.readyMs, rssMb };
  });
}

async function countOpen(program: Program): Promise<{ readonly total: number }> {
  const { open } = await ask<{ open: Record<string, number> }>(program, "/tasks/counts");
  return { total: Object.values(open).reduce((sum, count) => sum + count, 0) };
}

export const startsBench: Bench = {
  name: "starts",
  async run({ isSmoke }) {
    const times = isSmoke ? 1 : 9;
    const parked = isSmoke ? 1_000 : 100_000;
    const floor = { what: "bare `node -e 0`", value: nodeSpawnMs(isSmoke ? 3 : 20) };
    // Once for the compiled code that every later start finds.
    await emptyStarts(1);
    const empty = await emptyStarts(times);
    const first = await firstSteps(times);
    const again = await restarts(times);
    const full = await startsWithParked(parked);
    const name = `${parked.toLocaleString("en-US")} parked runs`;
    const started = (what: string, value: number, most: number): Figure => ({
      what,
      value,
      unit: "ms",
      floor,
      target: { bound: "at most", value: most },
    });
    return [
      started("cold start: `cadre up` on an empty home → ready, median", empty, 300),
      {
        ...started("cold start → first finished task, median", first, 400),
        durability: DURABILITY.SQLite,
      },
      started(`cold start with ${name} → ready`, full.readyMs, 3_000),
      {
        ...started("killed, started again → next step recorded, median", again, 1_500),
        durability: DURABILITY.SQLite,
      },
      {
        what: `RSS of the hub with ${name}`,
        value: full.rssMb,
        unit: "MB",
        target: { bound: "at most", value: 1_000 },
      },
    ];
  },
};
