// A13. A planner's plan, checked before a single task of it exists.
import { z } from "zod";
import { nearest } from "../platform/index.ts";
import type { Agent } from "./agent.ts";

export const PLAN_TASKS_MAX = 200;

const plannedTask = z.strictObject({
  key: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, {
      error: "A key has 1 to 64 of letters, digits, dot, dash and underscore.",
    })
    .describe("Short name of this task inside the plan, for `after` of the others."),
  title: z.string().trim().min(1).max(200).describe("What is to be done, in one line."),
  instructions: z
    .string()
    .trim()
    .min(1)
    .max(50_000)
    .describe(
      "All the agent needs: it sees neither this conversation nor the other tasks. Name files, the wanted behaviour, and how to check it.",
    ),
  agent: z.string().optional().describe("Name of the agent that shall do it."),
  capabilities: z
    .array(z.string())
    .max(32)
    .optional()
    .describe("Instead of an agent: any agent that has all of these."),
  after: z
    .array(z.string())
    .max(PLAN_TASKS_MAX)
    .optional()
    .describe("Keys of tasks that must end first. Tasks without a common path run in parallel."),
  priority: z.int().min(0).max(9).optional().describe("0 to 9; 5 when absent. Higher goes first."),
  onFailure: z
    .enum(["fail", "skip", "continue"])
    .optional()
    .describe("What becomes of this task when one it comes after fails; `fail` when absent."),
});

/** What the tool `plan` takes. The descriptions are for the model. */
export const planSchema = z.strictObject({
  summary: z.string().trim().min(1).max(4_000).describe("The plan in a few sentences, for people."),
  // Not bounded here: a plan with too many tasks is told so together with its other problems.
  tasks: z.array(plannedTask).describe(`The tasks, 1 to ${PLAN_TASKS_MAX}.`),
});
export type Plan = z.output<typeof planSchema>;

/** Ready to be delegated: every choice made, every key known. */
export type PlannedTask = {
  readonly key: string;
  readonly title: string;
  readonly instructions: string;
  readonly agent?: string;
  readonly capabilities: string[];
  readonly after: string[];
  readonly priority?: number;
  readonly onFailure: "fail" | "skip" | "continue";
};

export type CheckedPlan =
  | { readonly kind: "valid"; readonly tasks: PlannedTask[] }
  | { readonly kind: "invalid"; readonly problems: string[] };

export type PlanTeam = readonly Pick<Agent, "name" | "capabilities" | "roles">[];

/**
 * Every problem at once, in sentences that say what would be right: the planner repairs by them.
 * `planner` is the name of the agent whose plan it is.
 */
export function checkPlan(plan: Plan, team: PlanTeam, planner: string): CheckedPlan {
  const size = sizeProblems(plan);
  // A plan far too large is not worth a look at each of its tasks.
  if (size.length > 0) return { kind: "invalid", problems: size };
  const routing = { team, workers: workersOf(team, planner), planner };
  const problems = [
    ...keyProblems(plan),
    ...plan.tasks.flatMap((task) => routeProblems(task, routing)),
    ...cycleProblems(plan),
  ];
  if (problems.length > 0) return { kind: "invalid", problems };
  return { kind: "valid", tasks: plan.tasks.map(settled) };
}

type Routing = {
  readonly team: PlanTeam;
  /** Those who may get a task. */
  readonly workers: PlanTeam;
  readonly planner: string;
};

/** A task of a plan for the planner itself, or for one who only plans, might never end. */
const workersOf = (team: PlanTeam, planner: string): PlanTeam =>
  team.filter(({ name, roles }) => name !== planner && roles.some((role) => role !== "planner"));

function settled(task: Plan["tasks"][number]): PlannedTask {
  return {
    key: task.key,
    title: task.title,
    instructions: task.instructions,
    ...(task.agent === undefined ? {} : { agent: task.agent }),
    capabilities: [...new Set(task.capabilities ?? [])],
    after: [...new Set(task.after ?? [])],
    ...(task.priority === undefined ? {} : { priority: task.priority }),
    onFailure: task.onFailure ?? "fail",
  };
}

