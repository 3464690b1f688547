// For workers: every write carries the epoch of the claim (T3). And the sweep.
import { z } from "zod";
import { operation } from "../../operations/index.ts";
import { claim } from "../claim.ts";
import { workOf } from "../moves.ts";
import { runId, step } from "../run.ts";
import { sweep } from "../sweep.ts";
import { failureView, resultView, TASK_STATES, taskId, taskView } from "../task.ts";
import { abandon, complete, delegate, extend, fail, record, release } from "../work.ts";
import { graphTask } from "./submit.ts";

const nodeId = z.string().regex(/^node_[0-9a-z]{1,40}$/);

export const offer = z.strictObject({
  agent: z.string(),
  capabilities: z.array(z.string()),
  /** How many tasks of this agent the node takes at once. */
  slots: z.int().min(0).max(10_000),
});

export const offerAgents = operation({
  name: "tasks.offer",
  summary: "Say which agents a node hosts; replaces what it said before.",
  effect: "write",
  permission: "work",
  http: "PUT /nodes/:node/offers",
  input: z.strictObject({
    node: nodeId,
    offers: z.array(offer).max(10_000),
    labels: z.record(z.string(), z.string()).default({}),
    region: z.string().optional(),
  }),
  output: z.object({}),
  refusals: [],
  command: null,
  async handle({ tx, now }, { node, ...body }) {
    await tx.run(
      `INSERT INTO offers (node, at, body) VALUES (?, ?, ?)
        ON CONFLICT (node) DO UPDATE SET at = excluded.at, body = excluded.body`,
      node,
      now,
      JSON.stringify(body),
    );
    return {};
  },
});

export const claimAnswer = z.object({
  claims: z.array(
    z.object({
      task: taskView,
      epoch: z.int(),
      run: runId,
      /** Steps recorded so far: more than 0 means take the run up again. */
      steps: z.int(),
      /** T4's fence for time: when the attempt is over, whatever the heartbeats. */
      attemptEndsAt: z.iso.datetime(),
    }),
  ),
  /** When something that waits for time becomes ready for this node; null: nothing known. */
  readyAt: z.iso.datetime().nullable(),
});

export const claimRequest = z.strictObject({
  node: nodeId,
  /** Free slots by agent; agents not offered are ignored. */
  free: z.record(z.string(), z.int().min(0)),
  limit: z.int().min(1).max(256).default(16),
  leaseMs: z.int().min(1_000).max(600_000).default(60_000),
});

export const claimTasks = operation({
  name: "tasks.claim",
  summary: "Take ready tasks that the node's free agents can do, best first.",
  effect: "write",
  permission: "work",
  http: "POST /nodes/:node/claims",
  input: claimRequest,
  output: claimAnswer,
  refusals: [],
  command: null,
  async handle(context, input) {
    return await claim(workOf(context), input);
  },
});

export const heartbeat = operation({
  name: "tasks.heartbeat",
  summary: "Extend the leases a node holds, and learn which it must stop.",
  effect: "write",
  permission: "work",
  http: "POST /nodes/:node/heartbeats",
  input: z.strictObject({
    node: nodeId,
    leaseMs: z.int().min(1_000).max(600_000).default(60_000),
    held: z.array(z.strictObject({ task: taskId, epoch: z.int() })).max(10_000),
  }),
  output: z.object({
    /** Claims that are no longer this node's: stop at once, record nothing more. */
    lost: z.array(z.object({ task: taskId, epoch: z.int(), why: z.string() })),
  }),
  refusals: [],
  command: null,
  async handle(context, { node, held, leaseMs }) {
    return { lost: await extend(workOf(context), node, held, leaseMs) };
  },
});

export const releaseTask = operation({
  name: "tasks.release",
  summary: "Give a claimed task back unharmed: the attempt does not count.",
  effect: "write",
  permission: "work",
  http: "POST /tasks/:id/release",
  input: z.strictObject({ id: taskId, epoch: z.int() }),
  output: z.object({}),
  refusals: ["not_found", "lease_lost"],
  command: null,
  async handle(context, fence) {
    await release(workOf(context), fence);
    return {};
  },
});

