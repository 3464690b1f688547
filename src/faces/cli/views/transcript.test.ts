import assert from "node:assert/strict";
import { test } from "node:test";
import type { RecordedStep, Step } from "../../../tasks/index.ts";
import { atNoon, plainLook, runView, taskView, UNUSED } from "../views.testing.ts";
import { transcriptPage } from "./transcript.ts";

const recorded = (steps: readonly Step[]): readonly RecordedStep[] =>
  steps.map((step, index) => ({ index, at: atNoon(index), step }));

const answered: Step = {
  kind: "model_answered",
  model: "anthropic/claude-sonnet-4-5",
  text: "The parser forgets hours.",
  calls: [],
  finish: "tool-calls",
  usage: { ...UNUSED, costUsd: 0.02 },
  tookMs: 1_400,
};

const task = taskView({ id: "task_0000000000bbbbbb", title: "Mend the parser" });

test("a transcript reads from top to bottom: words, calls, what came of them", () => {
  const steps = recorded([
    { kind: "started", agent: "coder", agentVersion: "abc", node: "node_a", sandbox: "bubblewrap" },
    { kind: "model_asked", model: "anthropic/claude-sonnet-4-5" },
    answered,
    {
      kind: "tool_began",
      call: "c1",
      tool: "edit",
      effect: "queryable",
      arguments: { path: "src/duration.ts", old: "a", new: "b" },
    },
    {
      kind: "tool_settled",
      call: "c1",
      outcome: { kind: "done", text: "Edited.", facts: { diff: "@@ -1 +1 @@\n-a\n+b\n" } },
      tookMs: 3,
    },
    {
      kind: "tool_began",
      call: "c2",
      tool: "shell",
      effect: "irreversible",
      arguments: { command: "npm test" },
    },
    {
      kind: "tool_settled",
      call: "c2",
      outcome: { kind: "done", text: "not ok 3", facts: { exitCode: 1 } },
      tookMs: 2_100,
    },
    { kind: "ended", how: "completed", text: "Done." },
  ]);

  const lines = transcriptPage(plainLook(), runView(), task, steps, { isFull: false });

  assert.deepEqual(lines, [
    "✓ Mend the parser                                           run_0000000000rrrrrr",
    "  coder on task_bbbbbb, attempt 1, completed, 12 s",
    "",
    "12:00:00  started by coder (abc), sandbox bubblewrap",
    "",
    "12:00:02  anthropic/claude-sonnet-4-5  1 s, $0.02",
    "          The parser forgets hours.",
    "12:00:03  ◐ edit src/duration.ts",
    "12:00:04  ✓ done, 0 s",
    "          @@ -1 +1 @@",
    "          -a",
    "          +b",
    "12:00:05  ◐ shell npm test",
    "12:00:06  ✗ done, exit 1, 2 s",
    "          not ok 3",
    "",
    "12:00:07  ✓ completed",
    "          Done.",
  ]);
});

test("a rehearsed run is labelled, and its answers have no price", () => {
  const rehearsed = { ...answered, usage: { ...UNUSED, rehearsed: true } };
  const run = runView({ usage: { ...UNUSED, rehearsed: true, modelCalls: 1 } });

  const text = transcriptPage(plainLook(), run, task, recorded([rehearsed]), {
    isFull: false,
  }).join("\n");

  assert.match(text, /rehearsal: no model was called/);
  assert.doesNotMatch(text.split("\n")[4] ?? "", /\$/);
});

test("a long output is cut in its middle until all of it is asked for", () => {
  const text = Array.from({ length: 40 }, (_, i) => `line ${i}`).join("\n");
  const steps = recorded([
    { kind: "tool_settled", call: "c", outcome: { kind: "done", text }, tookMs: 1 },
  ]);

  const short = transcriptPage(plainLook(), runView(), task, steps, { isFull: false }).join("\n");
  const full = transcriptPage(plainLook(), runView(), task, steps, { isFull: true }).join("\n");

  assert.match(short, /line 5\n.*28 lines more: --full\n.*line 34/);
  assert.match(full, /line 20/);
});

test("an unknown effect is shown as one", () => {
  const steps = recorded([
    {
      kind: "tool_settled",
      call: "c",
      outcome: { kind: "unknown", text: "The process died while this ran." },
      tookMs: 1,
    },
  ]);

  const text = transcriptPage(plainLook(), runView(), task, steps, { isFull: false }).join("\n");

  assert.match(text, /\? unknown/);
});

test("nothing a model or a tool wrote reaches the terminal raw", () => {
  const evil = "\u001b]0;owned\u0007\u001b[2Jwiped";
  const steps = recorded([
    { ...answered, text: evil },
    { kind: "tool_began", call: evil, tool: evil, effect: "pure", arguments: { command: evil } },
    {
      kind: "tool_settled",
      call: evil,
      outcome: { kind: "done", text: evil, facts: { diff: evil } },
      tookMs: 1,
    },
    { kind: "told", from: evil, text: evil },
    { kind: "model_failed", model: evil, code: evil, message: evil, retry: "never" },
    { kind: "ended", how: "failed", text: evil },
  ]);

  const lines = transcriptPage(plainLook(), runView(), { title: evil }, steps, { isFull: true });

  assert.ok(lines.every((line) => !/\p{Control}/u.test(line)));
  assert.match(lines.join("\n"), /wiped/);
});
