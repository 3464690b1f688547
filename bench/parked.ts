// A home full of runs that wait: each a parent parked on its child, which no agent here can do.
import { join } from "node:path";
import { before } from "./bodies.ts";
import { BENCH_NODE, openSqliteHub } from "./hub.ts";

const CHUNK = 10_000;
/** Where the copies' ids differ: the digits stand behind it. */
const MARK = "0000";

type Copy = {
  readonly table: string;
  readonly of: string;
  readonly changed: Record<string, string>;
};

/** Parks one run by the operations themselves, and copies its rows `count` - 1 times. */
export async function fillWithParked(home: string, count: number): Promise<void> {
  const hub = await openSqliteHub(join(home, "cadre.db"));
  const { store, client } = hub;
  try {
    await client.call("tasks.submit", { title: "Parked", agent: "main" });
    const { claims } = await client.call("tasks.claim", { node: BENCH_NODE, free: { main: 1 } });
    const claim = claims[0];
    if (claim === undefined) throw new Error("A queued task was not there to be claimed.");
    const { epoch, run } = claim;
    const parent = claim.task.id;
    const fence = { id: parent, epoch, run, at: claim.steps };
    const child = { key: "child", title: "Nobody can", capabilities: ["absent"] };
    const { tasks } = await client.call("tasks.delegate", {
      ...fence,
      steps: [...before("call_0_0"), { kind: "waited", gate: "children" }],
      tasks: [child],
    });
    // No hub of this bench is there any more: its offer would be told as one that does exist.
    await store.write((tx) => tx.run("DELETE FROM offers"));
    const [id = "''"] = tasks.map((task) => `'${task.id}'`);
    const of = `'${parent}'`;
    const p = `'task_${MARK}p' || n.i`;
    const c = `'task_${MARK}c' || n.i`;
    const r = `'run_${MARK}r' || n.i`;
    const copies: Copy[] = [
      { table: "tasks", of: `id = ${of}`, changed: { id: p, root: p, run: r } },
      { table: "tasks", of: `id = ${id}`, changed: { id: c, root: p, parent: p } },
      { table: "runs", of: `id = '${run}'`, changed: { id: r, task: p, root: p } },
      { table: "run_steps", of: `run = '${run}'`, changed: { run: r } },
    ];
    for (let from = 1; from < count; from += CHUNK) {
      const upTo = Math.min(from + CHUNK, count);
      await store.write(async (tx) => {
        for (const { table, of: which, changed } of copies) {
          const row = await tx.get(`SELECT * FROM ${table} WHERE ${which} LIMIT 1`);
          const columns = Object.keys(row ?? {});
          await tx.run(
            `WITH RECURSIVE n(i) AS (SELECT ${from} UNION ALL SELECT i + 1 FROM n WHERE i < ${upTo - 1})
             INSERT INTO ${table} (${columns.join(", ")})
             SELECT ${columns.map((it) => changed[it] ?? `t.${it}`).join(", ")}
             FROM n, (SELECT * FROM ${table} WHERE ${which}) t`,
          );
        }
      });
    }
  } finally {
    await store.close();
  }
}
