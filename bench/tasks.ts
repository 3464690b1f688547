// Tasks created, claimed and completed, through every stage of the operation pipeline.
import { join } from "node:path";
import { TEXT } from "./bodies.ts";
import { type Floor, sqliteCycles } from "./floors.ts";
import { postgresCycles } from "./floors-postgres.ts";
import { type Bench, type Figure, paced, warmUpOf } from "./harness.ts";
import { BENCH_NODE, type BenchHub, DURABILITY, openPostgresHub, openSqliteHub } from "./hub.ts";
import { inScratch } from "./scratch.ts";

const CLAIM_TRIES_MAX = 100;

/** One task's whole life as a worker sees it: three operations, five journal rows. */
async function cycle(hub: BenchHub): Promise<void> {
  const { client } = hub;
  await client.call("tasks.submit", { title: "Bench", instructions: TEXT });
  const claim = await claimOne(hub);
  await client.call("tasks.complete", {
    id: claim.task.id,
    epoch: claim.epoch,
    run: claim.run,
    at: claim.steps,
    result: { text: TEXT },
  });
}

/**
 * On Postgres a claim can come back empty while there is a task: all it saw were taken in that
 * moment, and those that came since it did not see. Workers look again, and so does this.
 */
async function claimOne({ client }: BenchHub) {
  for (let tries = 0; tries < CLAIM_TRIES_MAX; tries++) {
    const { claims } = await client.call("tasks.claim", {
      node: BENCH_NODE,
      free: { main: 1 },
      limit: 1,
    });
    if (claims[0] !== undefined) return claims[0];
  }
  throw new Error("A queued task was not there to be claimed.");
}

async function cyclesPerSecond(hub: BenchHub, times: number, width: number): Promise<number> {
  await paced(warmUpOf(times), width, () => cycle(hub));
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

type Engine = keyof typeof DURABILITY;

const figureOf = (
  engine: Engine,
  how: string,
  value: number,
  floor: Floor,
  least: number,
): Figure => ({
  what: `tasks created, claimed, completed, ${engine}, ${how}`,
  value,
  unit: "/s",
  floor: { what: "the same in bare SQL, as wide", value: floor.perSecond },
  target: { bound: "at least", value: least },
  durability: DURABILITY[engine],
});

function onSqlite(times: number, finished: number): Promise<Figure[]> {
  return inScratch(async (folder) => {
    const one = await sqliteCycles(Math.ceil(times / 5), 1);
    const many = await sqliteCycles(times, 16);
    const file = join(folder, "bench.db");
    const hub = await openSqliteHub(file);
    const alone = await cyclesPerSecond(hub, Math.ceil(times / 5), 1);
    const wide = await cyclesPerSecond(hub, times, 16);
    await fillWithFinished(hub, finished);
    // Closing folds the log into the file: rows that ended long ago are in no log.
    await hub.store.close();
    const old = await openSqliteHub(file);
    const late = await cyclesPerSecond(old, times, 16);
    await old.store.close();
    const rows = `${finished.toLocaleString("en-US")} finished before`;
    return [
      figureOf("SQLite", "one at a time", alone, one, 1_200),
      figureOf("SQLite", "16 at once", wide, many, 10_000),
      figureOf("SQLite", `16 at once, ${rows}`, late, many, 10_000),
    ];
  });
}

async function onPostgres(url: string, times: number): Promise<Figure[]> {
  const one = await postgresCycles(url, Math.ceil(times / 4), 1);
  const many = await postgresCycles(url, times, 16);
  const hub = await openPostgresHub(url, 16);
  const alone = await cyclesPerSecond(hub, Math.ceil(times / 4), 1);
  const wide = await cyclesPerSecond(hub, times, 16);
  await hub.store.close();
  const { target: _, ...noTarget } = figureOf("Postgres", "one at a time", alone, one, 0);
  return [noTarget, figureOf("Postgres", "16 at once", wide, many, 1_000)];
}

export const tasksBench: Bench = {
  name: "tasks",
  async run({ isSmoke, postgresUrl }) {
    const figures = await onSqlite(isSmoke ? 300 : 10_000, isSmoke ? 10_000 : 1_000_000);
    if (postgresUrl === undefined) return figures;
    return [...figures, ...(await onPostgres(postgresUrl, isSmoke ? 200 : 4_000))];
  },
};
