// What a task is: its states as a union, and the shapes outsiders send and see.
import { z } from "zod";
import type { Json, Millis, NodeId, TaskId } from "../platform/index.ts";

/** The right of one node to work on a task until a time, fenced by the epoch. */
export type Lease = {
  readonly node: NodeId;
  /** The agent that was chosen for it. */
  readonly agent: string;
  readonly epoch: number;
  readonly expiresAt: Millis;
};

/** What a waiting task waits for. The lease is released; whoever decides the gate requeues it. */
export type Gate = { readonly kind: "children"; readonly open: number };

export type Failure = {
  /** An error code of the house, or a reason of the task's own: `poisoned`, `gave_up`, ... */
  readonly code: string;
  readonly message: string;
  readonly retry: "never" | "later";
};

export type TaskResult = {
  /** What the agent says of its work, for people and for dependants. */
  readonly text: string;
  readonly output?: Json;
  /** What changed in the workspace, when there is one. */
  readonly change?: Change;
};

export type Change = {
  readonly branch: string;
  /** The commit on the task's branch; absent when nothing was changed. */
  readonly commit?: string;
  readonly files: number;
  readonly insertions: number;
  readonly deletions: number;
};

export type TaskState =
  | { readonly kind: "created"; readonly blockers: number; readonly runAt: Millis | null }
  | { readonly kind: "queued"; readonly availableAt: Millis }
  | { readonly kind: "assigned"; readonly lease: Lease }
  | { readonly kind: "executing"; readonly lease: Lease }
  | { readonly kind: "reviewing" }
  | { readonly kind: "waiting"; readonly gate: Gate }
  | { readonly kind: "completed"; readonly result: TaskResult }
  | { readonly kind: "failed"; readonly failure: Failure }
  | { readonly kind: "cancelled"; readonly reason: string }
  | { readonly kind: "skipped"; readonly reason: string };

export const TASK_STATES = [
  "created",
  "queued",
  "assigned",
  "executing",
  "reviewing",
  "waiting",
  "completed",
  "failed",
  "cancelled",
  "skipped",
] as const satisfies readonly TaskState["kind"][];

export const FINAL_STATES = ["completed", "failed", "cancelled", "skipped"] as const;

// ---- Limits -------------------------------------------------------------------------------

export const GRAPH_TASKS_MAX = 10_000;
export const EDGES_PER_TASK_MAX = 1_000;
export const ATTEMPTS_MAX_DEFAULT = 4;
export const PRIORITY_DEFAULT = 5;

// ---- Shapes at the border -----------------------------------------------------------------

export const taskId = z
  .custom<TaskId>((value) => typeof value === "string" && /^task_[0-9a-z]{1,40}$/.test(value), {
    error: "A task id looks like task_01k9rzv3m4x7p2qa.",
  })
  .meta({ type: "string", pattern: "^task_[0-9a-z]{1,40}$" });

const name = z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, {
  error: "Use 1 to 64 of a-z, 0-9, dot, dash and underscore, starting with a letter or digit.",
});
const time = z.iso.datetime({ offset: true });

/** A12. Where the work happens. */
export const workspacePolicy = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("none") }),
  z.strictObject({ kind: z.literal("directory"), path: z.string().min(1) }),
  z.strictObject({
    kind: z.literal("worktree"),
    /** Absolute path of the repository. */
    repository: z.string().min(1),
  }),
]);
export type WorkspacePolicy = z.infer<typeof workspacePolicy>;

/** T12's base: bounds of this task's own runs. */
export const budget = z.strictObject({
  tokens: z.int().positive().optional(),
  costUsd: z.number().positive().optional(),
  steps: z.int().positive().optional(),
  wallMs: z.int().positive().optional(),
});
export type Budget = z.infer<typeof budget>;

