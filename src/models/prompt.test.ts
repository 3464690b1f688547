import assert from "node:assert/strict";
import { test } from "node:test";
import type { LanguageModelV4Prompt } from "@ai-sdk/provider";
import fc from "fast-check";
import type { ModelCall, ModelMessage, ModelRequest } from "./model.ts";
import { keep, promptOf } from "./prompt.ts";

const requestOf = (messages: readonly ModelMessage[], system = ""): ModelRequest => ({
  model: "some/model",
  agent: "coder",
  system,
  messages,
  tools: [],
  outputTokensMax: 1,
  signal: new AbortController().signal,
});

const prompt = (messages: readonly ModelMessage[], name = "some"): LanguageModelV4Prompt =>
  promptOf(requestOf(messages), { name, kind: "openai-chat" });

const call = (id: string, text = "{}", metadata?: ModelCall["metadata"]): ModelCall => ({
  id,
  tool: "write",
  arguments: text,
  ...(metadata === undefined ? {} : { metadata }),
});

const result = (id: string, text = "ok", isError = false) => ({
  call: id,
  tool: "write",
  text,
  isError,
});

const asked = (...calls: ModelCall[]): ModelMessage => ({ role: "assistant", text: "", calls });

test("parts go back in their order, with what the provider gave, to that provider only", () => {
  const calls = [call("a", '{"x":1}', { p: { item: "fc" } })];
  const metadata = keep(
    "some",
    [
      { type: "reasoning", text: "Hmm.", metadata: { p: { signature: "S" } } },
      { type: "text", from: 0, to: 3, metadata: { p: { item: "m1" } } },
      { type: "call", index: 0 },
      { type: "text", from: 5, to: 8 },
    ],
    calls,
  );
  const message: ModelMessage = {
    role: "assistant",
    text: "One\n\nTwo",
    calls,
    ...(metadata && { metadata }),
  };
  const toolCall = { type: "tool-call", toolCallId: "a", toolName: "write", input: { x: 1 } };

  assert.deepEqual(prompt([message])[0], {
    role: "assistant",
    content: [
      { type: "reasoning", text: "Hmm.", providerOptions: { p: { signature: "S" } } },
      { type: "text", text: "One", providerOptions: { p: { item: "m1" } } },
      { ...toolCall, providerOptions: { p: { item: "fc" } } },
      { type: "text", text: "Two" },
    ],
  });
  assert.deepEqual(prompt([message], "other")[0], {
    role: "assistant",
    content: [{ type: "text", text: "One\n\nTwo" }, toolCall],
  });
});

test("a result nobody recorded is told as missing, right after its call", () => {
  const made = prompt([
    asked(call("a"), call("b")),
    { role: "user", text: "Stop that." },
    { role: "tool", results: [result("b")] },
  ]);
  const tool = made[1];

  assert.deepEqual(
    tool?.role === "tool" &&
      tool.content.map(
        (part) => part.type === "tool-result" && [part.toolCallId, part.output.type],
      ),
    [
      ["a", "error-text"],
      ["b", "text"],
    ],
  );
  assert.deepEqual(
    made.map(({ role }) => role),
    ["assistant", "tool", "user"],
  );
});

test("a result whose call is gone is told as words", () => {
  assert.deepEqual(prompt([{ role: "tool", results: [result("gone", "42")] }]), [
    { role: "user", content: [{ type: "text", text: "Result of write:\n42" }] },
  ]);
});

test("malformed arguments go back as an object that shows them", () => {
  for (const text of ['{"path": ', "[1]", '"x"', "null"]) {
    const [assistant] = prompt([asked(call("a", text))]);

    assert.deepEqual(
      assistant?.role === "assistant" &&
        assistant.content.map((part) => part.type === "tool-call" && part.input),
      [{ malformed: text }],
    );
  }
});

test("an answer that said nothing leaves no empty message", () => {
  assert.deepEqual(prompt([asked()]), []);
});

test("metadata of another shape is left out, not trusted", () => {
  const odd: ModelMessage = {
    role: "assistant",
    text: "hi",
    calls: [],
    metadata: { provider: "some", parts: [{ type: "tool-result" }] },
  };

  assert.deepEqual(prompt([odd])[0]?.content, [{ type: "text", text: "hi" }]);
});

test("a plain answer keeps nothing beside its text and calls", () => {
  assert.equal(
    keep(
      "some",
      [
        { type: "text", from: 0, to: 1 },
        { type: "call", index: 0 },
      ],
      [call("a")],
    ),
    undefined,
  );
});

test("whatever the conversation, every call is followed by its one result", () => {
  const id = fc.constantFrom("a", "b:1", "c");
  const message: fc.Arbitrary<ModelMessage> = fc.oneof(
    fc.record({ role: fc.constant("user" as const), text: fc.string() }),
    fc.uniqueArray(id, { maxLength: 3 }).map((ids) => asked(...ids.map((one) => call(one)))),
    fc
      .uniqueArray(id, { maxLength: 3 })
      .map((ids) => ({ role: "tool" as const, results: ids.map((one) => result(one)) })),
  );

  fc.assert(
    fc.property(fc.array(message, { maxLength: 12 }), (messages) => {
      const made = prompt(messages);
      made.forEach((one, index) => {
        if (one.role === "tool") assert.equal(made[index - 1]?.role, "assistant");
        if (one.role !== "assistant") return;
        const calls = one.content.flatMap((part) =>
          part.type === "tool-call" ? [part.toolCallId] : [],
        );
        const next = made[index + 1];
        const results =
          next?.role === "tool"
            ? next.content.flatMap((part) => (part.type === "tool-result" ? [part.toolCallId] : []))
            : [];
        assert.deepEqual(results, calls);
        for (const one of calls) assert.match(one, /^[A-Za-z0-9_-]{1,64}$/);
      });
    }),
  );
});
