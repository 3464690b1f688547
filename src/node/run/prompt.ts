// From a transcript to what a model is asked: pure, and the same after every restart.
//
// Cache-friendly order: what never changes comes first (who the agent is, the rules), then the
// task, then the conversation, which only grows at its end.
import type { Agent } from "../../agents/index.ts";
import type { ModelMessage, ModelName } from "../../models/index.ts";
import type { TaskView } from "../../tasks/index.ts";
import { Conversation } from "./conversation.ts";
import type { Transcript } from "./transcript.ts";

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

/** `conversation`: has read the beginning of this transcript, and spares reading it again. */
export function promptOf(
  facts: PromptFacts,
  transcript: Transcript,
  conversation = new Conversation(),
): { readonly system: string; readonly messages: readonly ModelMessage[] } {
  const said = conversation.messagesOf(transcript, facts.model);
  return {
    system: systemText(facts),
    messages: [{ role: "user", text: taskText(facts.task) }, ...said],
  };
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

function taskText({ title, instructions, inputs }: PromptFacts["task"]): string {
  const parts = [`# ${title}`];
  if (instructions.trim() !== "") parts.push(instructions.trim());
  if (Object.keys(inputs).length > 0) {
    parts.push(`Inputs:\n\`\`\`json\n${JSON.stringify(inputs, undefined, 2)}\n\`\`\``);
  }
  return parts.join("\n\n");
}