export const taskSpec = z.strictObject({
  title: z.string().trim().min(1).max(500),
  instructions: z.string().default("").describe("What is to be done, in full."),
  type: name.default("task"),
  agent: name
    .optional()
    .describe("Pins the task to one agent; else any agent with the capabilities."),
  priority: z.int().min(0).max(9).default(PRIORITY_DEFAULT),
  capabilities: z.array(name).max(32).default([]).describe("All of these must be offered."),
  preferred: z
    .array(name)
    .max(32)
    .default([])
    .describe("These only rank the agents that could do it."),
  after: z
    .array(z.string().min(1).max(100))
    .max(EDGES_PER_TASK_MAX)
    .default([])
    .describe("Tasks that must end first: ids, or keys of the same graph."),
  onFailure: z
    .enum(["fail", "skip", "continue"])
    .default("fail")
    .describe("What becomes of this task when one of those fails (T7)."),
  parent: taskId.optional().describe("The task this one is a part of."),
  inputs: z.record(z.string(), z.json()).default({}).describe("Facts given to the agent."),
  labels: z.record(name, z.string().max(200)).default({}).describe("Marks to find it by."),
  placement: z
    .strictObject({ labels: z.record(name, z.string()).default({}), region: name.optional() })
    .optional()
    .describe("Node labels that must match, and a region."),
  runAt: time.optional().describe("Not before this time."),
  deadline: time.optional().describe("It fails when it has not ended by then."),
  attemptTimeoutMs: z
    .int()
    .min(1)
    .max(7 * 86_400_000)
    .default(3_600_000)
    .describe("How long one attempt may take."),
  attemptsMax: z
    .int()
    .min(1)
    .max(100)
    .default(ATTEMPTS_MAX_DEFAULT)
    .describe("Failures before it fails for good."),
  budget: budget.default({}).describe("Bounds of its own runs: tokens, costUsd, steps, wallMs."),
  workspace: workspacePolicy
    .optional()
    .describe("Where it works; default: as its parent, else none."),
  idempotencyKey: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .describe("The same key answers with the first task (T1)."),
});
export type TaskSpec = z.output<typeof taskSpec>;

export const failureView = z.object({
  code: z.string(),
  message: z.string(),
  retry: z.enum(["never", "later"]),
});

export const changeView = z.object({
  branch: z.string(),
  commit: z.string().optional(),
  files: z.int(),
  insertions: z.int(),
  deletions: z.int(),
});

export const resultView = z.object({
  text: z.string(),
  output: z.json().optional(),
  change: changeView.optional(),
});

export const usageView = z.object({
  tokensIn: z.int(),
  tokensOut: z.int(),
  tokensCached: z.int(),
  /** Null: at least one step could not be priced. */
  costUsd: z.number().nullable(),
  modelCalls: z.int(),
  toolCalls: z.int(),
  /** True when at least one answer came from a script and no model was called. */
  rehearsed: z.boolean(),
});
export type Usage = z.infer<typeof usageView>;

export const taskView = z.object({
  id: taskId,
  root: taskId,
  parent: taskId.optional(),
  title: z.string(),
  instructions: z.string(),
  type: z.string(),
  state: z.enum(TASK_STATES),
  paused: z.boolean(),
  priority: z.int(),
  agent: z.string().optional(),
  capabilities: z.array(z.string()),
  preferred: z.array(z.string()),
  after: z.array(taskId),
  onFailure: z.enum(["fail", "skip", "continue"]),
  inputs: z.record(z.string(), z.json()),
  labels: z.record(z.string(), z.string()),
  workspace: workspacePolicy,
  budget,
  attempts: z.int(),
  attemptsMax: z.int(),
  attemptTimeoutMs: z.int(),
  /** Who holds it, while assigned or executing. */
  lease: z
    .object({ node: z.string(), agent: z.string(), epoch: z.int(), expiresAt: time })
    .optional(),
  gate: z.object({ kind: z.literal("children"), open: z.int() }).optional(),
  /** While queued: not before this time. */
  availableAt: time.optional(),
  runAt: time.optional(),
  deadline: time.optional(),
  progress: z.number().min(0).max(1).optional(),
  note: z.string().optional(),
  result: resultView.optional(),
  failure: failureView.optional(),
  /** Why it was cancelled or skipped. */
  reason: z.string().optional(),
  /** T7: completed, yet something below it is missing; `notices` says what. */
  degraded: z.boolean(),
  notices: z.array(z.string()),
  /** T5: no agent that is known offers what it needs; these are missing. */
  unroutable: z.array(z.string()).optional(),
  usage: usageView,
  createdAt: time,
  updatedAt: time,
  startedAt: time.optional(),
  endedAt: time.optional(),
  /** Grows with every change; for ETag and If-Match. */
  version: z.int(),
});
export type TaskView = z.output<typeof taskView>;
