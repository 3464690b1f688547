// From a transcript to what a model is asked: pure, and the same after every restart.
//
// Cache-friendly order: what never changes comes first (who the agent is, the rules), then the
// task, then the conversation, which only grows at its end.
import type { Agent } from "../../agents/index.ts";
import type { ModelMessage, ModelName } from "../../models/index.ts";
import type { Json } from "../../platform/index.ts";
import type { Outcome, TaskView } from "../../tasks/index.ts";
import { type Answer, settledCalls, type Transcript } from "./transcript.ts";

export type PromptFacts = {
  readonly task: Pick<TaskView, "title" | "instructions" | "inputs" | "type">;
  readonly agent: Pick<Agent, "prompt" | "name">;
  /** Who can be given work; only a planner needs to know. */
  readonly team: readonly Pick<Agent, "name" | "description" | "capabilities">[];
  readonly hasPlan: boolean;
  readonly workspace: string | null;
  readonly sandbox: string;
  readonly model: ModelName;
};

export function promptOf(
  facts: PromptFacts,
  transcript: Transcript,
): { readonly system: string; readonly messages: readonly ModelMessage[] } {
  return { system: systemText(facts), messages: messagesOf(facts, transcript) };
}

function systemText(facts: PromptFacts): string {
  const parts = [facts.agent.prompt.trim(), placeText(facts), RULES];
  if (facts.hasPlan) parts.push(teamText(facts.team));
  return parts.filter((part) => part !== "").join("\n\n");
}

function placeText({ workspace, sandbox }: PromptFacts): string {
  if (workspace === null) {
    return "# Where you work\nThis task has no workspace: there are no files to read or change.";
  }
  return [
    "# Where you work",
    `Your workspace is ${workspace}. Paths may be relative to it. You can change files only there.`,
    commandsText(sandbox),
    "What you leave in the workspace is committed for you when you finish: make no commits.",
  ].join("\n");
}

function commandsText(sandbox: string): string {
  if (sandbox === "none") return "Commands run without a sandbox: be careful.";
  if (sandbox === "refused") return "Commands can't be run on this machine: no sandbox works here.";
  return "Commands run in a sandbox without network; only the workspace and /tmp can be written.";
}

const RULES = [
  "# How you work",
  "Use the tools; each result comes back to you. When the work is done, answer with a short account",
  "of it and call no tool: that answer is the task's result. When the task can't be done, call",
  "give_up with the reason instead of pretending. A result marked UNKNOWN means nobody can say",
  "whether the call had its effect: look before you repeat it.",
].join("\n");

function teamText(team: PromptFacts["team"]): string {
  const lines = team.map(({ name, description, capabilities }) => {
    const can = capabilities.length === 0 ? "" : ` Capabilities: ${capabilities.join(", ")}.`;
    return `- ${name}: ${description}${can}`;
  });
  return ["# The team you can give work to", ...lines].join("\n");
}

function messagesOf(facts: PromptFacts, transcript: Transcript): ModelMessage[] {
  const messages: ModelMessage[] = [{ role: "user", text: taskText(facts.task) }];
  const settled = settledCalls(transcript);
  for (const { step } of transcript) {
    if (step.kind === "told") messages.push({ role: "user", text: step.text });
    if (step.kind !== "model_answered") continue;
    // An answer that said nothing is no message: providers refuse an empty one.
    if (step.text.trim() === "" && step.calls.length === 0) continue;
    messages.push(assistantMessage(step, facts.model));
    // All results follow their answer at once, wherever they stand in the transcript.
    if (step.calls.length > 0) messages.push(toolMessage(step, settled));
  }
  return messages;
}

function assistantMessage(answer: Answer, model: ModelName): ModelMessage {
  const isSameProvider = providerOf(answer.model) === providerOf(model);
  return {
    role: "assistant",
    text: answer.text,
    calls: answer.calls.map(({ id, tool, arguments: text, metadata }) => ({
      id,
      tool,
      arguments: text,
      ...(isSameProvider && metadata !== undefined ? { metadata: metadata as Json } : {}),
    })),
    ...(isSameProvider && answer.metadata !== undefined
      ? { metadata: answer.metadata as Json }
      : {}),
  };
}

function toolMessage(answer: Answer, settled: ReadonlyMap<string, Outcome>): ModelMessage {
  return {
    role: "tool",
    results: answer.calls.map((call) => {
      const outcome = settled.get(call.id);
      return {
        call: call.id,
        tool: call.tool,
        text: outcome === undefined ? "This call was not made." : resultText(outcome),
        isError: outcome?.kind !== "done",
      };
    }),
  };
}

function resultText({ kind, text }: Outcome): string {
  const body = text.trim() === "" ? "(no output)" : text;
  return kind === "unknown" ? `UNKNOWN: ${body}` : body;
}

const providerOf = (model: string): string => model.split("/", 1)[0] ?? model;

function taskText({ title, instructions, inputs }: PromptFacts["task"]): string {
  const parts = [`# ${title}`];
  if (instructions.trim() !== "") parts.push(instructions.trim());
  if (Object.keys(inputs).length > 0) {
    parts.push(`Inputs:\n\`\`\`json\n${JSON.stringify(inputs, undefined, 2)}\n\`\`\``);
  }
  return parts.join("\n\n");
}
