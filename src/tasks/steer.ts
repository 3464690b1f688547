// What people do to tasks: hold, let go on, end, revive, pin, change. T13: it reaches all below.
import type { z } from "zod";
import { CadreError, type RunId } from "../platform/index.ts";
import { illegal, type Move, move, moveIfStill, takeTurn, type Work } from "./moves.ts";
import type { taskChanges } from "./operations/steer.ts";
import { routeText } from "./route.ts";
import { type CoreRow, coreRow, type FullRow, parsed, type StoredSpec } from "./rows.ts";
import { becomeReady, settle } from "./settle.ts";
import { loadCore, loadFull, subtreeOf } from "./store.ts";
import { isFinal, type TaskEvent } from "./transition.ts";

type Named = { readonly id: string; readonly reason?: string | undefined };

/** T13. Ends the task and all below it; leases are dropped, so nothing late is accepted. */
export async function cancel(work: Work, { id, reason = "Cancelled." }: Named): Promise<number> {
  const rows = await subtreeOf(work.tx, id);
  refuseFinal(rows, "cancel");
  return await cancelRows(work, rows, reason);
}

async function cancelRows(work: Work, rows: readonly CoreRow[], reason: string): Promise<number> {
  const ended: CoreRow[] = [];
  // From the leaves up: a parent's gate must not open only to be cancelled.
  for (const row of rows.filter((row) => !isFinal(row.state)).reverse()) {
    const how = { runEnds: "cancelled" } as const;
    const after = await moveIfStill(work, row, { kind: "cancel", reason }, how);
    if (after !== undefined) ended.push(after);
  }
  await settle(work, ended);
  return ended.length;
}

/** The deadline passed: the task has failed, and what is below it has no purpose any more. */
export async function expire(work: Work, row: CoreRow): Promise<void> {
  const below = (await subtreeOf(work.tx, row.id)).filter((other) => other.id !== row.id);
  const message = "Its deadline passed before it ended.";
  const failure = { code: "deadline_passed", message, retry: "never" } as const;
  const after = await moveIfStill(work, row, { kind: "expire", failure }, { runEnds: "failed" });
  if (after === undefined) return;
  await cancelRows(work, below, `${row.id} above it passed its deadline.`);
  await settle(work, [after]);
}

export async function pause(work: Work, { id, reason }: Named): Promise<number> {
  const rows = await subtreeOf(work.tx, id);
  refuseFinal(rows, "pause");
  const facts = reason === undefined ? {} : { reason };
  const open = rows.filter((row) => !isFinal(row.state) && row.paused === 0);
  return await moveAll(work, open, { kind: "pause" }, facts);
}

export async function resume(work: Work, { id, reason }: Named): Promise<number> {
  const rows = await subtreeOf(work.tx, id);
  refuseFinal(rows, "resume");
  const parent = rows[0]?.parent ?? null;
  if (parent !== null) refusePausedParent(id, await loadCore(work.tx, parent));
  const facts = reason === undefined ? {} : { reason };
  const paused = rows.filter((row) => !isFinal(row.state) && row.paused === 1);
  return await moveAll(work, paused, { kind: "resume" }, facts);
}

async function moveAll(
  work: Work,
  rows: readonly CoreRow[],
  event: TaskEvent,
  facts: NonNullable<Move["facts"]>,
): Promise<number> {
  let reached = 0;
  for (const row of rows) {
    if ((await moveIfStill(work, row, event, { facts })) !== undefined) reached += 1;
  }
  return reached;
}

/** Saying it twice is not an error; only what has ended can't be held or let go. */
function refuseFinal(rows: readonly CoreRow[], event: "cancel" | "pause" | "resume"): void {
  const top = rows[0];
  if (top !== undefined && isFinal(top.state)) throw illegal(top, event);
}

function refusePausedParent(id: string, parent: CoreRow): void {
  if (parent.paused === 0) return;
  throw new CadreError(
    "illegal_transition",
    `Task ${id} is held by its parent ${parent.id}. Resume that one: cadre tasks resume ${parent.id}`,
    { details: { task: id, parent: parent.id }, next: [`cadre tasks resume ${parent.id}`] },
  );
}

