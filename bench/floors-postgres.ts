// The floors in bare `pg`: named statements, each operation a transaction, synchronous_commit=on.
import pg from "pg";
import { NEWS, STEP_BODIES, TEXT } from "./bodies.ts";
import { type Floor, floorOf } from "./floors.ts";
import { lanes, paced, warmUpOf } from "./harness.ts";

type Statement = readonly [name: string, text: string, ...values: unknown[]];
type Write = (...statements: readonly Statement[]) => Promise<Record<string, unknown> | undefined>;

/** `body` gets transactions over a pool of `width`; its tables are gone afterwards. */
async function inTables<T>(
  at: { readonly url: string; readonly width: number; readonly schema: string },
  body: (write: Write) => Promise<T>,
): Promise<T> {
  const pool = new pg.Pool({ connectionString: at.url, max: at.width });
  const clear = "DROP SCHEMA IF EXISTS floor CASCADE";
  try {
    await pool.query(`${clear}; CREATE SCHEMA floor; ${at.schema}`);
    const value = await body(async (...statements) => {
      const client = await pool.connect();
      try {
        await client.query("BEGIN");
        let first: Record<string, unknown> | undefined;
        for (const [index, [name, text, ...values]] of statements.entries()) {
          const { rows } = await client.query({ name, text, values });
          if (index === 0) first = rows[0] as Record<string, unknown> | undefined;
        }
        await client.query("COMMIT");
        return first;
      } finally {
        client.release();
      }
    });
    await pool.query(clear);
    return value;
  } finally {
    await pool.end();
  }
}

const JOURNAL =
  "CREATE TABLE floor.journal (id BIGSERIAL PRIMARY KEY, type TEXT, task BIGINT, data TEXT);";
const TELL = "INSERT INTO floor.journal (type, task, data) VALUES ($1, $2, $3)";

const INSERT =
  "INSERT INTO floor.tasks (status, priority, input) VALUES ('queued', 5, $1) RETURNING id";
const CLAIM = `UPDATE floor.tasks SET status = 'assigned', epoch = epoch + 1
  WHERE id = (SELECT id FROM floor.tasks WHERE status = 'queued'
    ORDER BY priority, id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id, epoch`;
const COMPLETE = `UPDATE floor.tasks SET status = 'completed', result = $1
  WHERE id = $2 AND epoch = $3 RETURNING id`;

/** Create, claim, complete a task, each with one row of the journal: three commits. */
export function postgresCycles(url: string, times: number, width: number): Promise<Floor> {
  const schema = `CREATE TABLE floor.tasks (id BIGSERIAL PRIMARY KEY, status TEXT, priority INT,
      epoch INT DEFAULT 0, input TEXT, result TEXT);
    CREATE INDEX ready ON floor.tasks (priority, id) WHERE status = 'queued'; ${JOURNAL}`;
  return inTables({ url, width, schema }, async (write) => {
    const cycle = async () => {
      await write(["insert", INSERT, TEXT], ["tell", TELL, "task.created", 1, NEWS]);
      let row: Record<string, unknown> | undefined;
      // All it saw may have been taken by others in that moment: ours look again too.
      while (row === undefined) {
        row = await write(["claim", CLAIM], ["tell", TELL, "task.assigned", 1, NEWS]);
      }
      await write(
        ["complete", COMPLETE, TEXT, row["id"], row["epoch"]],
        ["tell", TELL, "task.completed", 1, NEWS],
      );
    };
    await paced(warmUpOf(times), width, cycle);
    return floorOf(await paced(times, width, cycle));
  });
}

const HOLD = "UPDATE floor.tasks SET updated = $1 WHERE id = $2 AND epoch = 1";
const COUNT = "UPDATE floor.runs SET steps = steps + 2 WHERE id = $1 AND steps = $2";
const ADD = "INSERT INTO floor.run_steps VALUES ($1, $2, 0, $3), ($1, $4, 0, $5)";
const TELL_BOTH =
  "INSERT INTO floor.journal (type, task, data) VALUES ('run.step', $1, $2), ('run.step', $1, $2)";

/** As `sqliteSteps`: two commits for each durable step. */
export function postgresSteps(url: string, runs: number, stepsPerRun: number): Promise<Floor> {
  const schema = `CREATE TABLE floor.tasks (id BIGINT PRIMARY KEY, epoch INT, updated BIGINT);
    CREATE TABLE floor.runs (id BIGINT PRIMARY KEY, steps INT);
    CREATE TABLE floor.run_steps (run BIGINT, position INT, at BIGINT, body TEXT,
      PRIMARY KEY (run, position)); ${JOURNAL}
    INSERT INTO floor.tasks SELECT n, 1, 0 FROM generate_series(0, ${runs}) n;
    INSERT INTO floor.runs SELECT n, 0 FROM generate_series(0, ${runs}) n`;
  return inTables({ url, width: Math.min(runs, 16), schema }, async (write) => {
    const step = async (run: number, index: number) => {
      for (const [half, [first, second]] of STEP_BODIES.entries()) {
        const at = index * 4 + half * 2;
        await write(
          ["hold", HOLD, at, run],
          ["count", COUNT, run, at],
          ["add", ADD, run, at, first, at + 1, second],
          ["tell_both", TELL_BOTH, run, NEWS],
        );
      }
    };
    const warmUp = warmUpOf(stepsPerRun);
    await lanes(runs, warmUp, step);
    return floorOf(await lanes(runs, stepsPerRun, (run, index) => step(run, warmUp + index)));
  });
}
