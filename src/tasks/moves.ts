// Moves a task: asks the pure rule, writes what it said, tells the journal.
//
// The UPDATE's WHERE repeats what the decision was made on: no row back means that somebody else
// moved the task in between, and it is decided anew.
import type { Context } from "../operations/index.ts";
import { assert, CadreError, iso, type Json } from "../platform/index.ts";
import { nextTurn } from "./order.ts";
import { type CoreRow, coreOf } from "./rows.ts";
import { largestTurn, loadCore, smallestTurn } from "./store.ts";
import {
  isFinal,
  type LeaseLoss,
  type TaskCore,
  type TaskEvent,
  transition,
} from "./transition.ts";

/** A context, and what one operation remembers while it moves many tasks. */
export type Work = Context & { readonly turns: Map<string, number> };

export const workOf = (context: Context): Work => ({ ...context, turns: new Map() });

type Placed = Pick<CoreRow, "root" | "parent">;

/** T4. The turn of a task that joins the queue now; counted on for tasks of the same root. */
export async function takeTurn(
  work: Work,
  { root, parent }: Placed,
  urgency: number,
): Promise<number> {
  const key = `${urgency} ${root}`;
  // A root comes before its tree: nothing of it stands in the queue that it could stand behind.
  const queued = parent === null ? null : await largestTurn(work.tx, root, urgency);
  const last = work.turns.get(key) ?? queued;
  const turn = nextTurn(await todaysTurn(work, urgency), last);
  work.turns.set(key, turn);
  return turn;
}

async function todaysTurn(work: Work, urgency: number): Promise<number | null> {
  const key = `${urgency}`;
  const known = work.turns.get(key);
  if (known !== undefined) return known;
  const smallest = await smallestTurn(work.tx, urgency);
  if (smallest !== null) work.turns.set(key, smallest);
  return smallest;
}

export type Move = {
  /** Facts for the journal, beside from and to. */
  readonly facts?: { readonly [key: string]: Json };
  /** A result as JSON, for a task that completes. */
  readonly result?: string;
  readonly notices?: readonly string[];
  /** How the open run ends, when it does and is not closed yet. */
  readonly runEnds?: "completed" | "failed" | "lost" | "cancelled";
  /** Drop a deadline that has passed: an operator revives the task. */
  readonly dropDeadline?: true;
  /** The run has ended with its last steps: the task lets go of it. */
  readonly runClosed?: true;
};

const TRIES_MAX = 5;

/** Moves one task. Throws `lease_lost` or `illegal_transition`; the row is as it was read. */
export async function move(
  work: Work,
  row: CoreRow,
  event: TaskEvent,
  how: Move = {},
): Promise<CoreRow> {
  const out = await attempt(work, row, event, how);
  if (out.kind === "refused") throw out.error;
  return out.row;
}

/**
 * Moves one task of many that were read before: undefined when it went another way in between, as
 * it can where transactions overlap. What it did then has told everyone it concerns.
 */
export async function moveIfStill(
  work: Work,
  row: CoreRow,
  event: TaskEvent,
  how: Move = {},
): Promise<CoreRow | undefined> {
  const out = await attempt(work, row, event, how);
  return out.kind === "refused" ? undefined : out.row;
}

type Attempt =
  | { readonly kind: "moved"; readonly row: CoreRow }
  | { readonly kind: "refused"; readonly error: CadreError };

async function attempt(work: Work, row: CoreRow, event: TaskEvent, how: Move): Promise<Attempt> {
  let before = row;
  for (let tries = 1; ; tries++) {
    const out = transition(started(before, event), event, work.now);
    if (out.kind === "refused") {
      const lost = out.why === "lease_lost";
      const error = lost ? leaseLost(before, out.reason) : illegal(before, out.event);
      return { kind: "refused", error };
    }
    const after = await write(work, before, out.task, event, how);
    if (after !== undefined) return { kind: "moved", row: after };
    assert(tries < TRIES_MAX, `${row.id} does not hold still`);
    before = await loadCore(work.tx, row.id);
  }
}

