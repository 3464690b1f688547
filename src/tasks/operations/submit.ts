// How work is handed in.
import { z } from "zod";
import { operation } from "../../operations/index.ts";
import { workOf } from "../moves.ts";
import { createTask, createTasks } from "../submit.ts";
import { GRAPH_TASKS_MAX, taskId, taskSpec, taskView } from "../task.ts";
import { taskViewOf } from "../views.ts";

export const submitTask = operation({
  name: "tasks.submit",
  summary: "Queue a task for the team.",
  effect: "write",
  permission: "operate",
  http: "POST /tasks",
  input: taskSpec,
  output: taskView,
  refusals: ["not_found", "idempotency_conflict", "limit_exceeded", "illegal_transition"],
  command: {
    args: ["title"],
    examples: [
      'cadre tasks submit "Update the changelog" --agent writer',
      'cadre tasks submit "Deploy" --after task_01k9rzv3m4x7p2qa',
    ],
  },
  async handle(context, { idempotencyKey: _, ...spec }) {
    return await taskViewOf(context.tx, await createTask(workOf(context), spec));
  },
});

export const graphTask = taskSpec.omit({ idempotencyKey: true }).extend({
  /** Names this task inside the graph, for `after` and `parent` of the others. */
  key: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/),
  /** The id of a task that exists, or a key of this graph. */
  parent: z.string().min(1).max(100).optional(),
});

export const submitGraph = operation({
  name: "tasks.submitGraph",
  summary: "Queue a whole graph of tasks in one transaction; a cycle is refused with its name.",
  effect: "write",
  permission: "operate",
  http: "POST /tasks/graph",
  input: z.strictObject({
    tasks: z.array(graphTask).min(1).max(GRAPH_TASKS_MAX),
    idempotencyKey: z.string().min(1).max(200).optional(),
  }),
  output: z.object({ tasks: z.array(z.object({ key: z.string(), id: taskId })) }),
  refusals: ["not_found", "idempotency_conflict", "limit_exceeded", "illegal_transition"],
  inputBytesMax: 32 * 1024 * 1024,
  async handle(context, { tasks }) {
    return { tasks: await createTasks(workOf(context), tasks) };
  },
});