/** T6. Fresh attempts for a failed task, and for what failed or was skipped because of it. */
export async function retry(work: Work, { id, reason }: Named): Promise<number> {
  const row = await loadCore(work.tx, id);
  if (row.state !== "failed") throw illegal(row, "retry");
  await refuseOverBadDependency(work, row);
  await reopenBelow(work, row);
  const facts = reason === undefined ? {} : { reason };
  const isLate = row.deadline !== null && row.deadline <= work.now;
  const revived = await move(
    work,
    row,
    { kind: "retry" },
    isLate ? { facts: { ...facts, droppedDeadline: true }, dropDeadline: true } : { facts },
  );
  return 1 + (await reviveDependants(work, revived));
}

/** The child of an open parent counts again; below a cancelled one nothing starts. */
async function reopenBelow(work: Work, row: CoreRow): Promise<void> {
  if (row.parent === null) return;
  const parent = await loadCore(work.tx, row.parent);
  if (parent.state === "cancelled") throw illegal(parent, "retry");
  if (parent.paused === 1) refusePausedParent(row.id, parent);
  await work.tx.run("UPDATE tasks SET open_children = open_children + 1 WHERE id = ?", row.parent);
}

async function refuseOverBadDependency(work: Work, row: CoreRow): Promise<void> {
  if (row.failure === null || !row.failure.includes("dependency_failed")) return;
  const blockers = await blockersOf(work, row);
  const open = blockers.find((blocker) => blocker.state !== "completed");
  if (open === undefined) return;
  throw new CadreError(
    "illegal_transition",
    `Task ${row.id} failed because ${open.id} (${open.title}) is ${open.state}. Retry that one, and this is revived with it.`,
    {
      details: { task: row.id, state: row.state, event: "retry", blocker: open.id },
      next: [`cadre tasks retry ${open.id}`],
    },
  );
}

async function blockersOf(work: Work, row: CoreRow): Promise<CoreRow[]> {
  const rows = await work.tx.all(
    `SELECT tasks.* FROM task_edges JOIN tasks ON tasks.id = task_edges.blocker
      WHERE task_edges.task = ? ORDER BY task_edges.position`,
    row.id,
  );
  return rows.map(coreRow);
}

async function reviveDependants(work: Work, revived: CoreRow): Promise<number> {
  let count = 0;
  const list = [revived];
  for (let blocker = list.shift(); blocker !== undefined; blocker = list.shift()) {
    if (blocker.has_dependants === 0) continue;
    const rows = await work.tx.all(
      `SELECT tasks.* FROM task_edges JOIN tasks ON tasks.id = task_edges.task
        WHERE task_edges.blocker = ? AND tasks.state IN ('failed', 'skipped') ORDER BY tasks.id`,
      blocker.id,
    );
    for (const row of rows.map(coreRow)) {
      const again = await reviveOne(work, row);
      if (again === undefined) continue;
      count += 1;
      list.push(again);
    }
  }
  return count;
}

/** Undefined: something else it depends on is still failed, or it failed by itself. */
async function reviveOne(work: Work, row: CoreRow): Promise<CoreRow | undefined> {
  const byDependency = row.state === "skipped" || row.failure?.includes('"dependency_failed"');
  if (!byDependency) return undefined;
  const blockers = await blockersOf(work, row);
  if (blockers.some((other) => isFinal(other.state) && other.state !== "completed"))
    return undefined;
  const parent = row.parent === null ? undefined : await loadCore(work.tx, row.parent);
  if (parent?.state === "cancelled") return undefined;
  const open = blockers.filter((other) => !isFinal(other.state)).length;
  await work.tx.run("UPDATE tasks SET blockers = ? WHERE id = ?", open, row.id);
  const { run_at: runAt } = row;
  const again = await move(work, row, { kind: "revive", blockers: open, runAt });
  if (parent !== undefined) {
    await work.tx.run("UPDATE tasks SET open_children = open_children + 1 WHERE id = ?", parent.id);
  }
  await becomeReady(work, again);
  return again;
}

