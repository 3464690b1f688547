// What the holder of a task may do with it. Every write here carries the epoch of its claim (T3).
import type { z } from "zod";
import type { TaskId } from "../platform/index.ts";
import type { NewTask } from "./draft.ts";
import { leaseLost, type Move, move, moveIfStill, type Work, whyLost } from "./moves.ts";
import { backoffMs } from "./retry.ts";
import { CORE_COLUMNS, type CoreRow, coreOf, coreRow } from "./rows.ts";
import { missingBelow, passGate, settle } from "./settle.ts";
import { allIn, coresOf, loadCore } from "./store.ts";
import { type Created, createTasks } from "./submit.ts";
import type { Failure, resultView, TaskResult } from "./task.ts";
import { type Appended, appendSteps, isProgress } from "./transcript.ts";
import { leaseLoss, type TaskEvent } from "./transition.ts";

type Fence = { readonly id: TaskId; readonly epoch: number };
type Place = Pick<CoreRow, "id" | "root">;

/** The held task, or why it is held no more. */
async function held(work: Work, { id, epoch }: Fence): Promise<CoreRow> {
  const row = await loadCore(work.tx, id);
  const loss = leaseLoss(coreOf(row), epoch);
  if (loss !== undefined) throw leaseLost(row, loss);
  return row;
}

export type Progress = {
  readonly progress?: number | undefined;
  readonly note?: string | undefined;
};

export async function record(work: Work, fence: Fence & Appended & Progress): Promise<number> {
  const task = (await goOn(work, fence)) ?? (await start(work, fence));
  await appendSteps(work, task, fence);
  await saveProgress(work, task, fence);
  return fence.at + fence.steps.length;
}

// Keeps T3 where transactions overlap: the row is locked, and still ours, when steps are added.
const HELD = "id = ? AND lease_epoch = ? AND paused = 0";

/**
 * All but the first records of a claim: the task is executing and marked, so its wide row is only
 * looked at. Undefined: there is something to write, or the lease is lost.
 */
async function goOn(work: Work, fence: Fence & Appended): Promise<Place | undefined> {
  const { tx } = work;
  const row = await tx.get(
    `SELECT id, root FROM tasks WHERE ${HELD} AND state = 'executing' AND progressed >= ? ${tx.sql.forUpdate}`,
    fence.id,
    fence.epoch,
    progressOf(fence),
  );
  return row as Place | undefined;
}

async function start(work: Work, fence: Fence & Appended): Promise<Place> {
  const row = await held(work, fence);
  const isFirst = row.state === "assigned";
  const mine = await work.tx.run(
    `UPDATE tasks SET state = 'executing', progressed = ?, version = version + ?, updated_at = ?
      WHERE ${HELD} AND state IN ('assigned', 'executing')`,
    Math.max(row.progressed, progressOf(fence)),
    isFirst ? 1 : 0,
    work.now,
    fence.id,
    fence.epoch,
  );
  if (mine === 0) throw await lostNow(work, fence);
  if (isFirst) {
    const data = { from: "assigned", to: "executing" };
    work.emit({ type: "task.started", root: row.root, task: row.id, run: fence.run, data });
  }
  return row;
}

const progressOf = ({ steps }: Appended): 0 | 1 => (steps.some(isProgress) ? 1 : 0);

async function lostNow(work: Work, { id, epoch }: Fence) {
  const row = await loadCore(work.tx, id);
  return leaseLost(row, leaseLoss(coreOf(row), epoch) ?? { kind: "not_held", state: row.state });
}

/** T8. */
async function saveProgress(work: Work, row: Place, { progress, note }: Progress): Promise<void> {
  if (progress === undefined && note === undefined) return;
  await work.tx.run(
    `UPDATE tasks SET progress = COALESCE(?, progress), note = COALESCE(?, note), updated_at = ?,
      version = version + 1 WHERE id = ?`,
    progress ?? null,
    note ?? null,
    work.now,
    row.id,
  );
  const facts = {
    ...(progress === undefined ? {} : { progress }),
    ...(note === undefined ? {} : { note }),
  };
  work.emit({ type: "task.progress", root: row.root, task: row.id, data: facts });
}

type Result = z.output<typeof resultView>;

export async function complete(
  work: Work,
  fence: Fence & Appended & { readonly result: Result },
): Promise<void> {
  const row = await held(work, fence);
  await appendSteps(work, row, fence, "completed");
  const missing = await missingBelow(work, row);
  const notices =
    missing.length === 0 ? {} : { notices: [...(JSON.parse(row.notices) as string[]), ...missing] };
  const { epoch } = fence;
  const result = fence.result as TaskResult;
  const ended = await move(
    work,
    row,
    { kind: "complete", epoch, result },
    { facts: workerOf(row), runClosed: true, result: JSON.stringify(result), ...notices },
  );
  await settle(work, [ended]);
}

