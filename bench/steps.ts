// What a durable step costs: recorded before its effect and after it, told to the journal.
import { join } from "node:path";
import { after, before } from "./bodies.ts";
import { type Floor, sqliteSteps } from "./floors.ts";
import { postgresSteps } from "./floors-postgres.ts";
import { type Bench, type Figure, paced, percentile, warmUpOf } from "./harness.ts";
import { BENCH_NODE, type BenchHub, DURABILITY, openPostgresHub, openSqliteHub } from "./hub.ts";
import { inScratch } from "./scratch.ts";

/** One run as long as the measurement; milliseconds of each step's two records together. */
async function recordSteps({ client }: BenchHub, times: number): Promise<readonly number[]> {
  await client.call("tasks.submit", { title: "Steps" });
  const { claims } = await client.call("tasks.claim", { node: BENCH_NODE, free: { main: 1 } });
  const claim = claims[0];
  if (claim === undefined) throw new Error("A queued task was not there to be claimed.");
  const { epoch, run } = claim;
  const { id } = claim.task;
  let at = claim.steps;
  const warmUp = warmUpOf(times);
  const { samples } = await paced(warmUp + times, 1, async (index) => {
    const call = `call_${index}_0`;
    for (const steps of [before(call), after(call)]) {
      await client.call("runs.record", { id, epoch, run, at, steps });
      at += steps.length;
    }
  });
  await client.call("tasks.complete", { id, epoch, run, at, result: { text: "" } });
  return samples.slice(warmUp);
}

type Targets = { readonly p50: number; readonly p99: number };

const figuresOf = (
  where: "SQLite" | "Postgres",
  samples: readonly number[],
  floor: Floor,
  targets: Targets,
): Figure[] =>
  ([50, 99] as const).map((share) => ({
    what: `durable step overhead, ${where}, p${share}`,
    value: percentile(samples, share / 100),
    unit: "ms",
    floor: { what: "two bare commits of the same rows", value: floor[`p${share}`] },
    target: { bound: "at most", value: targets[`p${share}`] },
    durability: DURABILITY[where],
  }));

export const stepsBench: Bench = {
  name: "steps",
  async run({ isSmoke, postgresUrl }) {
    const times = isSmoke ? 100 : 5_000;
    const figures = await inScratch(async (folder) => {
      const floor = await sqliteSteps(1, times);
      const hub = await openSqliteHub(join(folder, "bench.db"));
      const samples = await recordSteps(hub, times);
      await hub.store.close();
      return figuresOf("SQLite", samples, floor, { p50: 0.5, p99: 3 });
    });
    if (postgresUrl === undefined) return figures;
    const few = Math.ceil(times / 4);
    const floor = await postgresSteps(postgresUrl, 1, few);
    const hub = await openPostgresHub(postgresUrl, 4);
    const samples = await recordSteps(hub, few);
    await hub.store.close();
    return [...figures, ...figuresOf("Postgres", samples, floor, { p50: 2, p99: 10 })];
  },
};