/** A worker that ends or parks a task it was just given has started it on the way. */
const startsFirst = (row: CoreRow, event: TaskEvent): boolean =>
  row.state === "assigned" &&
  (event.kind === "complete" || event.kind === "fail" || event.kind === "wait");

function started(row: CoreRow, event: TaskEvent): TaskCore {
  const core = coreOf(row);
  if (!startsFirst(row, event)) return core;
  const out = transition(core, { kind: "start", epoch: core.epoch }, 0);
  assert(out.kind === "moved", "an assigned task can be started");
  return out.task;
}

const UPDATE = (result: string) => `UPDATE tasks SET state = ?, paused = ?, attempts = ?,
  lease_epoch = ?, lease_node = ?, lease_agent = ?, lease_expires_at = ?, attempt_ends_at = ?,
  available_at = ?, urgency = ?, turn = ?, lifted_at = ?, run = ?, route = ?, ended_at = ?,
  degraded = ?, notices = ?, failure = ?, reason = ?, deadline = ?, updated_at = ?,
  version = version + 1${result}
  WHERE id = ? AND state = ? AND paused = ? AND lease_epoch = ?
  RETURNING blockers, open_children, children, has_dependants, version`;
const UPDATE_PLAIN = UPDATE("");
const UPDATE_RESULT = UPDATE(", result = ?");

async function write(
  work: Work,
  before: CoreRow,
  task: TaskCore,
  event: TaskEvent,
  how: Move,
): Promise<CoreRow | undefined> {
  const after = await columnsOf(work, before, task, how);
  const counters = await work.tx.get(
    how.result === undefined ? UPDATE_PLAIN : UPDATE_RESULT,
    after.state,
    after.paused,
    after.attempts,
    after.lease_epoch,
    after.lease_node,
    after.lease_agent,
    after.lease_expires_at,
    after.attempt_ends_at,
    after.available_at,
    after.urgency,
    after.turn,
    after.lifted_at,
    after.run,
    after.route,
    after.ended_at,
    after.degraded,
    after.notices,
    after.failure,
    after.reason,
    after.deadline,
    work.now,
    ...(how.result === undefined ? [] : [how.result]),
    before.id,
    before.state,
    before.paused,
    before.lease_epoch,
  );
  if (counters === undefined) return undefined;
  if (how.runEnds !== undefined && before.run !== null) await closeRun(work, before, how.runEnds);
  tell(work, before, after, event, how);
  // Counters are written by others, relative to what stands there: what came back is the truth.
  return Object.assign(after, counters);
}

async function columnsOf(work: Work, before: CoreRow, task: TaskCore, how: Move): Promise<CoreRow> {
  const { state } = task;
  const leased = state.kind === "assigned" || state.kind === "executing";
  const joins = state.kind === "queued" && before.state !== "queued";
  const ends = isFinal(state.kind);
  const revived = isFinal(before.state) && !ends;
  const fresh = joins && (before.turn === 0 || revived);
  const closes = how.runEnds !== undefined || how.runClosed === true;
  const notices = how.notices === undefined ? before.notices : JSON.stringify(how.notices);
  return {
    ...before,
    state: state.kind,
    paused: task.paused ? 1 : 0,
    attempts: task.attempts,
    // A dropped lease takes its number with it, so that no late write passes for a new one.
    lease_epoch: task.epoch,
    lease_node: leased ? state.lease.node : null,
    lease_agent: leased ? state.lease.agent : null,
    lease_expires_at: leased ? state.lease.expiresAt : null,
    attempt_ends_at: leased ? before.attempt_ends_at : null,
    available_at: state.kind === "queued" ? state.availableAt : 0,
    urgency: fresh || revived ? before.priority : before.urgency,
    turn: await turnOf(work, before, { fresh, waits: state.kind === "created" }),
    lifted_at: joins ? work.now : before.lifted_at,
    run: closes ? null : before.run,
    route: closes ? before.home_route : before.route,
    ended_at: ends ? work.now : null,
    degraded: state.kind === "completed" && notices !== "[]" ? 1 : 0,
    notices,
    failure: state.kind === "failed" ? JSON.stringify(state.failure) : null,
    reason: state.kind === "cancelled" || state.kind === "skipped" ? state.reason : null,
    deadline: how.dropDeadline ? null : before.deadline,
  };
}

