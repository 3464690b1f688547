// Tasks, runs and looks for tests of views: everything has a value, the test names what matters.
import type { RunView, TaskView } from "../../tasks/index.ts";
import type { Look } from "./look.ts";

/** 2026-11-20, noon. */
export const NOON = Date.parse("2026-11-20T12:00:00.000Z");
export const atNoon = (seconds: number): string => new Date(NOON + seconds * 1_000).toISOString();

export const UNUSED: TaskView["usage"] = {
  tokensIn: 0,
  tokensOut: 0,
  tokensCached: 0,
  costUsd: 0,
  modelCalls: 0,
  toolCalls: 0,
  rehearsed: false,
};

export const plainLook = (wishes: Partial<Look> = {}): Look => ({
  columns: 80,
  ascii: false,
  color: false,
  motion: true,
  timeOfDay: (at) => new Date(at).toISOString().slice(11, 19),
  ...wishes,
});

export const taskView = (given: Partial<TaskView> & Pick<TaskView, "id">): TaskView => ({
  root: "task_0000000000aaaaaa",
  title: "A task",
  instructions: "",
  type: "task",
  state: "queued",
  paused: false,
  priority: 5,
  capabilities: [],
  preferred: [],
  after: [],
  onFailure: "fail",
  inputs: {},
  labels: {},
  workspace: { kind: "none" },
  budget: {},
  attempts: 0,
  attemptsMax: 4,
  attemptTimeoutMs: 3_600_000,
  degraded: false,
  notices: [],
  usage: UNUSED,
  createdAt: atNoon(0),
  updatedAt: atNoon(0),
  version: 1,
  ...given,
});

export const runView = (given: Partial<RunView> = {}): RunView => ({
  id: "run_0000000000rrrrrr",
  task: "task_0000000000bbbbbb",
  root: "task_0000000000aaaaaa",
  agent: "coder",
  attempt: 1,
  state: "completed",
  node: "node_a",
  steps: 4,
  usage: UNUSED,
  startedAt: atNoon(0),
  endedAt: atNoon(12),
  ...given,
});

/** An objective in mid-work: two coders run, a tester waits for both, the planner for all. */
export function teamAtWork(): readonly TaskView[] {
  const root = "task_0000000000aaaaaa";
  const lease = (agent: string) => ({ node: "node_a", agent, epoch: 1, expiresAt: atNoon(120) });
  return [
    taskView({
      id: root,
      title: "Add rate limiting to the public API",
      state: "waiting",
      gate: { kind: "children", open: 3 },
      agent: "planner",
      startedAt: atNoon(1),
      usage: { ...UNUSED, costUsd: 4.92, modelCalls: 9, tokensIn: 41_000, tokensOut: 2_000 },
    }),
    taskView({
      id: "task_0000000000bbbbbb",
      root,
      parent: root,
      title: "Survey existing middleware",
      state: "completed",
      agent: "coder",
      startedAt: atNoon(10),
      endedAt: atNoon(170),
      usage: { ...UNUSED, costUsd: 0.37 },
    }),
    taskView({
      id: "task_0000000000cccccc",
      root,
      parent: root,
      title: "Token-bucket core, Redis and in-process",
      state: "executing",
      agent: "coder",
      lease: lease("coder"),
      startedAt: atNoon(171),
    }),
    taskView({
      id: "task_0000000000dddddd",
      root,
      parent: root,
      title: "Per-key quota columns and migration",
      state: "executing",
      agent: "coder",
      lease: lease("coder"),
      startedAt: atNoon(175),
    }),
    taskView({
      id: "task_0000000000eeeeee",
      root,
      parent: root,
      title: "Run all tests",
      state: "created",
      agent: "tester",
      after: ["task_0000000000cccccc", "task_0000000000dddddd"],
    }),
  ];
}
