// tasks: what was asked, who holds it, how it ended; the recorded steps of each run.
//
// Owns tables tasks, task_edges, runs, run_steps, offers. Imports platform, operations.
// T2. A task ends once: completed, failed, cancelled or skipped.
// T3. At most one live lease per task; every write of a worker carries its epoch.
// T14. Every open task is ready, waiting for a time, waiting on a gate, or leased.
// P12. Every change and its journal entry commit together.
// Read in order: task.ts, transition.ts, run.ts, rows.ts, moves.ts, settle.ts, operations.ts.
import type { ContractOf } from "../operations/index.ts";
import type { taskOperations } from "./operations.ts";

export { taskMigrations } from "./migrations/0003-tasks.ts";
export { taskOperations } from "./operations.ts";
export { backoffMs } from "./retry.ts";
export {
  type EffectClass,
  type Outcome,
  type RecordedStep,
  type RunView,
  STEP_BYTES_MAX,
  type Step,
  type ToolCallView,
} from "./run.ts";
export type {
  Budget,
  Change,
  Failure,
  TaskResult,
  TaskSpec,
  TaskView,
  Usage,
  WorkspacePolicy,
} from "./task.ts";
export { TRANSITIONS } from "./transition.ts";

export type TaskContract = ContractOf<typeof taskOperations>;