/** What is created again has no turn: it joins at the end of its root's line. */
async function turnOf(
  work: Work,
  row: CoreRow,
  how: { readonly fresh: boolean; readonly waits: boolean },
): Promise<number> {
  if (how.fresh) return await takeTurn(work, row, row.priority);
  return how.waits ? 0 : row.turn;
}

async function closeRun(
  work: Work,
  row: CoreRow,
  state: NonNullable<Move["runEnds"]>,
): Promise<void> {
  await work.tx.run(
    "UPDATE runs SET state = ?, ended_at = ? WHERE id = ? AND state = 'open'",
    state,
    work.now,
    row.run,
  );
}

const TYPES: { readonly [K in TaskEvent["kind"]]: string } = {
  ready: "task.queued",
  claim: "task.assigned",
  start: "task.started",
  release: "task.requeued",
  lose: "task.requeued",
  complete: "task.completed",
  fail: "task.requeued",
  wait: "task.waiting",
  decide: "task.queued",
  review: "task.reviewing",
  approve: "task.completed",
  reject: "task.requeued",
  doom: "task.failed",
  skip: "task.skipped",
  expire: "task.failed",
  cancel: "task.cancelled",
  pause: "task.paused",
  resume: "task.resumed",
  retry: "task.retried",
  revive: "task.retried",
};

function tell(work: Work, before: CoreRow, after: CoreRow, event: TaskEvent, how: Move): void {
  const type = after.state === "failed" ? "task.failed" : TYPES[event.kind];
  const { id: task, root } = before;
  const run = before.run ?? undefined;
  const failure = after.failure === null ? {} : { failure: JSON.parse(after.failure) as Json };
  work.emit({
    type,
    root,
    task,
    ...(run === undefined ? {} : { run }),
    data: {
      from: before.state,
      to: after.state,
      ...(type === "task.completed" ? { degraded: after.degraded === 1 } : {}),
      ...failure,
      ...(after.reason === null ? {} : { reason: after.reason }),
      ...how.facts,
    },
  });
}

export function illegal(row: CoreRow, event: TaskEvent["kind"]): CadreError {
  const paused = row.paused === 1 ? " and paused" : "";
  return new CadreError(
    "illegal_transition",
    `Task ${row.id} is ${row.state}${paused}: "${event}" is not possible now. See what it waits for: cadre tasks why ${row.id}`,
    {
      details: { task: row.id, state: row.state, event, paused: row.paused === 1 },
      next: [`cadre tasks why ${row.id}`],
    },
  );
}

/** T3. Why a late or foreign write is refused. */
export function leaseLost(row: CoreRow, loss: LeaseLoss): CadreError {
  return new CadreError("lease_lost", `${whyLost(row.id, loss)} Stop, and record nothing more.`, {
    details: { task: row.id, why: loss.kind },
  });
}

export function whyLost(id: string, loss: LeaseLoss): string {
  if (loss.kind === "ended") return `Task ${id} is ${loss.state}.`;
  if (loss.kind === "paused") return `Task ${id} is paused.`;
  if (loss.kind === "not_held") return `Task ${id} is ${loss.state}: the lease was taken back.`;
  return `Task ${id} is held by ${loss.lease.node} until ${iso(loss.lease.expiresAt)}, under epoch ${loss.lease.epoch}.`;
}
