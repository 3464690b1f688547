// From submit to the first step, and from a claim to its first durable intent.
import { join } from "node:path";
import { type App, createApp } from "../src/app.ts";
import { config } from "../src/config/index.ts";
import type { Model } from "../src/models/index.ts";
import { realWorld, silentLog } from "../src/platform/index.ts";
import { refusingSandbox } from "../src/tools/index.ts";
import { type Floor, sqliteCommits, sqliteCycles } from "./floors.ts";
import { postgresCycles } from "./floors-postgres.ts";
import { type Bench, type Figure, median, percentile } from "./harness.ts";
import { DURABILITY, openSqliteHub } from "./hub.ts";
import { inScratch } from "./scratch.ts";
import { benchAgent, scriptedModel, startWorker } from "./worker.ts";

const WARM_UP = 50;

/** Resolves with the time the model was next asked. */
function noted() {
  let heard: (at: number) => void = () => undefined;
  return {
    onAsked: () => heard(performance.now()),
    next: () =>
      new Promise<number>((resolve) => {
        heard = resolve;
      }),
  };
}

type Submit = () => Promise<unknown>;

/** One at a time: milliseconds from the call of submit until the model is asked. */
async function dispatchMs(
  times: number,
  parts: { readonly submit: Submit; next(): Promise<number>; ended(count: number): Promise<void> },
): Promise<readonly number[]> {
  const samples: number[] = [];
  for (let i = 0; i < WARM_UP + times; i++) {
    const asked = parts.next();
    const at = performance.now();
    await parts.submit();
    samples.push((await asked) - at);
    await parts.ended(i + 1);
  }
  return samples.slice(WARM_UP);
}

function inProcess(times: number): Promise<Figure[]> {
  return inScratch(async (folder) => {
    const cycle = await sqliteCycles(times, 1);
    const commit = await sqliteCommits(times);
    const hub = await openSqliteHub(join(folder, "bench.db"));
    const model = noted();
    const spawns: number[] = [];
    let claimedAt: number | undefined;
    const worker = await startWorker(
      hub,
      { folder, slots: 4 },
      scriptedModel({ answers: 1, onAsked: model.onAsked }),
      (name, output) => {
        if (name === "tasks.claim" && (output as { claims: unknown[] }).claims.length > 0) {
          claimedAt = performance.now();
        }
        if (name !== "runs.record" || claimedAt === undefined) return;
        spawns.push(performance.now() - claimedAt);
        claimedAt = undefined;
      },
    );
    const samples = await dispatchMs(times, {
      submit: () => hub.client.call("tasks.submit", { title: "Go", agent: benchAgent.name }),
      next: model.next,
      ended: worker.ended,
    });
    await worker.stop();
    await hub.store.close();
    return [
      ...figuresOf("SQLite, in process", samples, cycle, { p50: 3, p99: 15 }, DURABILITY.SQLite),
      {
        what: "spawn in process: claimed → first intent durable, p50",
        value: median(spawns.slice(WARM_UP)),
        unit: "ms",
        floor: { what: "a bare one-row commit", value: commit.p50 },
        target: { bound: "at most", value: 1 },
        durability: DURABILITY.SQLite,
      },
    ];
  });
}

/** Two hubs share a Postgres: one takes the task, the other hears of it and works. */
function acrossHubs(url: string, times: number): Promise<Figure[]> {
  return inScratch(async (folder) => {
    const floor = await postgresCycles(url, times, 1);
    const model = noted();
    const workers = await hubOn(
      url,
      join(folder, "works"),
      scriptedModel({ answers: 1, onAsked: model.onAsked }),
    );
    const takers = await hubOn(url, join(folder, "takes"), undefined);
    const ends = endings(workers);
    const samples = await dispatchMs(times, {
      submit: () => takers.client.call("tasks.submit", { title: "Go", agent: benchAgent.name }),
      next: model.next,
      ended: ends.ended,
    });
    await ends.stop();
    await takers.stop("now");
    await workers.stop("now");
    const name = "between two hubs on one Postgres";
    return figuresOf(name, samples, floor, { p50: 40, p99: 40 }, DURABILITY.Postgres);
  });
}

const hubOn = (url: string, home: string, model: Model | undefined): Promise<App> =>
  createApp({
    config: config.parse({ store: { engine: "postgres", url } }),
    home,
    world: realWorld(),
    log: silentLog,
    listen: false,
    works: model !== undefined,
    agents: [benchAgent],
    parts: { sandbox: refusingSandbox([]), ...(model === undefined ? {} : { model }) },
  });

/** Counts what a hub completed, so that the next task meets an idle one. */
function endings(app: App) {
  const stopping = new AbortController();
  let count = 0;
  let waiting: { readonly count: number; readonly resolve: () => void } | undefined;
  const reading = (async () => {
    const filter = { types: ["task.completed"] };
    for await (const _ of app.client.follow(filter, { after: 0, signal: stopping.signal })) {
      count += 1;
      if (waiting !== undefined && count >= waiting.count) waiting.resolve();
    }
  })();
  return {
    ended: (wanted: number) =>
      new Promise<void>((resolve) => {
        if (count >= wanted) resolve();
        else waiting = { count: wanted, resolve };
      }),
    async stop() {
      stopping.abort();
      await reading;
    },
  };
}

const figuresOf = (
  where: string,
  samples: readonly number[],
  floor: Floor,
  targets: { readonly p50: number; readonly p99: number },
  durability: string,
): Figure[] =>
  ([50, 99] as const).map((share) => ({
    what: `dispatch: submit → the model is asked, ${where}, p${share}`,
    value: percentile(samples, share / 100),
    unit: "ms",
    floor: { what: "three bare commits", value: floor[`p${share}`] },
    target: { bound: "at most", value: targets[`p${share}`] },
    durability,
  }));

export const dispatchBench: Bench = {
  name: "dispatch",
  async run({ isSmoke, postgresUrl }) {
    const figures = await inProcess(isSmoke ? 20 : 1_000);
    if (postgresUrl === undefined) return figures;
    return [...figures, ...(await acrossHubs(postgresUrl, isSmoke ? 10 : 300))];
  },
};
