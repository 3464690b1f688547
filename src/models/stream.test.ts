import assert from "node:assert/strict";
import { test } from "node:test";
import type { LanguageModelV4FinishReason, LanguageModelV4StreamPart } from "@ai-sdk/provider";
import fc from "fast-check";
import { CadreError } from "../platform/index.ts";
import { manualClock } from "./clock.testing.ts";
import { ANSWER_CHARS_MAX, readAnswer, type StreamedAnswer, type StreamOptions } from "./stream.ts";

type Part = LanguageModelV4StreamPart;

function read(parts: readonly Part[], more: Partial<StreamOptions> = {}): Promise<StreamedAnswer> {
  return readAnswer(async () => ({ stream: ReadableStream.from(parts) as ReadableStream<Part> }), {
    model: "some/model",
    provider: "some",
    clock: manualClock(),
    idleTimeoutMs: 1_000,
    signal: new AbortController().signal,
    ...more,
  });
}

async function failed(answer: Promise<unknown>): Promise<CadreError> {
  return answer.then(
    (value) => assert.fail(`answered: ${JSON.stringify(value)}`),
    (error) => {
      assert.ok(error instanceof CadreError, String(error));
      return error;
    },
  );
}

const finish = (
  unified: LanguageModelV4FinishReason["unified"],
  [tokensIn, tokensOut]: readonly [number?, number?] = [10, 5],
): Part => ({
  type: "finish",
  finishReason: { unified, raw: `raw-${unified}` },
  usage: {
    inputTokens: { total: tokensIn, noCache: undefined, cacheRead: 4, cacheWrite: 1 },
    outputTokens: { total: tokensOut, text: undefined, reasoning: undefined },
  },
});

const text = (words: string, id = "t"): Part[] => [
  { type: "text-start", id },
  { type: "text-delta", id, delta: words },
  { type: "text-end", id },
];

const call = (id: string, input = "{}"): Part => ({
  type: "tool-call",
  toolCallId: id,
  toolName: "write",
  input,
});

const FINISHES: readonly (readonly [
  unified: LanguageModelV4FinishReason["unified"],
  withText: "counts" | string,
  withCall: "counts" | string,
  withNothing: "counts" | string,
])[] = [
  ["stop", "counts", "counts", "protocol later"],
  ["tool-calls", "counts", "counts", "protocol later"],
  ["length", "counts", "counts", "bad_request never"],
  ["content-filter", "counts", "counts", "content_filter never"],
  ["other", "protocol later", "counts", "protocol later"],
  ["error", "protocol later", "protocol later", "protocol later"],
  ["interrupted", "network later", "network later", "network later"],
];
for (const [unified, ...expected] of FINISHES) {
  test(`finish ${unified}: ${expected[0]} with text, ${expected[1]} with a call, ${expected[2]} with nothing`, async () => {
    const outcomes = [text("hello"), [call("c")], text("")].map((parts) =>
      read([...parts, finish(unified)]).then(
        (answer) => (answer.finish === unified ? "counts" : answer.finish),
        (error: CadreError) => `${error.details["class"]} ${error.details["retry"]}`,
      ),
    );

    assert.deepEqual(await Promise.all(outcomes), expected);
  });
}

test("an answer counts only with exactly one finish", async () => {
  const none = await failed(read(text("hello")));
  const two = await failed(read([...text("hello"), finish("stop"), finish("stop")]));
  const empty = await failed(read([]));

  assert.deepEqual(
    [none, two, empty].map(({ code, details }) => [code, details["class"], details["retry"]]),
    [
      ["model_failed", "network", "later"],
      ["model_failed", "protocol", "later"],
      ["model_failed", "network", "later"],
    ],
  );
});

test("an error part fails the answer, even with a finish behind it", async () => {
  const error = await failed(
    read([...text("half"), { type: "error", error: { type: "overloaded_error" } }, finish("stop")]),
  );

  assert.equal(error.details["class"], "overloaded");
});

test("blocks of text become paragraphs, in the answer and for who listens", async () => {
  const heard: string[] = [];

  const answer = await read(
    [...text("One.", "a"), call("c"), ...text("Two.", "a"), finish("stop")],
    {
      onText: (delta) => heard.push(delta),
    },
  );

  assert.equal(answer.text, "One.\n\nTwo.");
  assert.equal(heard.join(""), answer.text);
});

