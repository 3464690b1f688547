// The tools that change the run itself: plan parks it on the tasks it creates, give_up ends it.
import { z } from "zod";
import { type Agent, checkPlan, planSchema } from "../../agents/index.ts";
import type { Json } from "../../platform/index.ts";
import type { Outcome, TaskContract, TaskView, ToolCallView } from "../../tasks/index.ts";
import { GIVE_UP, PLAN } from "./internal-names.ts";
import { parsedArguments } from "./transcript.ts";

export type PlannedTasks = TaskContract["tasks.delegate"]["input"]["tasks"];

export type InternalDecision =
  | { readonly kind: "settle"; readonly outcome: Outcome }
  | { readonly kind: "delegate"; readonly outcome: Outcome; readonly tasks: PlannedTasks };

const giveUpInput = z.strictObject({
  reason: z.string().trim().min(1).max(4_000).describe("Why the task can't be done as asked."),
});

export type ToolDescription = {
  readonly name: string;
  readonly description: string;
  readonly input: { readonly [key: string]: Json };
};

const schemaOf = (schema: z.ZodType): ToolDescription["input"] =>
  z.toJSONSchema(schema, { io: "input" }) as ToolDescription["input"];

const GIVE_UP_TOOL: ToolDescription = {
  name: GIVE_UP,
  description:
    "End the task as failed, saying why. Use it when the work can't be done or is not right; never claim success instead.",
  input: schemaOf(giveUpInput),
};

const PLAN_TOOL: ToolDescription = {
  name: PLAN,
  description:
    "Split the objective into tasks for the team. You are called again with their results when all of them have ended; then give the final account. Tasks without `after` run at the same time, each on its own copy of the files.",
  input: schemaOf(planSchema),
};

/** A13. Only a planner plans, and only an objective: a task made by a plan is not planned again. */
export const mayPlan = (agent: Pick<Agent, "roles">, task: Pick<TaskView, "parent">): boolean =>
  agent.roles.includes("planner") && task.parent === undefined;

export const internalTools = (options: { readonly hasPlan: boolean }): ToolDescription[] =>
  options.hasPlan ? [PLAN_TOOL, GIVE_UP_TOOL] : [GIVE_UP_TOOL];

/** What becomes of a call of `plan` or `give_up`. */
export function decideInternal(
  call: ToolCallView,
  facts: {
    readonly agent: Agent;
    readonly task: Pick<TaskView, "parent">;
    readonly team: readonly Agent[];
    readonly waits: number;
  },
): InternalDecision {
  const input = parsedArguments(call.arguments);
  if (call.tool === GIVE_UP) return settle(giveUpOutcome(input));
  if (!mayPlan(facts.agent, facts.task)) {
    return settle(refused(`${facts.agent.name} may not plan this task. Do the work itself.`));
  }
  if (facts.waits > 0) {
    return settle(
      refused("The plan of this objective was carried out already. Give the final account."),
    );
  }
  return decidePlan(input, facts);
}

function giveUpOutcome(input: Json | undefined): Outcome {
  const parsed = giveUpInput.safeParse(input);
  if (parsed.success) return { kind: "done", text: parsed.data.reason };
  return refused('Say why: give_up takes {"reason": "..."} with 1 to 4,000 characters.');
}

function decidePlan(
  input: Json | undefined,
  facts: { readonly agent: Agent; readonly team: readonly Agent[] },
): InternalDecision {
  if (input === undefined) return settle(invalidPlan(["The arguments are no valid JSON."]));
  const parsed = planSchema.safeParse(input);
  if (!parsed.success) {
    return settle(
      invalidPlan(
        parsed.error.issues.map(({ path, message }) => `${path.join(".") || "plan"}: ${message}`),
      ),
    );
  }
  const checked = checkPlan(parsed.data, facts.team, facts.agent.name);
  if (checked.kind === "invalid") return settle(invalidPlan(checked.problems));
  const names = checked.tasks.map(({ key, title }) => `- ${key}: ${title}`).join("\n");
  return {
    kind: "delegate",
    tasks: checked.tasks,
    outcome: {
      kind: "done",
      text: `${parsed.data.summary}\n\nThe plan is accepted; its tasks are queued:\n${names}`,
    },
  };
}

/** `problems` marks it as a plan that was no good: nextStep counts these. */
const invalidPlan = (problems: readonly string[]): Outcome => ({
  kind: "refused",
  text: `The plan is not valid:\n${problems.map((problem) => `- ${problem}`).join("\n")}`,
  facts: { problems: [...problems] },
});

const refused = (text: string): Outcome => ({ kind: "refused", text });

const settle = (outcome: Outcome): InternalDecision => ({ kind: "settle", outcome });
