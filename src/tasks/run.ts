// A run: one attempt at a task, and its transcript, the recorded steps in order.
//
// A step is recorded before the next is decided, and every effect twice: the intent before it, the
// outcome after it. What stands here is all a run is; a node holds nothing that is not in it.
import { z } from "zod";
import type { RunId } from "../platform/index.ts";
import { taskId, usageView } from "./task.ts";

export const runId = z
  .custom<RunId>((value) => typeof value === "string" && /^run_[0-9a-z]{1,40}$/.test(value), {
    error: "A run id looks like run_01k9rzv3m4x7p2qa.",
  })
  .meta({ type: "string", pattern: "^run_[0-9a-z]{1,40}$" });

/** A3. How an effect may be treated when the process died between its intent and its outcome. */
export const effectClass = z.enum(["pure", "keyed", "queryable", "irreversible"]);
export type EffectClass = z.infer<typeof effectClass>;

export const toolCall = z.object({
  /** Unique in the run; models' own ids are kept in `metadata`. */
  id: z.string(),
  tool: z.string(),
  /** As the model wrote it: may be malformed JSON, which is then told to the model. */
  arguments: z.string(),
  metadata: z.json().optional(),
});
export type ToolCallView = z.infer<typeof toolCall>;

export const outcomeView = z.object({
  /**
   * done: it happened, `text` is what the model sees. refused: nothing happened, and why.
   * failed: it happened and went wrong. unknown: nobody can say whether it happened.
   */
  kind: z.enum(["done", "refused", "failed", "unknown"]),
  text: z.string(),
  /** Facts for people and programs: exit code, diff, path of the whole output. */
  facts: z.record(z.string(), z.json()).optional(),
});
export type Outcome = z.infer<typeof outcomeView>;

export const step = z.discriminatedUnion("kind", [
  /** First step of every run: who runs it, pinned. */
  z.object({
    kind: z.literal("started"),
    agent: z.string(),
    agentVersion: z.string(),
    node: z.string(),
    sandbox: z.string(),
  }),
  /** A claim took the run up again after a crash or a wait. */
  z.object({ kind: z.literal("resumed"), node: z.string(), epoch: z.int() }),
  /** Words to the agent from outside the model: children's results, a steering message. */
  z.object({ kind: z.literal("told"), from: z.string(), text: z.string() }),
  z.object({ kind: z.literal("model_asked"), model: z.string() }),
  z.object({
    kind: z.literal("model_answered"),
    model: z.string(),
    text: z.string(),
    calls: z.array(toolCall),
    finish: z.enum(["stop", "tool-calls", "length", "content-filter", "other"]),
    /** Provider's own parts (signatures, item ids), sent back on the next call. */
    metadata: z.json().optional(),
    usage: usageView,
    tookMs: z.number(),
  }),
  z.object({
    kind: z.literal("model_failed"),
    model: z.string(),
    code: z.string(),
    message: z.string(),
    retry: z.enum(["never", "later"]),
    /** A4. The kind of failure, when the provider was asked at all. */
    class: z.string().optional(),
    /** The pause the provider asked for. */
    retryAfterMs: z.int().nonnegative().optional(),
  }),
  z.object({
    kind: z.literal("tool_began"),
    call: z.string(),
    tool: z.string(),
    effect: effectClass,
    /** The parsed arguments, as they will be used. */
    arguments: z.json(),
    sandbox: z.string().optional(),
  }),
  z.object({
    kind: z.literal("tool_settled"),
    call: z.string(),
    outcome: outcomeView,
    tookMs: z.number(),
  }),
  /** The run parked; the task waits on its gate. */
  z.object({ kind: z.literal("waited"), gate: z.literal("children") }),
  z.object({
    kind: z.literal("ended"),
    how: z.enum(["completed", "failed"]),
    text: z.string(),
  }),
]);
export type Step = z.infer<typeof step>;

/** A step with its place and time in the transcript. */
export const recordedStep = z.object({ index: z.int(), at: z.iso.datetime(), step });
export type RecordedStep = z.infer<typeof recordedStep>;

/** Bytes of one step as JSON; larger outputs go to an artifact and are named in it. */
export const STEP_BYTES_MAX = 256 * 1024;

export const RUN_STATES = ["open", "completed", "failed", "lost", "cancelled"] as const;

export const runView = z.object({
  id: runId,
  task: taskId,
  root: taskId,
  agent: z.string(),
  attempt: z.int(),
  state: z.enum(RUN_STATES),
  node: z.string(),
  steps: z.int(),
  usage: usageView,
  startedAt: z.iso.datetime(),
  endedAt: z.iso.datetime().optional(),
});
export type RunView = z.output<typeof runView>;
