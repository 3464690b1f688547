// What anyone may ask about tasks and runs.
import { z } from "zod";
import { operation } from "../../operations/index.ts";
import { counts, find, history, list, listOfRuns, whyNot } from "../look.ts";
import { RUN_STATES, recordedStep, runId, runView } from "../run.ts";
import { loadFull } from "../store.ts";
import { TASK_STATES, taskId, taskView } from "../task.ts";
import { loadRun, readSteps } from "../transcript.ts";
import { runViewOf, taskViewOf } from "../views.ts";

const page = {
  limit: z.coerce.number().int().min(1).max(500).default(100),
  /** From the answer before, to go on. */
  cursor: z.string().max(200).optional(),
};

export const taskList = z.object({ items: z.array(taskView), next: z.string().nullable() });

export const taskFilter = z.strictObject({
  ...page,
  state: z.enum(TASK_STATES).optional(),
  /** Only tasks that are not final. */
  open: z.stringbool().or(z.boolean()).optional(),
  root: taskId.optional(),
  parent: taskId.optional(),
  agent: z.string().optional(),
  type: z.string().optional(),
  /** `name=value` of one label. */
  label: z.string().optional(),
});

export const listTasks = operation({
  name: "tasks.list",
  summary: "List tasks: what needs someone first, then what moves, then what waits.",
  effect: "read",
  permission: "read",
  http: "GET /tasks",
  input: taskFilter,
  output: taskList,
  refusals: [],
  async handle({ tx }, input) {
    return await list(tx, input);
  },
});

export const getTask = operation({
  name: "tasks.get",
  summary: "Show one task.",
  effect: "read",
  permission: "read",
  http: "GET /tasks/:id",
  input: z.strictObject({ id: taskId }),
  output: taskView,
  refusals: ["not_found"],
  command: { args: ["id"] },
  async handle({ tx }, { id }) {
    return await taskViewOf(tx, await loadFull(tx, id));
  },
});

export const findTask = operation({
  name: "tasks.find",
  summary: "Find the one recent task whose id ends with these characters.",
  effect: "read",
  permission: "read",
  http: "GET /tasks/find/:suffix",
  input: z.strictObject({ suffix: z.string().regex(/^[0-9a-z]{3,40}$/) }),
  output: z.object({ id: taskId }),
  refusals: ["not_found", "limit_exceeded"],
  command: null,
  async handle({ tx }, { suffix }) {
    return await find(tx, suffix);
  },
});

export const taskStory = z.object({
  transitions: z.array(
    z.object({
      at: z.iso.datetime(),
      event: z.string(),
      from: z.enum(TASK_STATES).optional(),
      to: z.enum(TASK_STATES),
      actor: z.string(),
      position: z.int(),
    }),
  ),
  durationsMs: z.partialRecord(z.enum(TASK_STATES), z.int()),
});

export const taskHistory = operation({
  name: "tasks.history",
  summary: "Show a task's way through its states, with the time spent in each.",
  effect: "read",
  permission: "read",
  http: "GET /tasks/:id/history",
  input: z.strictObject({ id: taskId }),
  output: taskStory,
  refusals: ["not_found"],
  command: { args: ["id"] },
  async handle(context, { id }) {
    return await history(context, id);
  },
});

export const whyAnswer = z.object({
  sentence: z.string(),
  /** T14: which of the four it is, or final. */
  class: z.enum(["ready", "time", "gate", "leased", "final", "paused"]),
  waitsFor: z.array(z.object({ id: taskId, title: z.string(), state: z.enum(TASK_STATES) })),
  next: z.array(z.string()),
});

export const whyTask = operation({
  name: "tasks.why",
  summary: "Say in one sentence why a task is not running.",
  effect: "read",
  permission: "read",
  http: "GET /tasks/:id/why",
  input: z.strictObject({ id: taskId }),
  output: whyAnswer,
  refusals: ["not_found"],
  command: { args: ["id"] },
  async handle(context, { id }) {
    return await whyNot(context, id);
  },
});

export const countTasks = operation({
  name: "tasks.counts",
  summary: "Count open tasks by state, and what ended today.",
  effect: "read",
  permission: "read",
  http: "GET /tasks/counts",
  input: z.strictObject({}),
  output: z.object({
    open: z.partialRecord(z.enum(TASK_STATES), z.int()),
    endedToday: z.partialRecord(z.enum(TASK_STATES), z.int()),
  }),
  refusals: [],
  command: null,
  async handle(context) {
    return await counts(context);
  },
});

export const runList = z.object({ items: z.array(runView), next: z.string().nullable() });

export const runFilter = z.strictObject({
  ...page,
  task: taskId.optional(),
  root: taskId.optional(),
  agent: z.string().optional(),
  state: z.enum(RUN_STATES).optional(),
});

export const listRuns = operation({
  name: "runs.list",
  summary: "List runs, newest first.",
  effect: "read",
  permission: "read",
  http: "GET /runs",
  input: runFilter,
  output: runList,
  refusals: [],
  async handle({ tx }, input) {
    return await listOfRuns(tx, input);
  },
});

export const getRun = operation({
  name: "runs.get",
  summary: "Show one run.",
  effect: "read",
  permission: "read",
  http: "GET /runs/:id",
  input: z.strictObject({ id: runId }),
  output: runView,
  refusals: ["not_found"],
  command: { args: ["id"] },
  async handle({ tx }, { id }) {
    return runViewOf(await loadRun(tx, id));
  },
});

export const runSteps = operation({
  name: "runs.steps",
  summary: "Read a run's transcript, step by step.",
  effect: "read",
  permission: "read",
  http: "GET /runs/:id/steps",
  input: z.strictObject({
    id: runId,
    /** Steps after this index; -1 for all. */
    after: z.coerce.number().int().min(-1).default(-1),
    limit: z.coerce.number().int().min(1).max(1000).default(200),
  }),
  output: z.object({ items: z.array(recordedStep), next: z.int().nullable() }),
  refusals: ["not_found"],
  command: { args: ["id"] },
  async handle({ tx }, { id, after, limit }) {
    const run = await loadRun(tx, id);
    const items = await readSteps(tx, id, after, limit);
    const last = items.at(-1)?.index ?? after;
    return { items, next: last + 1 < run.steps && items.length > 0 ? last : null };
  },
});