test("a call without arguments has empty ones; malformed ones are kept as written", async () => {
  const answer = await read([call("a", ""), call("b", '{"path": '), finish("tool-calls")]);

  assert.deepEqual(
    answer.calls.map((one) => one.arguments),
    ["{}", '{"path": '],
  );
});

test("a plain answer keeps no metadata; a signed one keeps every piece of it", async () => {
  const plain = await read([...text("hi"), call("c"), finish("stop")]);
  const signed = await read([
    { type: "reasoning-start", id: "r", providerMetadata: { p: { item: "r1" } } },
    { type: "reasoning-delta", id: "r", delta: "Hmm." },
    { type: "reasoning-end", id: "r", providerMetadata: { p: { signature: "S" } } },
    { type: "custom", kind: "p.compaction", providerMetadata: { p: { id: "k" } } },
    { type: "custom", kind: "anthropic.message_start" },
    ...text("hi"),
    finish("stop"),
  ]);

  assert.equal("metadata" in plain, false);
  assert.deepEqual(signed.metadata, {
    provider: "some",
    parts: [
      { type: "reasoning", text: "Hmm.", metadata: { p: { item: "r1", signature: "S" } } },
      { type: "custom", kind: "p.compaction", metadata: { p: { id: "k" } } },
      { type: "text", from: 0, to: 2 },
    ],
  });
});

test("a provider that counted nothing gives no counts, never zero", async () => {
  assert.deepEqual((await read([...text("hi"), finish("stop")])).counts, {
    tokensIn: 10,
    tokensOut: 5,
    tokensCached: 4,
    tokensCacheWritten: 1,
  });
  assert.equal((await read([...text("hi"), finish("stop", [])])).counts, undefined);
  assert.equal((await read([...text("hi"), finish("stop", [0, 0])])).counts, undefined);
});

test("a stream that never ends is cut off at its limit, and let go of", async () => {
  let isLetGo = false;
  const stream = new ReadableStream<Part>({
    pull: (controller) =>
      controller.enqueue({ type: "text-delta", id: "t", delta: "x".repeat(1024 * 1024) }),
    cancel: () => {
      isLetGo = true;
    },
  });

  const error = await failed(
    readAnswer(async () => ({ stream }), {
      model: "some/model",
      provider: "some",
      clock: manualClock(),
      idleTimeoutMs: 1_000,
      signal: new AbortController().signal,
    }),
  );

  assert.deepEqual([error.details["class"], isLetGo], ["protocol", true]);
  assert.equal(ANSWER_CHARS_MAX, 4 * 1024 * 1024);
});

test("arguments without end are cut off too", async () => {
  const chunk: Part = { type: "tool-input-delta", id: "c", delta: "x".repeat(1024 * 1024) };

  const error = await failed(read([chunk, chunk, chunk, chunk, chunk, call("c"), finish("stop")]));

  assert.equal(error.details["class"], "protocol");
});

test("silence is told from a stop even when the provider ignores both", async () => {
  const deaf = () => new Promise<never>(() => undefined);
  const clock = manualClock();
  const stop = new AbortController();
  const options = { model: "some/model", provider: "some", clock, idleTimeoutMs: 1_000 } as const;

  const silent = failed(readAnswer(deaf, { ...options, signal: new AbortController().signal }));
  clock.advance(1_000);
  const stopped = failed(readAnswer(deaf, { ...options, signal: stop.signal }));
  stop.abort();

  assert.equal((await silent).details["class"], "timeout");
  assert.equal((await stopped).code, "stopped");
});

test("an answer leaves no timer behind", async () => {
  const clock = manualClock();
  let isLeft = true;
  const sleep: typeof clock.sleep = (ms, signal) =>
    clock.sleep(ms, signal).finally(() => {
      isLeft = false;
    });

  await read([...text("hi"), finish("stop")], { clock: { ...clock, sleep } });

  assert.equal(isLeft, false);
});

test("however a whole answer is cut short, it never counts", async () => {
  const whole = [...text("One."), call("a"), ...text("Two.", "u"), call("b"), finish("stop")];

  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: whole.length - 1 }), async (length) => {
      const error = await failed(read(whole.slice(0, length)));
      assert.equal(error.code, "model_failed");
    }),
  );
});