function sizeProblems(plan: Plan): string[] {
  const { length } = plan.tasks;
  if (length === 0) {
    return ["The plan has no task. Plan at least one, or give up and say why nothing can be done."];
  }
  if (length <= PLAN_TASKS_MAX) return [];
  return [`The plan has ${length} tasks; at most ${PLAN_TASKS_MAX} are allowed. Make larger ones.`];
}

function keyProblems(plan: Plan): string[] {
  const problems: string[] = [];
  const keys = new Set<string>();
  for (const { key } of plan.tasks) {
    if (keys.has(key)) problems.push(`Two tasks have the key "${key}". Give each its own.`);
    keys.add(key);
  }
  for (const { key, after = [] } of plan.tasks) {
    for (const other of after) {
      if (keys.has(other)) continue;
      problems.push(
        `Task "${key}" comes after "${other}", which is not in the plan.${hint(other, keys)}`,
      );
    }
  }
  return problems;
}

function routeProblems(task: Plan["tasks"][number], routing: Routing): string[] {
  const { workers } = routing;
  const wanted = task.capabilities ?? [];
  if (task.agent === undefined && wanted.length === 0) {
    return [
      `Task "${task.key}" names neither an agent nor capabilities. Agents: ${namesOf(workers)}.`,
    ];
  }
  if (task.agent !== undefined) {
    const agent = workers.find(({ name }) => name === task.agent);
    if (agent === undefined) return [noWorker(task.key, task.agent, routing)];
    const missing = wanted.filter((one) => !agent.capabilities.includes(one));
    if (missing.length === 0) return [];
    return [
      `Task "${task.key}" wants ${missing.join(", ")} of ${agent.name}, which does not offer that.`,
    ];
  }
  if (workers.some((agent) => wanted.every((one) => agent.capabilities.includes(one)))) return [];
  const offered = new Set(workers.flatMap(({ capabilities }) => capabilities));
  const missing = wanted.filter((one) => !offered.has(one));
  if (missing.length === 0) {
    return [
      `Task "${task.key}" wants ${wanted.join(", ")} of one agent; no agent has all of them.`,
    ];
  }
  return missing.map(
    (one) =>
      `Task "${task.key}" wants the capability "${one}", which no agent has.${hint(one, offered)}`,
  );
}

function noWorker(key: string, name: string, { team, workers, planner }: Routing): string {
  if (name === planner) {
    return `Task "${key}" is given to you, ${name}: a planner gives tasks to others. Agents: ${namesOf(workers)}.`;
  }
  if (team.some((agent) => agent.name === name)) {
    return `Task "${key}" is given to ${name}, which only plans. Agents: ${namesOf(workers)}.`;
  }
  const names = workers.map((agent) => agent.name);
  return `Task "${key}" is given to "${name}", which is not in the team.${hint(name, names)}`;
}

const namesOf = (team: PlanTeam): string => team.map(({ name }) => name).join(", ") || "none";

function hint(name: string, candidates: Iterable<string>): string {
  const all = [...candidates];
  const meant = nearest(name, all);
  if (meant !== undefined) return ` Did you mean "${meant}"?`;
  return all.length === 0 ? "" : ` There are: ${all.slice(0, 20).join(", ")}.`;
}

/** Names one cycle, in the order in which its tasks would wait for each other. */
function cycleProblems(plan: Plan): string[] {
  const after = new Map(plan.tasks.map((task) => [task.key, task.after ?? []]));
  // Takes away what waits for nothing, until nothing is left, or only what waits for itself.
  const left = new Map(after);
  let size = -1;
  while (size !== left.size) {
    size = left.size;
    for (const [key, others] of left) {
      if (!others.some((other) => left.has(other))) left.delete(key);
    }
  }
  const first = left.keys().next().value;
  if (first === undefined) return [];
  const path: string[] = [];
  let at: string | undefined = first;
  while (at !== undefined && !path.includes(at)) {
    path.push(at);
    at = left.get(at)?.find((other) => left.has(other));
  }
  const cycle = at === undefined ? path : [...path.slice(path.indexOf(at)), at];
  return [`These tasks wait for each other: ${cycle.join(" after ")}. Take one "after" away.`];
}
