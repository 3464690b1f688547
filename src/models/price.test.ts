import assert from "node:assert/strict";
import { test } from "node:test";
import { manualClock } from "./clock.testing.ts";
import { costOf } from "./price.ts";

const clock = manualClock();
const million = { tokensIn: 1_000_000, tokensOut: 1_000_000, tokensCached: 0 };

test("a known model is priced, its cached tokens cheaper", async () => {
  const fresh = await costOf(
    "anthropic/claude-sonnet-4-5",
    { ...million, tokensIn: 100_000 },
    {},
    { clock },
  );
  const cached = await costOf(
    "anthropic/claude-sonnet-4-5",
    { ...million, tokensIn: 100_000, tokensCached: 100_000 },
    {},
    { clock },
  );

  assert.equal(fresh?.toFixed(4), "15.3000");
  assert.equal(cached?.toFixed(4), "15.0300");
});

test("what is written to the cache costs more than what is not", async () => {
  const counts = { tokensIn: 100_000, tokensOut: 0, tokensCached: 0 };

  const plain = await costOf("anthropic/claude-sonnet-4-5", counts, {}, { clock });
  const written = await costOf(
    "anthropic/claude-sonnet-4-5",
    { ...counts, tokensCacheWritten: 100_000 },
    {},
    { clock },
  );

  assert.ok((written ?? 0) > (plain ?? 0));
});

test("OpenAI's and Google's default models are priced", async () => {
  assert.ok(((await costOf("openai/gpt-5.2", million, {}, { clock })) ?? 0) > 0);
  assert.ok(((await costOf("google/gemini-3.1-pro-preview", million, {}, { clock })) ?? 0) > 0);
});

test("a model no table knows has no price, which is not zero", async () => {
  for (const model of [
    "openai/gpt-99-unheard-of",
    "nobody/claude-sonnet-4-5",
    "ollama/llama3",
  ] as const) {
    assert.equal(await costOf(model, million, {}, { clock }), null);
  }
});

test("a provider of one's own is priced by what it speaks to", async () => {
  const price = await costOf("proxy/claude-sonnet-4-5", million, {}, { kind: "anthropic", clock });
  const local = await costOf(
    "local/claude-sonnet-4-5",
    million,
    {},
    { kind: "openai-compatible", clock },
  );

  assert.ok((price ?? 0) > 0);
  assert.equal(local, null);
});

test("own prices win, cached tokens by their own or the input's price", async () => {
  const counts = { tokensIn: 1_000_000, tokensOut: 500_000, tokensCached: 400_000 };
  const model = "anthropic/claude-sonnet-4-5";

  const split = await costOf(
    model,
    counts,
    { [model]: { input: 10, output: 20, cached: 1 } },
    { clock },
  );
  const flat = await costOf(model, counts, { [model]: { input: 10, output: 20 } }, { clock });
  const free = await costOf(model, counts, { [model]: { input: 0, output: 0 } }, { clock });

  assert.deepEqual([split, flat, free], [16.4, 20, 0]);
});

test("counts that contradict each other don't lose the answer", async () => {
  const odd = { tokensIn: 10, tokensOut: 1, tokensCached: 20, tokensCacheWritten: 50 };

  assert.ok(((await costOf("openai/gpt-5.2", odd, {}, { clock })) ?? 0) > 0);
});
