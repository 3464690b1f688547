// The floors in bare SQLite: what this machine can do at best for the same promise (WAL,
// synchronous=FULL, the same texts), with nothing of ours between.
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { NEWS, STEP_BODIES, TEXT } from "./bodies.ts";
import { lanes, median, paced, percentile, type Timed, warmUpOf } from "./harness.ts";
import { inScratch } from "./scratch.ts";

/** One rate of work, and how long each piece of it took. */
export type Floor = { readonly perSecond: number; readonly p50: number; readonly p99: number };

export const floorOf = ({ tookMs, samples }: Timed): Floor => ({
  perSecond: (samples.length / tookMs) * 1_000,
  p50: median(samples),
  p99: percentile(samples, 0.99),
});

const JOURNAL =
  "CREATE TABLE journal (id INTEGER PRIMARY KEY, type TEXT, task INT, data TEXT, at INT)";
const TELL = "INSERT INTO journal (type, task, data, at) VALUES (?, ?, ?, 0)";

/** A database in a folder of its own, closed and removed afterwards. */
function inDatabase<T>(schema: string, body: (db: DatabaseSync) => Promise<T>): Promise<T> {
  return inScratch(async (folder) => {
    const db = new DatabaseSync(join(folder, "floor.db"));
    try {
      db.exec(`PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; ${schema}`);
      return await body(db);
    } finally {
      db.close();
    }
  });
}

/** Writes that wait in the same turn of the event loop share one commit. */
export function groupCommits(db: DatabaseSync): <T>(body: () => T) => Promise<T> {
  let waiting: (() => () => void)[] = [];
  const flush = () => {
    const batch = waiting;
    waiting = [];
    db.exec("BEGIN IMMEDIATE");
    const told = batch.map((run) => run());
    db.exec("COMMIT");
    for (const tell of told) tell();
  };
  return (body) =>
    new Promise((resolve) => {
      if (waiting.length === 0) setImmediate(flush);
      waiting.push(() => {
        const value = body();
        return () => resolve(value);
      });
    });
}

/** Create, claim, complete a task, each with one row of the journal: three commits. */
export function sqliteCycles(times: number, width: number): Promise<Floor> {
  const schema = `CREATE TABLE tasks (id INTEGER PRIMARY KEY, status TEXT, priority INT,
      epoch INT DEFAULT 0, holder TEXT, expires INT, input TEXT, result TEXT);
    CREATE INDEX ready ON tasks (priority, id) WHERE status = 'queued'; ${JOURNAL}`;
  return inDatabase(schema, async (db) => {
    const insert = db.prepare(
      "INSERT INTO tasks (status, priority, input) VALUES ('queued', 5, ?) RETURNING id",
    );
    const tell = db.prepare(TELL);
    const claim =
      db.prepare(`UPDATE tasks SET status = 'assigned', holder = 'n', epoch = epoch + 1, expires = 9
      WHERE id = (SELECT id FROM tasks WHERE status = 'queued' ORDER BY priority, id LIMIT 1)
      RETURNING id, epoch`);
    const complete = db.prepare(`UPDATE tasks SET status = 'completed', result = ?
      WHERE id = ? AND epoch = ? AND status = 'assigned' RETURNING id`);
    const write = groupCommits(db);
    const cycle = async () => {
      await write(() => tell.run("task.created", Number(insert.get(TEXT)?.["id"]), NEWS));
      const row = await write(() => {
        const claimed = claim.get();
        tell.run("task.assigned", Number(claimed?.["id"]), NEWS);
        return claimed;
      });
      await write(() => {
        complete.get(TEXT, Number(row?.["id"]), Number(row?.["epoch"]));
        tell.run("task.completed", Number(row?.["id"]), NEWS);
      });
    };
    await paced(warmUpOf(times), width, cycle);
    return floorOf(await paced(times, width, cycle));
  });
}

/** One-row commits, one at a time. */
export function sqliteCommits(times: number): Promise<Floor> {
  return inDatabase("CREATE TABLE rows (id INTEGER PRIMARY KEY, text TEXT)", async (db) => {
    const insert = db.prepare("INSERT INTO rows (text) VALUES (?)");
    const commit = async () => {
      insert.run(TEXT);
    };
    await paced(warmUpOf(times), 1, commit);
    return floorOf(await paced(times, 1, commit));
  });
}

/**
 * Durable steps of `runs` runs at once: for each step two commits, each with the fenced task, the
 * run's counters, two recorded steps and their two rows of the journal.
 */
export function sqliteSteps(runs: number, stepsPerRun: number): Promise<Floor> {
  const schema = `CREATE TABLE tasks (id INTEGER PRIMARY KEY, epoch INT, updated INT);
    CREATE TABLE runs (id INTEGER PRIMARY KEY, steps INT, tokens INT);
    CREATE TABLE run_steps (run INT, position INT, at INT, body TEXT, PRIMARY KEY (run, position));
    ${JOURNAL}`;
  return inDatabase(schema, async (db) => {
    for (let run = 0; run < runs; run++) {
      db.prepare("INSERT INTO tasks VALUES (?, 1, 0)").run(run);
      db.prepare("INSERT INTO runs VALUES (?, 0, 0)").run(run);
    }
    const hold = db.prepare("UPDATE tasks SET updated = ? WHERE id = ? AND epoch = 1");
    const count = db.prepare(
      "UPDATE runs SET steps = steps + 2, tokens = tokens + 9 WHERE id = ? AND steps = ?",
    );
    const add = db.prepare("INSERT INTO run_steps VALUES (?, ?, 0, ?), (?, ?, 0, ?)");
    const tell = db.prepare(
      "INSERT INTO journal (type, task, data, at) VALUES ('run.step', ?, ?, 0), ('run.step', ?, ?, 0)",
    );
    const write = groupCommits(db);
    const step = async (run: number, index: number) => {
      for (const [half, [first = "", second = ""]] of STEP_BODIES.entries()) {
        const at = index * 4 + half * 2;
        await write(() => {
          hold.run(at, run);
          count.run(run, at);
          add.run(run, at, first, run, at + 1, second);
          tell.run(run, NEWS, run, NEWS);
        });
      }
    };
    const warmUp = warmUpOf(stepsPerRun);
    await lanes(runs, warmUp, step);
    return floorOf(await lanes(runs, stepsPerRun, (run, index) => step(run, warmUp + index)));
  });
}
