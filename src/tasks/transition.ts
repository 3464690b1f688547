// T2. The one table of a task's life, and the one function that walks it.
//
// Everything that changes a task's state asks here first. `TRANSITIONS` is data: the diagram in
// the docs is drawn from it and the property tests hold every move against it.
import { type Millis, type NodeId, unreachable } from "../platform/index.ts";
import { afterFailure, isSpent } from "./retry.ts";
import type { Failure, Lease, TaskResult, TaskState } from "./task.ts";

/** What a move is decided on; the rest of a task does not matter to it. */
export type TaskCore = {
  readonly state: TaskState;
  /** A flag, not a state: a paused task keeps its place and is not claimed. */
  readonly paused: boolean;
  readonly attempts: number;
  readonly attemptsMax: number;
  /** Epoch of the last claim, also when no lease is held: it never goes back. */
  readonly epoch: number;
};

export type TaskEvent =
  /** Nothing it waited for is left. */
  | { readonly kind: "ready" }
  | {
      readonly kind: "claim";
      readonly node: NodeId;
      readonly agent: string;
      readonly leaseMs: Millis;
    }
  /** The first recorded step. */
  | { readonly kind: "start"; readonly epoch: number }
  | { readonly kind: "release"; readonly epoch: number }
  /** The lease ran out or its node is gone. Progress gives the attempt back. */
  | { readonly kind: "lose"; readonly epoch: number; readonly progressed: boolean }
  | { readonly kind: "complete"; readonly epoch: number; readonly result: TaskResult }
  | {
      readonly kind: "fail";
      readonly epoch: number;
      readonly failure: Failure;
      readonly backoffMs: Millis;
    }
  | { readonly kind: "wait"; readonly epoch: number; readonly open: number }
  /** The gate is decided. */
  | { readonly kind: "decide" }
  | { readonly kind: "review"; readonly epoch: number }
  | { readonly kind: "approve"; readonly result: TaskResult }
  | { readonly kind: "reject"; readonly failure: Failure; readonly reviewsLeft: number }
  /** T7. A dependency ended badly and the policy is to fail, or to skip. */
  | { readonly kind: "doom"; readonly failure: Failure }
  | { readonly kind: "skip"; readonly reason: string }
  /** The deadline passed. */
  | { readonly kind: "expire"; readonly failure: Failure }
  | { readonly kind: "cancel"; readonly reason: string }
  | { readonly kind: "pause" }
  | { readonly kind: "resume" }
  /** An operator gives a failed task fresh attempts. */
  | { readonly kind: "retry" }
  /** What failed or was skipped because of a retried task waits for it again. */
  | { readonly kind: "revive"; readonly blockers: number; readonly runAt: Millis | null };

export type StateKind = TaskState["kind"];
export type EventKind = TaskEvent["kind"];

export type Transition =
  | { readonly kind: "moved"; readonly task: TaskCore }
  | {
      readonly kind: "refused";
      readonly why: "illegal";
      readonly state: StateKind;
      readonly event: EventKind;
    }
  | { readonly kind: "refused"; readonly why: "lease_lost"; readonly reason: LeaseLoss };

/** Why a worker's write is refused. */
export type LeaseLoss =
  | { readonly kind: "ended"; readonly state: StateKind }
  | { readonly kind: "paused" }
  | { readonly kind: "not_held"; readonly state: StateKind }
  | { readonly kind: "held"; readonly lease: Lease };

type Edge = { readonly from: readonly StateKind[]; readonly to: readonly StateKind[] };

const OPEN = ["created", "queued", "assigned", "executing", "reviewing", "waiting"] as const;
const LEASED = ["assigned", "executing"] as const;

/** Every edge there is: state × event → states it may lead to. */
export const TRANSITIONS = {
  ready: { from: ["created"], to: ["queued"] },
  claim: { from: ["queued"], to: ["assigned"] },
  start: { from: ["assigned"], to: ["executing"] },
  release: { from: LEASED, to: ["queued"] },
  lose: { from: LEASED, to: ["queued", "failed"] },
  complete: { from: ["executing"], to: ["completed"] },
  fail: { from: ["executing"], to: ["queued", "failed"] },
  wait: { from: ["executing", "reviewing"], to: ["waiting"] },
  decide: { from: ["waiting"], to: ["queued"] },
  review: { from: ["executing"], to: ["reviewing"] },
  approve: { from: ["reviewing"], to: ["completed"] },
  reject: { from: ["reviewing"], to: ["queued", "failed"] },
  doom: { from: ["created"], to: ["failed"] },
  skip: { from: ["created"], to: ["skipped"] },
  expire: { from: OPEN, to: ["failed"] },
  cancel: { from: OPEN, to: ["cancelled"] },
  pause: { from: OPEN, to: ["created", "queued", "reviewing", "waiting"] },
  resume: {
    from: ["created", "queued", "reviewing", "waiting"],
    to: ["created", "queued", "reviewing", "waiting"],
  },
  retry: { from: ["failed"], to: ["queued"] },
  revive: { from: ["failed", "skipped"], to: ["created"] },
} as const satisfies { readonly [K in EventKind]: Edge };

