import assert from "node:assert/strict";
import { test } from "node:test";
import type { Step } from "../../tasks/index.ts";
import { type PromptFacts, promptOf } from "./prompt.ts";
import { shortened } from "./told.ts";
import type { Answer, Entry } from "./transcript.ts";

const facts: PromptFacts = {
  task: { title: "Mend it", instructions: "Make the tests pass.", inputs: {}, type: "task" },
  agent: { name: "coder", prompt: "You write code." },
  team: [{ name: "tester", description: "Runs tests.", capabilities: ["test"] }],
  hasPlan: false,
  workspace: "/work/tree",
  sandbox: "unshare",
  model: "anthropic/claude",
};

const usage = {
  tokensIn: 1,
  tokensOut: 1,
  tokensCached: 0,
  costUsd: 0,
  modelCalls: 1,
  toolCalls: 0,
  rehearsed: false,
};
const answered = (over: Partial<Answer>): Step => ({
  kind: "model_answered",
  model: "anthropic/claude",
  text: "",
  calls: [],
  finish: "tool-calls",
  usage,
  tookMs: 1,
  ...over,
});
const settled = (call: string, kind: "done" | "unknown" | "refused", text: string): Step => ({
  kind: "tool_settled",
  call,
  outcome: { kind, text },
  tookMs: 1,
});
const told = (text: string): Step => ({ kind: "told", from: "children", text });
const messagesOf = (steps: readonly Step[], over: Partial<PromptFacts> = {}) =>
  promptOf(
    { ...facts, ...over },
    steps.map((step): Entry => ({ at: 0, step })),
  ).messages;

test("who the agent is comes first, and only a planner is told of the team", () => {
  const plain = promptOf(facts, []).system;
  const planner = promptOf({ ...facts, hasPlan: true }, []).system;

  assert.ok(plain.startsWith("You write code."));
  assert.ok(!plain.includes("Runs tests."));
  assert.match(planner, /- tester: Runs tests\. Capabilities: test\./);
});

test("the prompt grows only at its end, so that a provider's cache holds", () => {
  const steps = [
    answered({ calls: [{ id: "a", tool: "read", arguments: "{}" }] }),
    settled("a", "done", "text"),
  ];

  const before = messagesOf(steps);
  const after = messagesOf([...steps, told("More."), answered({ text: "Yes." })]);

  assert.deepEqual(after.slice(0, before.length), before);
});

test("all results follow their answer at once, whatever was told in between", () => {
  const calls = [
    { id: "a", tool: "read", arguments: "{}" },
    { id: "b", tool: "shell", arguments: "{}" },
  ];

  const messages = messagesOf([
    answered({ calls }),
    settled("a", "done", ""),
    told("News."),
    settled("b", "unknown", "It may have run."),
  ]);

  assert.deepEqual(
    messages.map(({ role }) => role),
    ["user", "assistant", "tool", "user"],
  );
  assert.deepEqual(messages[2], {
    role: "tool",
    results: [
      { call: "a", tool: "read", text: "(no output)", isError: false },
      { call: "b", tool: "shell", text: "UNKNOWN: It may have run.", isError: true },
    ],
  });
});

test("a provider's own parts go back to that provider alone", () => {
  const call = { id: "a", tool: "read", arguments: "{}", metadata: { signature: "s" } };
  const steps = [answered({ text: "Thinking.", calls: [call], metadata: { thinking: "t" } })];

  const same = messagesOf(steps)[1];
  const other = messagesOf(steps, { model: "openai/gpt" })[1];

  assert.ok(JSON.stringify(same).includes('"signature"'));
  assert.ok(JSON.stringify(same).includes('"thinking"'));
  assert.ok(!JSON.stringify(other).includes("signature"));
  assert.ok(!JSON.stringify(other).includes("thinking"));
});

test("an answer that said nothing is no message", () => {
  const messages = messagesOf([answered({ finish: "stop" }), told("It was empty.")]);

  assert.deepEqual(
    messages.map(({ role }) => role),
    ["user", "user"],
  );
});

test("inputs are shown with the task, and a task without files says so", () => {
  const inputs = { file: "a.ts" };
  const first = messagesOf([], { task: { ...facts.task, inputs } })[0];
  const { system } = promptOf({ ...facts, workspace: null }, []);

  assert.match(first?.role === "user" ? first.text : "", /"file": "a\.ts"/);
  assert.match(system, /no workspace/);
});

test("a long text keeps its head and its tail, and says what is gone", () => {
  const text = `${"a".repeat(500)}${"z".repeat(500)}`;

  const short = shortened(text, 100);

  assert.ok(short.startsWith("aaa") && short.endsWith("zzz"));
  assert.match(short, /\[\.\.\. 900 characters left out \.\.\.\]/);
});
