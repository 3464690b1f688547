import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { openBench, refusal } from "../../test/support/invoker.ts";
import type { FailureClass } from "./classify.ts";
import { type ModelContract, type ModelFacts, modelOperations } from "./operations.ts";
import { modelMigrations } from "./store.ts";

const MODEL = "anthropic/claude-sonnet-4-5";
const MINUTE = 60_000;

function open(t: TestContext, facts: Partial<ModelFacts> = {}) {
  const operations = modelOperations({ config: { providers: {} }, env: () => undefined, ...facts });
  return openBench<ModelContract>(t, { migrations: modelMigrations, operations });
}

type Bench = Awaited<ReturnType<typeof open>>;

const fail = (bench: Bench, failure: FailureClass, more: { readonly retryAfterMs?: number } = {}) =>
  bench.call("models.settle", {
    model: MODEL,
    outcome: { kind: "failed", class: failure, message: `It is ${failure}.`, ...more },
  });

const answer = (bench: Bench, model = MODEL) =>
  bench.call("models.settle", { model, outcome: { kind: "ok" } });

async function news(bench: Bench): Promise<string[]> {
  const rows = await bench.store.read((tx) => tx.all("SELECT type FROM journal ORDER BY position"));
  return rows.map((row) => String(row["type"]));
}

test("a failure is known to whoever asks, with its reason and its end", async (t) => {
  const bench = await open(t);

  await fail(bench, "rate_limited", { retryAfterMs: 2 * MINUTE });

  const { cooldowns } = await bench.call("models.cooldowns", {});
  assert.deepEqual(cooldowns, [
    {
      model: MODEL,
      class: "rate_limited",
      track: "traffic",
      failures: 1,
      since: "2026-11-20T12:00:00.000Z",
      until: "2026-11-20T12:02:00.000Z",
      isCooling: true,
      message: "It is rate_limited.",
    },
  ]);
});

test("fifty failures at once are one, and the journal tells of one", async (t) => {
  const bench = await open(t);

  await Promise.all(Array.from({ length: 50 }, () => fail(bench, "overloaded")));

  const { cooldowns } = await bench.call("models.cooldowns", {});
  assert.deepEqual(
    cooldowns.map(({ failures, until }) => [failures, until]),
    [[1, "2026-11-20T12:00:30.000Z"]],
  );
  assert.deepEqual(await news(bench), ["model.cooled"]);
});

test("a failure after the cooldown doubles it; the first answer takes all of it away", async (t) => {
  const bench = await open(t);
  await fail(bench, "overloaded");
  bench.clock.now += MINUTE;

  const { cooldown } = await fail(bench, "overloaded");
  await answer(bench);
  await answer(bench);
  const again = await fail(bench, "overloaded");

  assert.equal(cooldown?.until, "2026-11-20T12:02:00.000Z");
  assert.equal(again.cooldown?.until, "2026-11-20T12:01:30.000Z");
  assert.deepEqual(await news(bench), [
    "model.cooled",
    "model.cooled",
    "model.recovered",
    "model.cooled",
  ]);
});

test("an answer takes an unpaid bill away as well", async (t) => {
  const bench = await open(t);
  await fail(bench, "billing");

  await answer(bench);

  assert.deepEqual((await bench.call("models.cooldowns", {})).cooldowns, []);
});

test("what the request itself did wrong is held against no model", async (t) => {
  const bench = await open(t);

  for (const own of ["bad_request", "context_overflow", "content_filter"] as const) {
    assert.equal((await fail(bench, own)).cooldown, null);
  }
  await fail(bench, "network");
  const after = await fail(bench, "bad_request");

  assert.equal(after.cooldown?.message, "It is network.");
  assert.deepEqual(await news(bench), ["model.cooled"]);
});

test("one model's failure leaves the others alone", async (t) => {
  const bench = await open(t);
  await fail(bench, "auth");

  await answer(bench, "openai/gpt-5.2");

  assert.deepEqual(
    (await bench.call("models.cooldowns", {})).cooldowns.map(({ model }) => model),
    [MODEL],
  );
});

test("a person who mended the key lets the model be asked at once", async (t) => {
  const bench = await open(t);
  await fail(bench, "auth");

  await bench.call("models.clear", { model: MODEL });

  assert.deepEqual((await bench.call("models.cooldowns", {})).cooldowns, []);
  await assert.rejects(
    bench.call("models.clear", { model: MODEL }),
    refusal("not_found", MODEL, "may be asked"),
  );
});

test("the default model and the keys that are missing are told, never a key", async (t) => {
  const bench = await open(t, {
    config: { providers: { local: { kind: "openai-compatible", baseUrl: "http://127.0.0.1:1" } } },
    env: (name) => (name === "OPENAI_API_KEY" ? "sk-secret" : undefined),
  });

  const told = await bench.call("models.cooldowns", {});

  assert.equal(told.default, "openai/gpt-5.2");
  assert.deepEqual(told.providers, [
    { name: "anthropic", missingKey: "ANTHROPIC_API_KEY" },
    { name: "openai", missingKey: null },
    { name: "google", missingKey: "GEMINI_API_KEY" },
    { name: "local", missingKey: null },
  ]);
  assert.doesNotMatch(JSON.stringify(told), /sk-secret/);
});
