// What people do to tasks that are there.
import { z } from "zod";
import { type Context, operation } from "../../operations/index.ts";
import { type Work, workOf } from "../moves.ts";
import { assign, cancel, pause, resume, retry, update } from "../steer.ts";
import { loadFull } from "../store.ts";
import { taskId, taskSpec, taskView } from "../task.ts";
import { taskViewOf } from "../views.ts";

export const taskChanges = z.strictObject({
  id: taskId,
  /** The version the change was made on; refused when it changed since. */
  version: z.int().optional(),
  title: taskSpec.shape.title.optional(),
  priority: z.int().min(0).max(9).optional(),
  labels: taskSpec.shape.labels.unwrap().optional(),
  deadline: z.iso.datetime({ offset: true }).nullable().optional(),
  budget: taskSpec.shape.budget.unwrap().optional(),
  instructions: z.string().optional(),
  inputs: z.record(z.string(), z.json()).optional(),
});

export const updateTask = operation({
  name: "tasks.update",
  summary:
    "Change a task: title, priority, labels, deadline and budget until it is final; instructions and inputs until it is first claimed.",
  effect: "write",
  permission: "operate",
  http: "PATCH /tasks/:id",
  input: taskChanges,
  output: taskView,
  refusals: ["not_found", "illegal_transition", "stale_write"],
  command: { args: ["id"] },
  async handle(context, changes) {
    await update(workOf(context), changes);
    return await taskViewOf(context.tx, await loadFull(context.tx, changes.id));
  },
});

const subtree = z.strictObject({ id: taskId, reason: z.string().max(500).optional() });
const reached = z.object({
  task: taskView,
  /** Tasks that changed, the named one included. */ reached: z.int(),
});

export const pauseTask = operation({
  name: "tasks.pause",
  summary: "Hold a task and everything below it; what runs stops at its next step.",
  effect: "write",
  permission: "operate",
  http: "POST /tasks/:id/pause",
  input: subtree,
  output: reached,
  refusals: ["not_found", "illegal_transition"],
  command: { args: ["id"] },
  handle: reaching(pause),
});

export const resumeTask = operation({
  name: "tasks.resume",
  summary: "Let a held task and everything below it go on.",
  effect: "write",
  permission: "operate",
  http: "POST /tasks/:id/resume",
  input: subtree,
  output: reached,
  refusals: ["not_found", "illegal_transition"],
  command: { args: ["id"] },
  handle: reaching(resume),
});

export const cancelTask = operation({
  name: "tasks.cancel",
  summary: "End a task and everything below it; no new effect starts once this is answered.",
  effect: "write",
  permission: "operate",
  http: "POST /tasks/:id/cancel",
  input: subtree,
  output: reached,
  refusals: ["not_found", "illegal_transition"],
  command: {
    args: ["id"],
    examples: ['cadre tasks cancel task_01k9rzv3m4x7p2qa --reason "Not needed"'],
  },
  handle: reaching(cancel),
});

export const retryTask = operation({
  name: "tasks.retry",
  summary:
    "Revive a failed task with fresh attempts, and what was failed or skipped because of it.",
  effect: "write",
  permission: "operate",
  http: "POST /tasks/:id/retry",
  input: subtree,
  output: reached,
  refusals: ["not_found", "illegal_transition"],
  command: { args: ["id"] },
  handle: reaching(retry),
});

export const assignTask = operation({
  name: "tasks.assign",
  summary: "Pin a task that has not started to one agent.",
  effect: "write",
  permission: "operate",
  http: "POST /tasks/:id/assign",
  input: z.strictObject({ id: taskId, agent: z.string().min(1).max(64) }),
  output: taskView,
  refusals: ["not_found", "illegal_transition"],
  command: { args: ["id", "agent"] },
  async handle(context, { id, agent }) {
    await assign(workOf(context), id, agent);
    return await taskViewOf(context.tx, await loadFull(context.tx, id));
  },
});

type Named = z.output<typeof subtree>;

/** Runs a rule that reaches a subtree, and answers with the task it was asked for. */
function reaching(rule: (work: Work, named: Named) => Promise<number>) {
  return async (context: Context, named: Named) => {
    const reached = await rule(workOf(context), named);
    return { task: await taskViewOf(context.tx, await loadFull(context.tx, named.id)), reached };
  };
}