export const abandonNode = operation({
  name: "tasks.abandon",
  summary: "Requeue all that a dead node held, without waiting for its leases.",
  effect: "write",
  permission: "work",
  http: "POST /nodes/:node/abandon",
  input: z.strictObject({ node: nodeId }),
  output: z.object({ requeued: z.int() }),
  refusals: [],
  command: null,
  async handle(context, { node }) {
    return { requeued: await abandon(workOf(context), node) };
  },
});

const fenced = { id: taskId, epoch: z.int() };
/** Steps that commit with the change; `at` is the index the first of them must get. */
const withSteps = {
  run: runId,
  at: z.int().min(0),
  steps: z.array(step).max(1_000).default([]),
};

export const recordSteps = operation({
  name: "runs.record",
  summary: "Append steps to a run's transcript; the first one moves the task to executing.",
  effect: "write",
  permission: "work",
  http: "POST /tasks/:id/steps",
  input: z.strictObject({
    ...fenced,
    ...withSteps,
    /** T8. 0 to 1, and a note. */
    progress: z.number().min(0).max(1).optional(),
    note: z.string().max(500).optional(),
  }),
  output: z.object({ next: z.int() }),
  refusals: ["not_found", "lease_lost", "stale_write"],
  command: null,
  inputBytesMax: 16 * 1024 * 1024,
  async handle(context, fence) {
    return { next: await record(workOf(context), fence) };
  },
});

export const completeTask = operation({
  name: "tasks.complete",
  summary: "End a task with its result; its dependants become ready.",
  effect: "write",
  permission: "work",
  http: "POST /tasks/:id/complete",
  input: z.strictObject({ ...fenced, ...withSteps, result: resultView }),
  output: z.object({}),
  refusals: ["not_found", "lease_lost", "stale_write", "illegal_transition"],
  command: null,
  inputBytesMax: 16 * 1024 * 1024,
  async handle(context, fence) {
    await complete(workOf(context), fence);
    return {};
  },
});

export const failTask = operation({
  name: "tasks.fail",
  summary: "End an attempt that went wrong: another one after a pause, or the task has failed.",
  effect: "write",
  permission: "work",
  http: "POST /tasks/:id/fail",
  input: z.strictObject({ ...fenced, ...withSteps, failure: failureView }),
  output: z.object({ state: z.enum(TASK_STATES) }),
  refusals: ["not_found", "lease_lost", "stale_write", "illegal_transition"],
  command: null,
  inputBytesMax: 16 * 1024 * 1024,
  async handle(context, fence) {
    const { state } = await fail(workOf(context), fence);
    return { state };
  },
});

export const delegateTask = operation({
  name: "tasks.delegate",
  summary:
    "Create tasks below a claimed one and park it until they have ended, in one transaction.",
  effect: "write",
  permission: "work",
  http: "POST /tasks/:id/delegate",
  input: z.strictObject({
    ...fenced,
    ...withSteps,
    tasks: z
      .array(graphTask.omit({ parent: true }))
      .min(1)
      .max(1_000),
  }),
  output: z.object({ tasks: z.array(z.object({ key: z.string(), id: taskId })) }),
  refusals: ["not_found", "lease_lost", "stale_write", "illegal_transition", "limit_exceeded"],
  command: null,
  inputBytesMax: 16 * 1024 * 1024,
  async handle(context, fence) {
    return { tasks: await delegate(workOf(context), fence) };
  },
});

export const sweepTasks = operation({
  name: "tasks.sweep",
  summary:
    "Move what time moves: due starts, expired leases, deadlines, ageing; and mend what broke a promise.",
  effect: "write",
  permission: "work",
  http: "POST /tasks/sweep",
  input: z.strictObject({ limit: z.int().min(1).max(10_000).default(1_000) }),
  output: z.object({
    moved: z.int(),
    /** T14: open tasks found in none of the four classes, and put right. Always a bug to look at. */
    mended: z.int(),
    /** When there is something to do next; null: nothing waits for time. */
    dueAt: z.iso.datetime().nullable(),
  }),
  refusals: [],
  command: null,
  async handle(context, { limit }) {
    return await sweep(workOf(context), limit);
  },
});
