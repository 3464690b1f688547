// Tasks created, claimed and completed, through every stage of the operation pipeline.
import { join } from "node:path";
import { inScratch, postgresCycles, sqliteCycles } from "./floors.ts";
import { type Bench, type Figure, paced } from "./harness.ts";
import { BENCH_NODE, type BenchHub, openPostgresHub, openSqliteHub } from "./hub.ts";

const FULL = "WAL, synchronous=FULL";
const PG = "synchronous_commit=on";
const INSTRUCTIONS = "x".repeat(500);

/** One task's whole life as a worker sees it: three operations, five journal rows. */
async function cycle({ client }: BenchHub): Promise<void> {
  await client.call("tasks.submit", { title: "Bench", instructions: INSTRUCTIONS });
  const { claims } = await client.call("tasks.claim", {
    node: BENCH_NODE,
    free: { main: 1 },
    limit: 1,
  });
  const claim = claims[0];
  if (claim === undefined) throw new Error("A queued task was not there to be claimed.");
  await client.call("tasks.complete", {
    id: claim.task.id,
    epoch: claim.epoch,
    run: claim.run,
    at: claim.steps,
    result: { text: INSTRUCTIONS },
  });
}

async function cyclesPerSecond(hub: BenchHub, times: number, width: number): Promise<number> {
  await paced(Math.ceil(times / 10), width, () => cycle(hub));
  const { tookMs } = await paced(times, width, () => cycle(hub));
  return (times / tookMs) * 1_000;
}

/** Rows of tasks that ended long ago, written as the rooms themselves would leave them. */
async function fillWithFinished(hub: BenchHub, rows: number): Promise<void> {
  await cycle(hub);
  const columns = await hub.store.read(async (tx) => {
    const row = await tx.get("SELECT * FROM tasks LIMIT 1");
    return Object.keys(row ?? {});
  });
  const copied = columns.filter((column) => column !== "id" && column !== "root");
  const chunk = 10_000;
  for (let from = 0; from < rows; from += chunk) {
    await hub.store.write((tx) =>
      tx.run(
        `WITH RECURSIVE n(i) AS (SELECT ${from} UNION ALL SELECT i + 1 FROM n WHERE i < ${from + chunk - 1})
         INSERT INTO tasks (id, root, ${copied.join(", ")})
         SELECT 'task_0' || CAST(n.i AS TEXT), 'task_0' || CAST(n.i AS TEXT), ${copied.map((c) => `t.${c}`).join(", ")}
         FROM n, (SELECT * FROM tasks WHERE state = 'completed' ORDER BY id DESC LIMIT 1) t`,
      ),
    );
  }
}

export const tasksBench: Bench = {
  name: "tasks",
  async run({ isSmoke, postgresUrl }) {
    const figures: Figure[] = [];
    const times = isSmoke ? 300 : 20_000;
    await inScratch(async (folder) => {
      const one = await sqliteCycles(Math.ceil(times / 10), 1);
      const many = await sqliteCycles(times, 16);
      const hub = await openSqliteHub(join(folder, "bench.db"));
      const floor1 = { what: "bare node:sqlite, one at a time", value: one.perSecond };
      const floor16 = { what: "bare node:sqlite, 16 at once", value: many.perSecond };
      figures.push({
        what: "tasks, SQLite, one at a time",
        value: await cyclesPerSecond(hub, Math.ceil(times / 10), 1),
        unit: "/s",
        floor: floor1,
        target: { bound: "at least", value: 1_200 },
        durability: FULL,
      });
      figures.push({
        what: "tasks, SQLite, 16 at once",
        value: await cyclesPerSecond(hub, times, 16),
        unit: "/s",
        floor: floor16,
        target: { bound: "at least", value: 10_000 },
        durability: FULL,
      });
      const finished = isSmoke ? 10_000 : 1_000_000;
      await fillWithFinished(hub, finished);
      figures.push({
        what: `tasks, SQLite, 16 at once, ${finished.toLocaleString("en-US")} finished rows`,
        value: await cyclesPerSecond(hub, times, 16),
        unit: "/s",
        floor: floor16,
        target: { bound: "at least", value: 10_000 },
        durability: FULL,
      });
      await hub.store.close();
    });
    if (postgresUrl !== undefined) {
      const floor = await postgresCycles(postgresUrl, isSmoke ? 200 : 4_000, 16);
      const hub = await openPostgresHub(postgresUrl, 16);
      figures.push({
        what: "tasks, Postgres, 16 at once",
        value: await cyclesPerSecond(hub, isSmoke ? 200 : 4_000, 16),
        unit: "/s",
        floor: { what: "bare pg, named statements, 16 at once", value: floor.perSecond },
        target: { bound: "at least", value: 1_000 },
        durability: PG,
      });
      await hub.store.close();
    }
    return figures;
  },
};
