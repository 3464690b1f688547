// The floors: what this machine can do at best for the same promise, with nothing of ours between.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import pg from "pg";
import { median, paced, percentile } from "./harness.ts";

const BODY = "x".repeat(500);

/** A folder of its own on the disk the work tree is on, removed afterwards. */
export async function inScratch<T>(body: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(process.env["CADRE_BENCH_FOLDER"] ?? tmpdir(), "cadre-bench-"));
  try {
    return await body(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Create, claim, complete with three journal rows, in bare node:sqlite at WAL and synchronous=FULL.
 * Writes that wait in the same turn of the event loop share one commit.
 */
export function sqliteCycles(
  times: number,
  width: number,
): Promise<{ perSecond: number; p50: number; p99: number }> {
  return inScratch(async (folder) => {
    const db = new DatabaseSync(join(folder, "floor.db"));
    db.exec(`PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
      CREATE TABLE tasks (id INTEGER PRIMARY KEY, status TEXT, priority INT, input TEXT,
        epoch INT DEFAULT 0, holder TEXT, expires INT);
      CREATE INDEX ready ON tasks (priority, id) WHERE status = 'queued';
      CREATE TABLE journal (id INTEGER PRIMARY KEY, type TEXT, task INT, data TEXT, at INT)`);
    const insert = db.prepare(
      "INSERT INTO tasks (status, priority, input) VALUES ('queued', 5, ?) RETURNING id",
    );
    const tell = db.prepare("INSERT INTO journal (type, task, data, at) VALUES (?, ?, '{}', 0)");
    const claim =
      db.prepare(`UPDATE tasks SET status = 'assigned', holder = 'n', epoch = epoch + 1, expires = 9
      WHERE id = (SELECT id FROM tasks WHERE status = 'queued' ORDER BY priority, id LIMIT 1) RETURNING id, epoch`);
    const complete = db.prepare(`UPDATE tasks SET status = 'completed', input = ?
      WHERE id = ? AND epoch = ? AND status = 'assigned' RETURNING id`);

    let waiting: (() => void)[] = [];
    const flush = () => {
      const batch = waiting;
      waiting = [];
      db.exec("BEGIN IMMEDIATE");
      for (const run of batch) run();
      db.exec("COMMIT");
      for (const run of done.splice(0)) run();
    };
    const done: (() => void)[] = [];
    const write = <T>(body: () => T): Promise<T> =>
      new Promise((resolve) => {
        if (waiting.length === 0) setImmediate(flush);
        waiting.push(() => {
          const value = body();
          done.push(() => resolve(value));
        });
      });

    const { tookMs, samples } = await paced(times, width, async () => {
      await write(() => tell.run("task.created", Number(insert.get(BODY)?.["id"])));
      const row = await write(() => {
        const claimed = claim.get();
        tell.run("task.assigned", Number(claimed?.["id"]));
        return claimed;
      });
      await write(() => {
        complete.get(BODY, Number(row?.["id"]), Number(row?.["epoch"]));
        tell.run("task.completed", Number(row?.["id"]));
      });
    });
    db.close();
    return {
      perSecond: (times / tookMs) * 1_000,
      p50: median(samples),
      p99: percentile(samples, 0.99),
    };
  });
}

/** One-row commits of bare node:sqlite at synchronous=FULL, one at a time. */
export function sqliteCommits(times: number): Promise<{ perSecond: number; p50: number }> {
  return inScratch(async (folder) => {
    const db = new DatabaseSync(join(folder, "floor.db"));
    db.exec(
      "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE rows (id INTEGER PRIMARY KEY, text TEXT)",
    );
    const insert = db.prepare("INSERT INTO rows (text) VALUES (?)");
    const samples: number[] = [];
    const startedAt = performance.now();
    for (let i = 0; i < times; i++) {
      const at = performance.now();
      insert.run(BODY);
      samples.push(performance.now() - at);
    }
    const tookMs = performance.now() - startedAt;
    db.close();
    return { perSecond: (times / tookMs) * 1_000, p50: median(samples) };
  });
}

/** The same cycle in bare `pg` with named statements, one transaction for each of its three parts. */
export async function postgresCycles(
  url: string,
  times: number,
  width: number,
): Promise<{ perSecond: number; p50: number }> {
  const pool = new pg.Pool({ connectionString: url, max: width });
  await pool.query(`DROP TABLE IF EXISTS floor_tasks, floor_journal;
    CREATE TABLE floor_tasks (id BIGSERIAL PRIMARY KEY, status TEXT, priority INT, input TEXT, epoch INT DEFAULT 0);
    CREATE INDEX floor_ready ON floor_tasks (priority, id) WHERE status = 'queued';
    CREATE TABLE floor_journal (id BIGSERIAL PRIMARY KEY, type TEXT, task BIGINT)`);
  const write = async (
    statements: readonly (readonly [string, string])[],
    values: readonly unknown[][],
  ) => {
    const client = await pool.connect();
    try {
      await client.query("BEGIN");
      let rows: Record<string, unknown>[] = [];
      for (const [i, [name, text]] of statements.entries()) {
        const result = await client.query({ name, text, values: values[i] ?? [] });
        if (i === 0) rows = result.rows as Record<string, unknown>[];
      }
      await client.query("COMMIT");
      return rows[0];
    } finally {
      client.release();
    }
  };
  const tell = ["tell", "INSERT INTO floor_journal (type, task) VALUES ($1, 1)"] as const;
  const { tookMs, samples } = await paced(times, width, async () => {
    await write(
      [
        [
          "insert",
          "INSERT INTO floor_tasks (status, priority, input) VALUES ('queued', 5, $1) RETURNING id",
        ],
        tell,
      ],
      [[BODY], ["task.created"]],
    );
    const row = await write(
      [
        [
          "claim",
          `UPDATE floor_tasks SET status = 'assigned', epoch = epoch + 1 WHERE id = (SELECT id FROM floor_tasks
            WHERE status = 'queued' ORDER BY priority, id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id, epoch`,
        ],
        tell,
      ],
      [[], ["task.assigned"]],
    );
    await write(
      [
        [
          "complete",
          "UPDATE floor_tasks SET status = 'completed', input = $1 WHERE id = $2 AND epoch = $3 RETURNING id",
        ],
        tell,
      ],
      [[BODY, row?.["id"], row?.["epoch"]], ["task.completed"]],
    );
  });
  await pool.query("DROP TABLE floor_tasks, floor_journal");
  await pool.end();
  return { perSecond: (times / tookMs) * 1_000, p50: median(samples) };
}

/** A bare `node -e 0`: what every process of ours pays before its first line. */
export function nodeSpawnMs(times: number): number {
  const samples: number[] = [];
  for (let i = 0; i < times; i++) {
    const at = performance.now();
    spawnSync(process.execPath, ["-e", "0"]);
    samples.push(performance.now() - at);
  }
  return median(samples);
}

/** Resident memory of a bare node process that waits, in MB. */
export function nodeIdleMb(): number {
  const script = "setTimeout(() => { console.log(process.memoryUsage().rss / 1e6) }, 500)";
  return Number(spawnSync(process.execPath, ["-e", script], { encoding: "utf8" }).stdout);
}

/** A bare node:http server that answers a small JSON, paced at `perSecond`; milliseconds. */
export async function rawHttp(
  times: number,
  perSecond: number,
): Promise<{ p50: number; p99: number }> {
  const server = createServer((_request, response) => {
    response.setHeader("content-type", "application/json");
    response.end('{"ok":true}');
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const samples = await httpPaced(`http://127.0.0.1:${port}/`, {}, times, perSecond);
  await new Promise((resolve) => server.close(resolve));
  return { p50: median(samples), p99: percentile(samples, 0.99) };
}

/** GETs at a fixed rate over kept connections, whatever the answers take: open loop. */
export async function httpPaced(
  url: string,
  headers: Record<string, string>,
  times: number,
  perSecond: number,
): Promise<number[]> {
  const { Agent } = await import("node:http");
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const startedAt = performance.now();
  const get = (dueAt: number): Promise<number> =>
    new Promise((resolve, reject) => {
      request(url, { agent, headers }, (response) => {
        if (response.statusCode !== 200)
          reject(new Error(`${url} answered ${response.statusCode}`));
        response.resume();
        response.on("end", () => resolve(performance.now() - dueAt));
      })
        .on("error", reject)
        .end();
    });
  const waiting: Promise<number>[] = [];
  for (let i = 0; i < times; i++) {
    const dueAt = startedAt + (i * 1_000) / perSecond;
    const waitMs = dueAt - performance.now();
    if (waitMs > 1) await new Promise((resolve) => setTimeout(resolve, waitMs));
    waiting.push(get(Math.min(dueAt, performance.now())));
  }
  const samples = await Promise.all(waiting);
  agent.destroy();
  return samples;
}
