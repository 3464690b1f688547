import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Step } from "../../tasks/index.ts";
import { Conversation } from "./conversation.ts";
import type { Entry } from "./transcript.ts";

const usage = {
  tokensIn: 1,
  tokensOut: 1,
  tokensCached: 0,
  costUsd: 0,
  modelCalls: 1,
  toolCalls: 0,
  rehearsed: false,
};

const ids = fc.constantFrom("a", "b", "c", "d");
const answers: fc.Arbitrary<Step> = fc
  .record({
    model: fc.constantFrom("one/x", "two/y"),
    text: fc.constantFrom("", "Said."),
    calls: fc.uniqueArray(ids, { maxLength: 3 }),
  })
  .map(({ model, text, calls }) => ({
    kind: "model_answered" as const,
    model,
    text,
    calls: calls.map((id) => ({ id, tool: "read", arguments: "{}", metadata: { of: model } })),
    finish: "stop" as const,
    metadata: { of: model },
    usage,
    tookMs: 1,
  }));
const outcomes: fc.Arbitrary<Step> = fc
  .record({ call: ids, kind: fc.constantFrom("done", "unknown", "failed"), text: fc.string() })
  .map(({ call, kind, text }) => ({
    kind: "tool_settled" as const,
    call,
    outcome: { kind, text },
    tookMs: 1,
  }));
const told: fc.Arbitrary<Step> = fc
  .string()
  .map((text) => ({ kind: "told" as const, from: "children", text }));
const transcripts = fc
  .array(fc.oneof(answers, outcomes, told), { maxLength: 30 })
  .map((steps) => steps.map((step): Entry => ({ at: 0, step })));

test("read piece by piece, by changing models, a transcript says what it says when read at once", () => {
  fc.assert(
    fc.property(
      transcripts,
      fc.array(fc.boolean(), { minLength: 30, maxLength: 30 }),
      (all, turns) => {
        const grown = new Conversation();
        for (let length = 0; length <= all.length; length++) {
          const part = all.slice(0, length);
          const model = turns[length % turns.length] === true ? "one/x" : "two/y";

          const messages = grown.messagesOf(part, model);

          assert.deepEqual(messages, new Conversation().messagesOf(part, model));
        }
      },
    ),
  );
});

test("what was handed out stays as it is when an outcome comes", () => {
  const conversation = new Conversation();
  const answer: Step = {
    kind: "model_answered",
    model: "one/x",
    text: "I look.",
    calls: [{ id: "a", tool: "read", arguments: "{}" }],
    finish: "tool-calls",
    usage,
    tookMs: 1,
  };
  const begun: Entry[] = [{ at: 0, step: answer }];
  const outcome: Step = {
    kind: "tool_settled",
    call: "a",
    outcome: { kind: "done", text: "Here." },
    tookMs: 1,
  };

  const before = conversation.messagesOf(begun, "one/x");
  const copy = structuredClone(before);
  const after = conversation.messagesOf([...begun, { at: 1, step: outcome }], "one/x");

  assert.deepEqual(before, copy);
  assert.deepEqual(after[1], {
    role: "tool",
    results: [{ call: "a", tool: "read", text: "Here.", isError: false }],
  });
});
