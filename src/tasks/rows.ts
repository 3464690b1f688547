// Rows of tasks and runs as they lie in the store, and what rules see of them.
import type { Json, Millis, NodeId, Row, RunId, TaskId } from "../platform/index.ts";
import type { Failure, TaskResult, TaskSpec, TaskState } from "./task.ts";
import type { StateKind, TaskCore } from "./transition.ts";

/** The columns a move is decided on and writes; the wide ones stay unread. */
export const CORE_COLUMNS = `id, root, parent, state, paused, version, priority, urgency, turn,
  lifted_at, available_at, attempts, attempts_max, attempt_timeout_ms, lease_epoch, lease_node,
  lease_agent, lease_expires_at, attempt_ends_at, progressed, run, blockers, dependencies,
  has_dependants, open_children, children, run_at, deadline, started_at, ended_at, degraded,
  on_failure, route, home_route, title, reason, notices, failure`;

export type CoreRow = {
  readonly id: TaskId;
  readonly root: TaskId;
  readonly parent: TaskId | null;
  readonly state: StateKind;
  readonly paused: 0 | 1;
  readonly version: number;
  readonly priority: number;
  readonly urgency: number;
  /** T4. 0: it has not joined the queue yet. */
  readonly turn: number;
  readonly lifted_at: Millis;
  /** 0, except while a backoff lasts. */
  readonly available_at: Millis;
  readonly attempts: number;
  readonly attempts_max: number;
  readonly attempt_timeout_ms: Millis;
  readonly lease_epoch: number;
  readonly lease_node: NodeId | null;
  readonly lease_agent: string | null;
  readonly lease_expires_at: Millis | null;
  readonly attempt_ends_at: Millis | null;
  /** The run recorded an outcome since it was claimed. */
  readonly progressed: 0 | 1;
  /** The run that is open, also while nobody holds the task. */
  readonly run: RunId | null;
  readonly blockers: number;
  readonly dependencies: number;
  readonly has_dependants: 0 | 1;
  readonly open_children: number;
  readonly children: number;
  readonly run_at: Millis | null;
  readonly deadline: Millis | null;
  readonly started_at: Millis | null;
  readonly ended_at: Millis | null;
  readonly degraded: 0 | 1;
  readonly on_failure: TaskSpec["onFailure"];
  /** The line it stands in: as asked for, or pinned to the agent whose run is open. */
  readonly route: string;
  readonly home_route: string;
  readonly title: string;
  readonly reason: string | null;
  readonly notices: string;
  readonly failure: string | null;
};

export type FullRow = CoreRow & {
  readonly created_at: Millis;
  readonly updated_at: Millis;
  readonly progress: number | null;
  readonly type: string;
  readonly agent: string | null;
  readonly note: string | null;
  readonly labels: string;
  readonly spec: string;
  readonly result: string | null;
};

/** What of a specification no query asks for. */
export type StoredSpec = Pick<
  TaskSpec,
  "instructions" | "capabilities" | "preferred" | "inputs" | "placement" | "budget"
> & { readonly workspace: NonNullable<TaskSpec["workspace"]> };

export type RunRow = {
  readonly id: RunId;
  readonly task: TaskId;
  readonly root: TaskId;
  readonly agent: string;
  readonly attempt: number;
  readonly state: "open" | "completed" | "failed" | "lost" | "cancelled";
  readonly node: string;
  readonly steps: number;
  readonly started_at: Millis;
  readonly ended_at: Millis | null;
} & UsageRow;

export type UsageRow = {
  readonly tokens_in: number;
  readonly tokens_out: number;
  readonly tokens_cached: number;
  readonly cost_usd: number;
  /** How many answers had no price. */
  readonly unpriced: number;
  readonly model_calls: number;
  readonly tool_calls: number;
  readonly rehearsed: number;
};

// The schema is ours and typed by its migration: a row is believed, its JSON columns are parsed.
export const coreRow = (row: Row): CoreRow => row as unknown as CoreRow;
export const fullRow = (row: Row): FullRow => row as unknown as FullRow;
export const runRow = (row: Row): RunRow => row as unknown as RunRow;

export const parsed = <T extends Json | StoredSpec | Failure | TaskResult>(text: string): T =>
  JSON.parse(text) as T;

export function coreOf(row: CoreRow): TaskCore {
  return {
    state: stateOf(row),
    paused: row.paused === 1,
    attempts: row.attempts,
    attemptsMax: row.attempts_max,
    epoch: row.lease_epoch,
  };
}

function stateOf(row: CoreRow): TaskState {
  switch (row.state) {
    case "created":
      return { kind: "created", blockers: row.blockers, runAt: row.run_at };
    case "queued":
      return { kind: "queued", availableAt: row.available_at };
    case "assigned":
    case "executing":
      return {
        kind: row.state,
        lease: {
          node: row.lease_node ?? "node_unknown",
          agent: row.lease_agent ?? "",
          epoch: row.lease_epoch,
          expiresAt: row.lease_expires_at ?? 0,
        },
      };
    case "reviewing":
      return { kind: "reviewing" };
    case "waiting":
      return { kind: "waiting", gate: { kind: "children", open: row.open_children } };
    case "completed":
      // The result is wide and decides nothing: it is read where it is shown.
      return { kind: "completed", result: { text: "" } };
    case "failed":
      return { kind: "failed", failure: failureOf(row) };
    case "cancelled":
    case "skipped":
      return { kind: row.state, reason: row.reason ?? "" };
  }
}

const UNKNOWN_FAILURE: Failure = { code: "internal", message: "Not recorded.", retry: "never" };

export const failureOf = (row: CoreRow): Failure =>
  row.failure === null ? UNKNOWN_FAILURE : parsed<Failure>(row.failure);