export async function fail(
  work: Work,
  fence: Fence & Appended & { readonly failure: Failure },
): Promise<CoreRow> {
  const row = await held(work, fence);
  await appendSteps(work, row, fence, "failed");
  const how: Move = { ...failFacts(row, fence.failure), runClosed: true };
  const after = await move(work, row, failEvent(work, row, fence.failure), how);
  if (after.state === "failed") await settle(work, [after]);
  return after;
}

/** Whose attempt it was, for the journal. */
const workerOf = (row: CoreRow) => ({
  agent: row.lease_agent,
  node: row.lease_node,
  attempt: row.attempts,
});

const failEvent = (work: Work, row: CoreRow, failure: Failure): TaskEvent => ({
  kind: "fail",
  epoch: row.lease_epoch,
  failure,
  backoffMs: backoffMs(row.attempts, () => work.random()),
});

const failFacts = (row: CoreRow, failure: Failure): Move => ({
  facts: { ...workerOf(row), why: failure.code, message: failure.message },
});

export async function delegate(
  work: Work,
  fence: Fence & Appended & { readonly tasks: readonly NewTask[] },
): Promise<Created[]> {
  const row = await held(work, fence);
  await appendSteps(work, row, fence);
  const created = await createTasks(
    work,
    fence.tasks.map((task) => ({ ...task, parent: row.id })),
  );
  const { open_children: open } = await loadCore(work.tx, row.id);
  const parked = await move(
    work,
    row,
    { kind: "wait", epoch: fence.epoch, open },
    { facts: { gate: "children", open } },
  );
  // All of them may have ended at birth, by the policy of a dependency that failed before.
  await passGate(work, parked);
  return created;
}

export async function release(work: Work, { id, epoch }: Fence): Promise<void> {
  const row = await loadCore(work.tx, id);
  await move(work, row, { kind: "release", epoch }, { facts: { why: "released" } });
}

// ---- Leases ---------------------------------------------------------------------------------

export type Held = { readonly task: TaskId; readonly epoch: number };
export type Lost = Held & { readonly why: string };

/** Extends what the node still holds, never past the attempt's end, and says what it lost. */
export async function extend(
  work: Work,
  node: string,
  held: readonly Held[],
  leaseMs: number,
): Promise<Lost[]> {
  const until = work.now + leaseMs;
  const rows = await allIn(
    work.tx,
    `UPDATE tasks SET lease_expires_at =
        CASE WHEN attempt_ends_at < ? THEN attempt_ends_at ELSE ? END
      WHERE lease_node = ? AND lease_expires_at IS NOT NULL AND id IN $in
      RETURNING id, lease_epoch`,
    [...new Set(held.map((claim) => claim.task))].sort(),
    [until, until, node],
  );
  const epochs = new Map(rows.map((row) => [row["id"], Number(row["lease_epoch"])]));
  const lost = held.filter((claim) => epochs.get(claim.task) !== claim.epoch);
  if (lost.length === 0) return [];
  const known = await coresOf(
    work.tx,
    lost.map((claim) => claim.task),
  );
  return lost.map((claim) => ({ ...claim, why: lossOf(known.get(claim.task), claim) }));
}

function lossOf(row: CoreRow | undefined, { task, epoch }: Held): string {
  if (row === undefined) return `There is no task ${task}.`;
  return whyLost(task, leaseLoss(coreOf(row), epoch) ?? { kind: "not_held", state: row.state });
}

/**
 * T3. The lease is gone; what the run did since its claim decides whether the attempt counts.
 * False when the task was moved in between, and nothing was lost.
 */
export async function loseLease(work: Work, row: CoreRow, why: string): Promise<boolean> {
  const progressed = row.progressed === 1;
  const spent = !progressed && row.attempts >= row.attempts_max;
  const facts = { ...workerOf(row), why };
  const after = await moveIfStill(
    work,
    row,
    { kind: "lose", epoch: row.lease_epoch, progressed },
    { facts, ...(spent ? { runEnds: "lost" } : {}) },
  );
  if (after?.state === "failed") await settle(work, [after]);
  return after !== undefined;
}

/** The attempt ran out of time: it has failed, whether or not its worker still lives. */
export async function timeOut(work: Work, row: CoreRow): Promise<void> {
  const message = `The attempt took longer than ${row.attempt_timeout_ms} ms.`;
  const failure: Failure = { code: "timed_out", message, retry: "later" };
  const how: Move = { ...failFacts(row, failure), runEnds: "failed" };
  const after = await moveIfStill(work, row, failEvent(work, row, failure), how);
  if (after?.state === "failed") await settle(work, [after]);
}

/** Takes back all that a node held. */
export async function abandon(work: Work, node: string): Promise<number> {
  // In the order of the lease's index: by id, SQLite would walk through every task there ever was.
  const rows = await work.tx.all(
    `SELECT ${CORE_COLUMNS} FROM tasks WHERE lease_expires_at IS NOT NULL AND lease_node = ?
      ORDER BY lease_expires_at`,
    node,
  );
  let requeued = 0;
  for (const row of rows.map(coreRow)) if (await loseLease(work, row, "node gone")) requeued += 1;
  return requeued;
}
