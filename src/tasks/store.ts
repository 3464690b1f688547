// SQL of tasks: small statements the rules' shells are made of.
import { CadreError, type Row, type SqlValue, type TaskId, type Tx } from "../platform/index.ts";
import { CORE_COLUMNS, type CoreRow, coreRow, type FullRow, fullRow } from "./rows.ts";

const SELECT_CORE = `SELECT ${CORE_COLUMNS} FROM tasks WHERE id = ?`;

export async function loadCore(tx: Tx, id: string): Promise<CoreRow> {
  const row = await tx.get(SELECT_CORE, id);
  if (row === undefined) throw noTask(id);
  return coreRow(row);
}

export async function loadFull(tx: Tx, id: string): Promise<FullRow> {
  const row = await tx.get("SELECT * FROM tasks WHERE id = ?", id);
  if (row === undefined) throw noTask(id);
  return fullRow(row);
}

const noTask = (id: string): CadreError =>
  new CadreError("not_found", `There is no task ${id}. See which there are: cadre tasks list`, {
    details: { task: id },
    next: ["cadre tasks list"],
  });

// Few distinct sizes, so that each engine's statement cache holds them all.
const CHUNKS = [256, 16, 1] as const;

/**
 * Runs `text` over the values in chunks, with `(?, ?, …)` in the place of `$in`, and gathers the
 * rows. `params` come before the chunk's values.
 */
export async function allIn(
  tx: Tx,
  text: string,
  values: readonly SqlValue[],
  params: readonly SqlValue[] = [],
): Promise<Row[]> {
  const rows: Row[] = [];
  for (let start = 0; start < values.length; ) {
    const rest = values.length - start;
    const size = CHUNKS.find((chunk) => chunk <= rest) ?? 1;
    const sql = text.replace("$in", inList(size));
    rows.push(...(await tx.all(sql, ...params, ...values.slice(start, start + size))));
    start += size;
  }
  return rows;
}

const lists = new Map<number, string>();

function inList(size: number): string {
  let list = lists.get(size);
  if (list === undefined) {
    list = `(${Array.from({ length: size }, () => "?").join(", ")})`;
    lists.set(size, list);
  }
  return list;
}

export async function coresOf(tx: Tx, ids: readonly string[]): Promise<Map<TaskId, CoreRow>> {
  const rows = await allIn(tx, `SELECT ${CORE_COLUMNS} FROM tasks WHERE id IN $in`, ids);
  return new Map(rows.map((row) => [coreRow(row).id, coreRow(row)]));
}

/** Inserts rows of one shape, many in a statement. `head` is `INSERT INTO t (a, b)`. */
export async function insertMany(
  tx: Tx,
  head: string,
  rows: readonly (readonly SqlValue[])[],
): Promise<void> {
  const width = rows[0]?.length ?? 0;
  for (let start = 0; start < rows.length; ) {
    const rest = rows.length - start;
    const size = CHUNKS_OF_ROWS.find((chunk) => chunk <= rest) ?? 1;
    await tx.run(insertText(head, width, size), ...rows.slice(start, start + size).flat());
    start += size;
  }
}

const CHUNKS_OF_ROWS = [64, 8, 2, 1] as const;
const inserts = new Map<string, string>();

function insertText(head: string, width: number, size: number): string {
  const key = `${size} ${head}`;
  let sql = inserts.get(key);
  if (sql === undefined) {
    sql = `${head} VALUES ${Array.from({ length: size }, () => inList(width)).join(", ")}`;
    inserts.set(key, sql);
  }
  return sql;
}

/** T4. Today's turn at an urgency; null when nothing is queued there. */
export async function smallestTurn(tx: Tx, urgency: number): Promise<number | null> {
  const row = await tx.get(
    `SELECT turn FROM tasks WHERE urgency = ? AND state = 'queued' AND paused = 0
      AND available_at = 0 ORDER BY turn LIMIT 1`,
    urgency,
  );
  return row === undefined ? null : Number(row["turn"]);
}

/** T4. The last turn queued below a root at an urgency; null when there is none. */
export async function largestTurn(tx: Tx, root: string, urgency: number): Promise<number | null> {
  const row = await tx.get(
    `SELECT turn FROM tasks WHERE root = ? AND urgency = ? AND state = 'queued' AND paused = 0
      AND available_at = 0 AND parent IS NOT NULL ORDER BY turn DESC LIMIT 1`,
    root,
    urgency,
  );
  return row === undefined ? null : Number(row["turn"]);
}

/** The task and all below it, from the top down. */
export async function subtreeOf(tx: Tx, id: string): Promise<CoreRow[]> {
  const rows = await tx.all(
    `WITH RECURSIVE tree (member, depth) AS (
      SELECT id, 0 FROM tasks WHERE id = ?
      UNION ALL
      SELECT tasks.id, tree.depth + 1 FROM tree
        JOIN tasks ON tasks.parent = tree.member AND tasks.parent IS NOT NULL
    )
    SELECT ${CORE_COLUMNS} FROM tree JOIN tasks ON tasks.id = tree.member ORDER BY tree.depth, id`,
    id,
  );
  if (rows.length === 0) throw noTask(id);
  return rows.map(coreRow);
}