/** Pins a task that is not held and not final. An open run of another agent is lost by it. */
export async function assign(work: Work, id: string, agent: string): Promise<void> {
  const row = await loadFull(work.tx, id);
  if (row.state !== "created" && row.state !== "queued" && row.state !== "waiting") {
    throw new CadreError(
      "illegal_transition",
      `Task ${id} is ${row.state}: only one that nobody holds can be pinned. Pause it first: cadre tasks pause ${id}`,
      {
        details: { task: id, state: row.state, event: "assign" },
        next: [`cadre tasks pause ${id}`],
      },
    );
  }
  const route = routeText({ ...parsed<StoredSpec>(row.spec), agent });
  const keeps = row.run !== null && (await runAgent(work, row)) === agent;
  const lost = row.run === null || keeps ? {} : { run: row.run };
  if (row.run !== null && !keeps) await loseRun(work, row.run);
  await work.tx.run(
    `UPDATE tasks SET agent = ?, route = ?, home_route = ?, run = ?, updated_at = ?,
      version = version + 1 WHERE id = ?`,
    agent,
    route,
    route,
    keeps ? row.run : null,
    work.now,
    id,
  );
  work.emit({ type: "task.updated", root: row.root, task: row.id, ...lost, data: { agent } });
}

async function runAgent(work: Work, row: FullRow): Promise<string | undefined> {
  const run = await work.tx.get("SELECT agent FROM runs WHERE id = ?", row.run);
  return run === undefined ? undefined : String(run["agent"]);
}

async function loseRun(work: Work, run: RunId): Promise<void> {
  await work.tx.run("UPDATE runs SET state = 'lost', ended_at = ? WHERE id = ?", work.now, run);
}

type Changes = z.output<typeof taskChanges>;

export async function update(work: Work, changes: Changes): Promise<void> {
  const row = await loadFull(work.tx, changes.id);
  refuseChange(row, changes);
  const old = parsed<StoredSpec>(row.spec);
  const spec: StoredSpec = {
    ...old,
    instructions: changes.instructions ?? old.instructions,
    inputs: changes.inputs ?? old.inputs,
    budget: changes.budget ?? old.budget,
  };
  const priority = changes.priority ?? row.priority;
  const moves = priority !== row.priority;
  // T4. In another line it stands at the end of its root's part of it.
  const turn = moves && row.turn > 0 ? await takeTurn(work, row, priority) : row.turn;
  const changed = await work.tx.run(
    `UPDATE tasks SET title = ?, labels = ?, deadline = ?, spec = ?, priority = ?, urgency = ?, turn = ?,
      updated_at = ?, version = version + 1 WHERE id = ? AND version = ?`,
    changes.title ?? row.title,
    changes.labels === undefined ? row.labels : JSON.stringify(changes.labels),
    deadlineOf(row, changes),
    JSON.stringify(spec),
    priority,
    moves ? priority : row.urgency,
    turn,
    work.now,
    row.id,
    row.version,
  );
  if (changed === 0) throw stale(row);
  const fields = Object.keys(changes).filter((key) => key !== "id" && key !== "version");
  work.emit({ type: "task.updated", root: row.root, task: row.id, data: { fields } });
}

function deadlineOf(row: FullRow, { deadline }: Changes): number | null {
  if (deadline === undefined) return row.deadline;
  return deadline === null ? null : Date.parse(deadline);
}

function refuseChange(row: FullRow, changes: Changes): void {
  if (changes.version !== undefined && changes.version !== row.version) throw stale(row);
  const work = changes.instructions !== undefined || changes.inputs !== undefined;
  // `started_at` is set by the first claim.
  if (!isFinal(row.state) && !(work && row.started_at !== null)) return;
  const why = isFinal(row.state)
    ? "nothing of it changes any more"
    : "instructions and inputs are fixed by the first claim";
  throw new CadreError(
    "illegal_transition",
    `Task ${row.id} is ${row.state}: ${why}. Submit a new task for a new intent.`,
    { details: { task: row.id, state: row.state, event: "update" } },
  );
}

const stale = (row: FullRow): CadreError =>
  new CadreError(
    "stale_write",
    `Task ${row.id} changed in the meantime. Read it again, then change it.`,
    {
      details: { task: row.id, version: row.version },
    },
  );
