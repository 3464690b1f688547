// What a live view knows: the tree of one objective, folded from lists and events. Pure.
import type { JournalEvent, Json, Millis } from "../../../platform/index.ts";
import type { TaskView } from "../../../tasks/index.ts";

export type Activity = { readonly text: string; readonly at: Millis; readonly steps: number };

export type Happening = {
  readonly at: Millis;
  readonly type: string;
  readonly task: string;
  readonly text: string;
};

export type View = {
  readonly root: string;
  readonly objective: string;
  /** Bounds the root's own run, not what the tasks below it cost. */
  readonly budgetUsd: number | undefined;
  /** Every task of the tree, the root included, as last listed. */
  readonly tasks: readonly TaskView[];
  /** The newest step of each task's run. */
  readonly activity: ReadonlyMap<string, Activity>;
  /** The newest things that happened, oldest first. */
  readonly tail: readonly Happening[];
};

const TAIL_MAX = 50;

export const emptyView = (
  root: string,
  objective: string,
  budgetUsd: number | undefined,
): View => ({
  root,
  objective,
  budgetUsd,
  tasks: [],
  activity: new Map(),
  tail: [],
});

export const withTasks = (view: View, tasks: readonly TaskView[]): View => ({ ...view, tasks });

/** Types told in the tail; steps show as the activity of their agent. */
const TOLD = new Set([
  "task.started",
  "task.waiting",
  "task.completed",
  "task.failed",
  "task.cancelled",
  "task.skipped",
  "task.paused",
  "task.resumed",
  "task.requeued",
  "task.retried",
]);

export function withEvent(view: View, event: JournalEvent): View {
  const { task } = event;
  if (task === undefined) return view;
  if (event.type === "run.step") {
    const text = activityOf(event.data);
    if (text === undefined) return view;
    const steps = (view.activity.get(task)?.steps ?? 0) + 1;
    return { ...view, activity: new Map(view.activity).set(task, { text, at: event.at, steps }) };
  }
  if (!TOLD.has(event.type)) return view;
  const happening = { at: event.at, type: event.type, task, text: reasonOf(event.data) };
  return { ...view, tail: [...view.tail, happening].slice(-TAIL_MAX) };
}

type Facts = { readonly [key: string]: Json };

const text = (facts: Facts, ...names: readonly string[]): string => {
  for (const name of names) {
    const value = facts[name];
    if (typeof value === "string" && value !== "") return value;
  }
  return "";
};

/** What an agent is doing, from the summary of its newest step. */
export function activityOf(facts: Facts): string | undefined {
  const said = text(facts, "text");
  switch (text(facts, "kind")) {
    case "model_asked":
      return `model, ${text(facts, "model")}`;
    case "model_answered":
      return said === "" ? undefined : said;
    case "model_failed":
      return `model failed: ${text(facts, "message", "text", "code")}`;
    case "tool_began":
      return `${text(facts, "tool")} ${argumentOf(said)}`.trim();
    case "waited":
      return "waits for its tasks";
    default:
      return undefined;
  }
}

/** The event carries the head of the arguments as JSON, which may be cut in mid-text. */
function argumentOf(head: string): string {
  const match = /"(?:command|path|pattern|reason|summary)":"((?:[^"\\]|\\.)*)/.exec(head);
  return (match?.[1] ?? head).replace(/\\(.)/g, (_, letter: string) =>
    letter === "n" ? " " : letter,
  );
}

const reasonOf = (facts: Facts): string => text(facts, "reason", "why", "message", "agent");

// ---- What follows from it -----------------------------------------------------------------

export const rootOf = (view: View): TaskView | undefined =>
  view.tasks.find((task) => task.id === view.root);

/** The tasks of the plan, in the order they were made. */
export const planOf = (view: View): readonly TaskView[] =>
  view.tasks.filter((task) => task.id !== view.root).toSorted((a, b) => (a.id < b.id ? -1 : 1));

const ENDED = new Set<TaskView["state"]>(["completed", "failed", "cancelled", "skipped"]);
export const isEnded = (task: Pick<TaskView, "state">): boolean => ENDED.has(task.state);

export type Phase =
  | "starting"
  | "planning"
  | "working"
  | "finishing"
  | "paused"
  | TaskView["state"];

export function phaseOf(view: View): Phase {
  const root = rootOf(view);
  if (root === undefined) return "starting";
  if (isEnded(root)) return root.state;
  if (root.paused) return "paused";
  const plan = planOf(view);
  if (plan.length === 0) return root.startedAt === undefined ? "starting" : "planning";
  return plan.every(isEnded) ? "finishing" : "working";
}

export function doneOf(view: View): { readonly done: number; readonly all: number } {
  const plan = planOf(view);
  return { done: plan.filter((task) => task.state === "completed").length, all: plan.length };
}
