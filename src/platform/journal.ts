// The journal: audit trail, outbox and event stream in one table.
//
// DESIGN. A row is written in the transaction of the change it tells of. Readers hold a position
// and ask for what comes after it. On SQLite, with one writer, positions are counted up in commit
// order. On Postgres transactions commit out of order, so a position is (transaction id, number
// within it) packed into one integer, and readers look only below the oldest transaction that
// still runs: nothing can appear behind a cursor. The integer stays exact in JavaScript up to
// 2^37 transactions.

import { pageRows } from "./store/page-rows.ts";
import type { Migration, Row, SqlValue, Tx } from "./store/store.ts";
import { assert, type Json, type Millis } from "./words.ts";

export const JOURNAL_ROWS_PER_TX_MAX = 65_536;

export type JournalEvent = {
  readonly position: number;
  /** Noun, then past verb: `task.completed`. */
  readonly type: string;
  readonly at: Millis;
  /** Who caused it: `user:local`, `node_…`, `hub`. */
  readonly actor: string;
  /** The root of the task's tree: what a viewer of one objective asks for. */
  readonly root?: string;
  readonly task?: string;
  readonly run?: string;
  /** Ties together what one request caused. */
  readonly correlation?: string;
  readonly data: { readonly [key: string]: Json };
};

export type NewEvent = Omit<JournalEvent, "position" | "at" | "actor" | "correlation">;

export type EventFilter = {
  readonly root?: string;
  readonly task?: string;
  readonly run?: string;
  /** Exact types, or whole nouns as `task.*`. */
  readonly types?: readonly string[];
};

/** Of a task that is no root: what tells of a root is found by the root's index alone. */
const BELOW_ROOT = "(root IS NULL OR task <> root)";

const INDEXES = [
  "CREATE INDEX journal_root ON journal (root, position) WHERE root IS NOT NULL",
  `CREATE INDEX journal_task ON journal (task, position) WHERE task IS NOT NULL AND ${BELOW_ROOT}`,
];

export const journalMigration: Migration = {
  id: "0001-journal",
  up: {
    sqlite: [
      // Without AUTOINCREMENT, whose own table costs a write for each row: a position would come
      // again only after the newest row was deleted, and rows are never deleted from that end.
      `CREATE TABLE journal (
        position INTEGER PRIMARY KEY, type TEXT NOT NULL, at INTEGER NOT NULL,
        actor TEXT NOT NULL, root TEXT, task TEXT, run TEXT, correlation TEXT, data TEXT NOT NULL
      )`,
      ...INDEXES,
    ],
    postgres: [
      `CREATE TABLE journal (
        position BIGINT PRIMARY KEY, type TEXT NOT NULL, at BIGINT NOT NULL,
        actor TEXT NOT NULL, root TEXT, task TEXT, run TEXT, correlation TEXT, data TEXT NOT NULL
      )`,
      ...INDEXES,
    ],
  },
};

type Stamp = { readonly at: Millis; readonly actor: string; readonly correlation: string | null };

/** How many rows this transaction wrote so far; a transaction may append more than once. */
const written = new WeakMap<Tx, number>();

/** Writes the events in `tx`, so that they commit with the change they tell of. */
export async function appendEvents(
  tx: Tx,
  events: readonly NewEvent[],
  stamp: Stamp,
): Promise<void> {
  let number = written.get(tx) ?? 0;
  written.set(tx, number + events.length);
  assert(number + events.length <= JOURNAL_ROWS_PER_TX_MAX, "one transaction tells too much");
  for (let start = 0; start < events.length; ) {
    const size = chunkSize(events.length - start);
    const params: SqlValue[] = [];
    for (const event of events.slice(start, start + size)) {
      params.push(
        number++,
        event.type,
        stamp.at,
        stamp.actor,
        event.root ?? null,
        event.task ?? null,
        event.run ?? null,
        stamp.correlation,
        JSON.stringify(event.data),
      );
    }
    await tx.run(insertOf(tx.sql.journalPosition, size), ...params);
    start += size;
  }
}

// Few distinct sizes, so that each engine's statement cache holds them all.
const CHUNKS = [64, 8, 4, 3, 2, 1] as const;
const chunkSize = (rest: number): number => CHUNKS.find((size) => size <= rest) ?? 1;

const inserts = new Map<string, string>();

function insertOf(position: string, rows: number): string {
  const key = `${rows} ${position}`;
  let sql = inserts.get(key);
  if (sql === undefined) {
    const values = Array.from({ length: rows }, () => `(${position}, ?, ?, ?, ?, ?, ?, ?, ?)`);
    sql = `INSERT INTO journal (position, type, at, actor, root, task, run, correlation, data)
      VALUES ${values.join(", ")}`;
    inserts.set(key, sql);
  }
  return sql;
}

/** The events after a position, in order, at most `limit` of them. */
export async function readEvents(
  tx: Tx,
  filter: EventFilter,
  after: number,
  limit: number,
): Promise<JournalEvent[]> {
  const where = [tx.sql.journalSettled, "position > ?"];
  const params: SqlValue[] = [after];
  if (filter.task !== undefined) {
    where.push(`((task = ? AND ${BELOW_ROOT}) OR (root = ? AND task = root))`);
    params.push(filter.task, filter.task);
  }
  for (const column of ["root", "run"] as const) {
    const value = filter[column];
    if (value === undefined) continue;
    where.push(`${column} = ?`);
    params.push(value);
  }
  if (filter.types !== undefined && filter.types.length > 0) {
    where.push(`(${filter.types.map(typeCondition).join(" OR ")})`);
    for (const type of filter.types) {
      const noun = type.replace(/\*$/, "");
      if (noun !== type) params.push(noun.length);
      params.push(noun);
    }
  }
  const rows = await tx.all(
    `SELECT * FROM journal WHERE ${where.join(" AND ")} ORDER BY position LIMIT ${pageRows(limit)}`,
    ...params,
  );
  return rows.slice(0, limit).map(eventOf);
}

/** Not LIKE: `_` is a letter of type names, and case counts on both engines. */
const typeCondition = (type: string): string =>
  type.endsWith("*") ? "substr(type, 1, ?) = ?" : "type = ?";

/** The position of the newest settled event, 0 when there is none. */
export async function journalHead(tx: Tx): Promise<number> {
  const row = await tx.get(
    `SELECT position FROM journal WHERE ${tx.sql.journalSettled} ORDER BY position DESC LIMIT 1`,
  );
  return row === undefined ? 0 : Number(row["position"]);
}

function eventOf(row: Row): JournalEvent {
  return {
    position: Number(row["position"]),
    type: String(row["type"]),
    at: Number(row["at"]),
    actor: String(row["actor"]),
    ...(row["root"] == null ? {} : { root: String(row["root"]) }),
    ...(row["task"] == null ? {} : { task: String(row["task"]) }),
    ...(row["run"] == null ? {} : { run: String(row["run"]) }),
    ...(row["correlation"] == null ? {} : { correlation: String(row["correlation"]) }),
    data: JSON.parse(String(row["data"])) as JournalEvent["data"],
  };
}
