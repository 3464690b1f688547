// A hub's task room for one test, and the few moves most tests begin with.
import type { TestContext } from "node:test";
import {
  type TaskContract,
  type TaskView,
  taskMigrations,
  taskOperations,
} from "../../src/tasks/index.ts";
import { type Bench, openBench } from "./invoker.ts";

export type Claim = TaskContract["tasks.claim"]["output"]["claims"][number];
type SubmitInput = TaskContract["tasks.submit"]["input"];

export const NODE = "node_a";

export type TaskBench = Bench<TaskContract> & {
  submit(spec?: Partial<SubmitInput>): Promise<TaskView>;
  /** Submits a graph and answers ids by key. */
  graph(tasks: readonly GraphInput[]): Promise<{ readonly [key: string]: TaskView["id"] }>;
  offer(agents: { readonly [agent: string]: readonly string[] }, node?: string): Promise<void>;
  /** All agents of the node free, each with `free` slots. */
  claim(limit?: number, node?: string): Promise<Claim[]>;
  claimOne(node?: string): Promise<Claim>;
  complete(claim: Claim): Promise<void>;
  fail(claim: Claim, code?: string, retry?: "never" | "later"): Promise<string>;
  get(id: TaskView["id"]): Promise<TaskView>;
  state(id: TaskView["id"]): Promise<string>;
  sweep(): Promise<TaskContract["tasks.sweep"]["output"]>;
  /** T14, asked of the store itself: open tasks that are in none of the four classes. */
  stuck(): Promise<string[]>;
};

type GraphInput = Omit<SubmitInput, "title" | "parent"> & {
  readonly key: string;
  readonly title?: string;
  readonly parent?: string;
};

export async function openTasks(t: TestContext, seed = 1): Promise<TaskBench> {
  const bench = await openBench<TaskContract>(t, {
    migrations: taskMigrations,
    operations: taskOperations,
    seed,
  });
  const { call } = bench;
  const offered = new Map<string, string[]>();

  const api: TaskBench = {
    ...bench,
    submit: (spec = {}) => call("tasks.submit", { title: "A task", ...spec }),
    async graph(tasks) {
      const named = tasks.map((task) => ({ title: task.key, ...task }));
      const out = await call("tasks.submitGraph", { tasks: named });
      return Object.fromEntries(out.tasks.map(({ key, id }) => [key, id]));
    },
    async offer(agents, node = NODE) {
      offered.set(node, Object.keys(agents));
      const offers = Object.entries(agents).map(([agent, capabilities]) => ({
        agent,
        capabilities: [...capabilities],
        slots: 10_000,
      }));
      await call("tasks.offer", { node, offers });
    },
    async claim(limit = 256, node = NODE) {
      if (!offered.has(node)) await api.offer({ coder: [] }, node);
      const free = Object.fromEntries((offered.get(node) ?? []).map((name) => [name, 10_000]));
      return (await call("tasks.claim", { node, free, limit })).claims;
    },
    async claimOne(node = NODE) {
      const [claim] = await api.claim(1, node);
      if (claim === undefined) throw new Error("There was nothing to claim.");
      return claim;
    },
    async complete({ task, epoch, run, steps }) {
      await call("tasks.complete", {
        id: task.id,
        epoch,
        run,
        at: steps,
        result: { text: "Done." },
      });
    },
    async fail({ task, epoch, run, steps }, code = "model_failed", retry = "later") {
      const failure = { code, message: "It went wrong.", retry };
      const out = await call("tasks.fail", { id: task.id, epoch, run, at: steps, failure });
      return out.state;
    },
    get: (id) => call("tasks.get", { id }),
    state: async (id) => (await api.get(id)).state,
    sweep: () => call("tasks.sweep", {}),
    async stuck() {
      const rows = await bench.store.read((tx) => tx.all(STUCK));
      return rows.map((row) => `${row["id"]} ${row["state"]}`);
    },
  };
  return api;
}

// Written on its own, not shared with the sweep: it judges it.
const STUCK = `SELECT id, state FROM tasks AS t WHERE state NOT IN
    ('completed', 'failed', 'cancelled', 'skipped')
  AND NOT (state = 'queued' AND turn > 0)
  AND NOT (state = 'created' AND run_at IS NOT NULL AND blockers = 0)
  AND NOT (state = 'created' AND blockers > 0 AND blockers = (SELECT COUNT(*) FROM task_edges e
    JOIN tasks b ON b.id = e.blocker
    WHERE e.task = t.id AND b.state NOT IN ('completed', 'failed', 'cancelled', 'skipped')))
  AND NOT (state = 'waiting' AND open_children > 0 AND open_children = (SELECT COUNT(*) FROM tasks c
    WHERE c.parent = t.id AND c.state NOT IN ('completed', 'failed', 'cancelled', 'skipped')))
  AND NOT (state IN ('assigned', 'executing') AND paused = 0 AND lease_node IS NOT NULL
    AND lease_expires_at IS NOT NULL AND run IS NOT NULL)`;