/** Decides a task's next state. No I/O, no clock: `now` is passed in. Keeps T2 and T3. */
export function transition(task: TaskCore, event: TaskEvent, now: Millis): Transition {
  // The fence first: who lost the lease learns why, whatever state the task is in by now.
  const loss = "epoch" in event ? leaseLoss(task, event.epoch) : undefined;
  if (loss !== undefined) return { kind: "refused", why: "lease_lost", reason: loss };
  const edge: Edge = TRANSITIONS[event.kind];
  const paused = event.kind === "pause" || event.kind === "resume";
  if (
    !edge.from.includes(task.state.kind) ||
    (paused && task.paused === (event.kind === "pause"))
  ) {
    return { kind: "refused", why: "illegal", state: task.state.kind, event: event.kind };
  }
  // A flag on the queue's way out: a paused task is not to be had.
  if (event.kind === "claim" && (task.paused || !isReady(task.state, now))) {
    return { kind: "refused", why: "illegal", state: task.state.kind, event: event.kind };
  }
  return { kind: "moved", task: moved(task, event, now) };
}

/** Undefined while the epoch is the one that holds the task. */
export function leaseLoss(task: TaskCore, epoch: number): LeaseLoss | undefined {
  const { state } = task;
  if (state.kind === "assigned" || state.kind === "executing") {
    return state.lease.epoch === epoch ? undefined : { kind: "held", lease: state.lease };
  }
  if (isFinal(state.kind)) return { kind: "ended", state: state.kind };
  return task.paused ? { kind: "paused" } : { kind: "not_held", state: state.kind };
}

export const isFinal = (state: StateKind): boolean =>
  state === "completed" || state === "failed" || state === "cancelled" || state === "skipped";

const isReady = (state: TaskState, now: Millis): boolean =>
  state.kind === "queued" && state.availableAt <= now;

function moved(task: TaskCore, event: TaskEvent, now: Millis): TaskCore {
  switch (event.kind) {
    case "ready":
    case "decide":
      return { ...task, state: READY };
    case "claim": {
      const epoch = task.epoch + 1;
      const lease = { node: event.node, agent: event.agent, epoch, expiresAt: now + event.leaseMs };
      return { ...task, state: { kind: "assigned", lease }, attempts: task.attempts + 1, epoch };
    }
    case "start":
      return { ...task, state: { kind: "executing", lease: leaseOf(task) } };
    case "release":
      return { ...task, state: READY, attempts: task.attempts - 1 };
    case "lose":
      return afterLoss(task, event.progressed);
    case "complete":
    case "approve":
      return { ...task, state: { kind: "completed", result: event.result } };
    case "fail":
      return { ...task, state: afterFailure(task, event.failure, now + event.backoffMs) };
    case "wait":
      return {
        ...task,
        state: { kind: "waiting", gate: { kind: "children", open: event.open } },
        attempts: Math.max(0, task.attempts - 1),
      };
    case "review":
      return { ...task, state: { kind: "reviewing" } };
    case "reject":
      if (event.reviewsLeft > 0) return { ...task, state: READY };
      return { ...task, state: { kind: "failed", failure: event.failure } };
    case "doom":
    case "expire":
      return { ...task, state: { kind: "failed", failure: event.failure } };
    case "skip":
      return { ...task, state: { kind: "skipped", reason: event.reason } };
    case "cancel":
      return { ...task, state: { kind: "cancelled", reason: event.reason } };
    case "pause":
      if (task.state.kind !== "assigned" && task.state.kind !== "executing") {
        return { ...task, paused: true };
      }
      return { ...task, state: READY, paused: true, attempts: task.attempts - 1 };
    case "resume":
      return { ...task, paused: false };
    case "retry":
      return { ...task, state: READY, paused: false, attempts: 0 };
    case "revive":
      return {
        ...task,
        state: { kind: "created", blockers: event.blockers, runAt: event.runAt },
        attempts: 0,
      };
    default:
      return unreachable(event);
  }
}

/** Available at 0: at once. A later time is only written for a backoff. */
const READY: TaskState = { kind: "queued", availableAt: 0 };

/** T3. A task that takes its worker down again and again ends; it never loops. */
function afterLoss(task: TaskCore, progressed: boolean): TaskCore {
  if (progressed) return { ...task, state: READY, attempts: task.attempts - 1 };
  if (!isSpent(task)) return { ...task, state: READY };
  const failure: Failure = {
    code: "poisoned",
    message: `Its worker went silent without progress in each of ${task.attempts} attempts. Look at its runs, then retry it.`,
    retry: "never",
  };
  return { ...task, state: { kind: "failed", failure } };
}

function leaseOf(task: TaskCore): Lease {
  if (task.state.kind === "assigned" || task.state.kind === "executing") return task.state.lease;
  throw new Error(`A ${task.state.kind} task has no lease.`);
}
