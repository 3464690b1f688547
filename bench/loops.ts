// The real loop end to end: claim, ask the model, call the tool through its pipeline, record.
import { join } from "node:path";
import { sqliteSteps } from "./floors.ts";
import { postgresSteps } from "./floors-postgres.ts";
import type { Bench, Figure } from "./harness.ts";
import { type BenchHub, DURABILITY, openPostgresHub, openSqliteHub } from "./hub.ts";
import { inScratch } from "./scratch.ts";
import { scriptedModel, startWorker, submitMany } from "./worker.ts";

/** Steps of one run; a step is a model's answer and a tool call. */
const STEPS = 100;

/** Steps a second over `runs` runs with `width` of them at once, after a first one to warm up. */
async function stepsPerSecond(
  hub: BenchHub,
  folder: string,
  { runs, width }: { readonly runs: number; readonly width: number },
): Promise<number> {
  const model = scriptedModel({ answers: STEPS + 1 });
  const worker = await startWorker(hub, { folder, slots: width }, model);
  const warmUp = Math.ceil(width / 4);
  await submitMany(hub, warmUp);
  await worker.ended(warmUp);
  const startedAt = performance.now();
  await submitMany(hub, runs);
  await worker.ended(warmUp + runs);
  const tookMs = performance.now() - startedAt;
  await worker.stop();
  return ((runs * STEPS) / tookMs) * 1_000;
}

export const loopsBench: Bench = {
  name: "loops",
  async run({ isSmoke, postgresUrl }) {
    const one = { runs: isSmoke ? 1 : 20, width: 1 };
    const many = isSmoke ? { runs: 4, width: 4 } : { runs: 200, width: 100 };
    const figures = await inScratch(async (folder): Promise<Figure[]> => {
      const alone = await sqliteSteps(1, one.runs * STEPS);
      const wide = await sqliteSteps(many.width, (many.runs / many.width) * STEPS);
      const hub = await openSqliteHub(join(folder, "bench.db"));
      const first = await stepsPerSecond(hub, folder, one);
      const second = await stepsPerSecond(hub, folder, many);
      await hub.store.close();
      return [
        {
          what: `durable loop of ${STEPS} steps, SQLite, one run`,
          value: first,
          unit: "/s",
          floor: { what: "two bare commits a step", value: alone.perSecond },
          target: { bound: "at least", value: 1_000 },
          durability: DURABILITY.SQLite,
        },
        {
          what: `durable loop of ${STEPS} steps, SQLite, ${many.width} runs at once`,
          value: second,
          unit: "/s",
          floor: { what: "two bare commits a step, as wide", value: wide.perSecond },
          target: { bound: "at least", value: 10_000 },
          durability: DURABILITY.SQLite,
        },
      ];
    });
    if (postgresUrl === undefined) return figures;
    const onPostgres = await inScratch(async (folder): Promise<Figure> => {
      const few = isSmoke ? many : { runs: 40, width: 20 };
      const floor = await postgresSteps(postgresUrl, few.width, (few.runs / few.width) * STEPS);
      const hub = await openPostgresHub(postgresUrl, 16);
      const value = await stepsPerSecond(hub, folder, few);
      await hub.store.close();
      return {
        what: `durable loop of ${STEPS} steps, Postgres, ${few.width} runs at once`,
        value,
        unit: "/s",
        floor: { what: "two bare transactions a step, as wide", value: floor.perSecond },
        durability: DURABILITY.Postgres,
      };
    });
    return [...figures, onPostgres];
  },
};
