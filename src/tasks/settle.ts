// What the end of a task means for others: its dependants, its parent, and so on from there.
//
// DESIGN. A work list, not recursion: a chain may be as long as a graph is large. Everything is in
// the transaction that ended the first one, so nobody ever sees a dependant that waits for nothing.
// Keeps T7 and T14.
import type { TaskId } from "../platform/index.ts";
import { move, moveIfStill, type Work } from "./moves.ts";
import { CORE_COLUMNS, type CoreRow, coreRow, parsed } from "./rows.ts";
import type { TaskEvent } from "./transition.ts";

/** Tells everyone whom the end of these tasks concerns. The rows are as they are after it. */
export async function settle(work: Work, ended: readonly CoreRow[]): Promise<void> {
  const list = [...ended];
  for (let row = list.shift(); row !== undefined; row = list.shift()) {
    if (row.has_dependants === 1) list.push(...(await settleDependants(work, row)));
    if (row.parent !== null) await settleParent(work, row.parent);
  }
}

async function settleDependants(work: Work, row: CoreRow): Promise<CoreRow[]> {
  if (row.state === "completed") {
    await unblock(work, row, "");
    return [];
  }
  const notice = `${row.id} (${row.title}) is ${row.state}; this went on without it.`;
  await unblock(work, row, " AND on_failure = 'continue'", notice);
  const doomed = await work.tx.all(
    `SELECT ${CORE_COLUMNS} FROM tasks WHERE state = 'created' AND on_failure <> 'continue'
      AND id IN (SELECT task FROM task_edges WHERE blocker = ?) ORDER BY id`,
    row.id,
  );
  const ended: CoreRow[] = [];
  for (const dependant of doomed.map(coreRow)) {
    const how = { facts: { because: row.id } };
    const after = await moveIfStill(work, dependant, doomOf(dependant, row), how);
    if (after !== undefined) ended.push(after);
  }
  return ended;
}

/** T7. What a dependant's policy makes of a dependency that did not complete. */
export function doomOf(dependant: CoreRow, blocker: CoreRow): TaskEvent {
  const text = `Its dependency ${blocker.id} (${blocker.title}) is ${blocker.state}.`;
  if (dependant.on_failure === "skip") return { kind: "skip", reason: text };
  const message = `${text} Retry that one, and this is revived with it.`;
  return { kind: "doom", failure: { code: "dependency_failed", message, retry: "never" } };
}

async function unblock(work: Work, row: CoreRow, policy: string, notice?: string): Promise<void> {
  const rows = await work.tx.all(
    `UPDATE tasks SET blockers = blockers - 1, version = version + 1, updated_at = ?
      WHERE state = 'created'${policy} AND id IN (SELECT task FROM task_edges WHERE blocker = ?)
      RETURNING ${CORE_COLUMNS}`,
    work.now,
    row.id,
  );
  // RETURNING promises no order; ids do, and turns are taken in it.
  const dependants = rows.map(coreRow).sort((a, b) => (a.id < b.id ? -1 : 1));
  for (const dependant of dependants) {
    const noticed = notice === undefined ? dependant : await addNotice(work, dependant, notice);
    await becomeReady(work, noticed);
  }
}

async function addNotice(work: Work, row: CoreRow, notice: string): Promise<CoreRow> {
  const notices = JSON.stringify([...parsed<string[]>(row.notices), notice]);
  await work.tx.run("UPDATE tasks SET notices = ? WHERE id = ?", notices, row.id);
  return { ...row, notices };
}

/** Queues a created task that waits for nothing any more, neither a task nor a time. */
export async function becomeReady(work: Work, row: CoreRow): Promise<boolean> {
  if (row.state !== "created" || row.blockers > 0) return false;
  if (row.run_at !== null && row.run_at > work.now) return false;
  await move(work, row, { kind: "ready" });
  return true;
}

async function settleParent(work: Work, parent: TaskId): Promise<void> {
  const row = await work.tx.get(
    `UPDATE tasks SET open_children = open_children - 1 WHERE id = ? RETURNING ${CORE_COLUMNS}`,
    parent,
  );
  if (row !== undefined) await passGate(work, coreRow(row));
}

/** The gate of a parent that waits for its children opens when none is left. */
export async function passGate(work: Work, row: CoreRow): Promise<boolean> {
  if (row.state !== "waiting" || row.open_children > 0) return false;
  await move(work, row, { kind: "decide" }, { facts: { why: "children ended" } });
  return true;
}

const NOTICES_MAX = 50;

/** T7. What is missing below a task that is about to complete, by name. */
export async function missingBelow(work: Work, row: CoreRow): Promise<string[]> {
  if (row.children === 0) return [];
  const rows = await work.tx.all(
    `SELECT ${CORE_COLUMNS} FROM tasks WHERE parent = ? AND parent IS NOT NULL
      AND (state IN ('failed', 'cancelled', 'skipped') OR degraded = 1) ORDER BY id LIMIT ${NOTICES_MAX}`,
    row.id,
  );
  return rows.map(coreRow).map((child) => {
    const how = child.state === "completed" ? "is degraded" : `is ${child.state}`;
    return `${child.id} (${child.title}) ${how}.`;
  });
}
