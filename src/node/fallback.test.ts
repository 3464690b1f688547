import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type Answering, agent, workerBench } from "../../test/support/worker.ts";
import type { FailureClass, ModelRequest } from "../models/index.ts";
import { CadreError } from "../platform/index.ts";

const CHAIN = ["a/one", "b/two"];

const broken = (model: string, failure: FailureClass, over: { retryAfterMs?: number } = {}) =>
  new CadreError("model_failed", `${model} could not answer: ${failure}.`, {
    details: { model, class: failure, retry: "later", ...over },
  });

/** A worker whose agent has this chain, with a note of who was asked when, in seconds. */
async function chainBench(
  t: TestContext,
  answer: (model: string, request: ModelRequest) => ReturnType<Answering>,
  models: readonly string[] = CHAIN,
) {
  const asked: string[] = [];
  const bench = await workerBench(t, {
    agents: [agent("coder", { models: [...models] })],
    answer: (request) => {
      asked.push(`${request.model} ${Math.floor(bench.time.elapsed / 1_000)}`);
      return answer(request.model, request);
    },
  });
  const submit = () => bench.client.call("tasks.submit", { title: "Do it", agent: "coder" });
  const settle = (model: string, failure: FailureClass, retryAfterMs?: number) =>
    bench.client.call("models.settle", {
      model,
      outcome: {
        kind: "failed",
        class: failure,
        message: `${model} said: ${failure}.`,
        ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      },
    });
  return { ...bench, asked, submit, settle };
}

test("the second model answers when the first one fails, and all runs keep away from that", async (t) => {
  const bench = await chainBench(t, (model) => {
    if (model === "a/one") throw broken(model, "overloaded");
    return { text: `${model} did it.` };
  });
  await bench.start();
  const first = await bench.submit();
  await bench.ended(first.id);

  const second = await bench.submit();
  const task = await bench.ended(second.id);

  assert.equal(task.result?.text, "b/two did it.");
  assert.deepEqual(
    bench.asked.map((one) => one.split(" ")[0]),
    ["a/one", "b/two", "b/two"],
  );
  const steps = await bench.steps(first.id);
  assert.deepEqual(
    steps.flatMap((step) => (step.kind === "model_failed" ? [[step.model, step.class]] : [])),
    [["a/one", "overloaded"]],
  );
});

test("when all models cool down, the run waits, then asks", async (t) => {
  const bench = await chainBench(t, (model) => ({ text: `${model} did it.` }));
  await bench.settle("a/one", "overloaded", 50_000);
  await bench.settle("b/two", "overloaded", 40_000);
  await bench.start();

  const { id } = await bench.submit();
  const task = await bench.ended(id);

  assert.equal(task.result?.text, "b/two did it.");
  assert.deepEqual(bench.asked, ["b/two 40"]);
});

test("a model that answers somebody else is asked before its cooldown is over", async (t) => {
  const bench = await chainBench(t, (model) => ({ text: `${model} did it.` }), ["a/one"]);
  await bench.settle("a/one", "overloaded", 50_000);
  await bench.start();
  const { id } = await bench.submit();
  await bench.until(() => bench.time.elapsed >= 5_000);

  await bench.client.call("models.settle", { model: "a/one", outcome: { kind: "ok" } });
  await bench.ended(id);

  assert.deepEqual(
    bench.asked.map((one) => Number(one.split(" ")[1]) < 10),
    [true],
  );
});

test("a chain that rests for long fails the attempt with the last one's own error", async (t) => {
  const bench = await chainBench(t, () => assert.fail("Nobody may be asked."));
  await bench.settle("a/one", "auth");
  await bench.settle("b/two", "billing");
  await bench.start();

  const { id } = await bench.submit();
  const task = await bench.ended(id);

  assert.equal(task.state, "failed");
  assert.match(task.failure?.message ?? "", /^b\/two said: billing\./);
});

test("when every model of the chain fails, the error of the last one surfaces", async (t) => {
  const bench = await chainBench(t, (model) => {
    throw broken(model, "unknown");
  });
  await bench.start();

  const { id } = await bench.submit();
  const task = await bench.ended(id);

  assert.match(task.failure?.message ?? "", /^b\/two could not answer: unknown\./);
});

test("the only model is tried again at once, and its answer ends the cooldown", async (t) => {
  let fails = 2;
  const bench = await chainBench(
    t,
    (model) => {
      if (fails-- > 0) throw broken(model, "network");
      return { text: "Done." };
    },
    ["a/one"],
  );
  await bench.start();

  const { id } = await bench.submit();
  const task = await bench.ended(id);

  assert.equal(task.state, "completed");
  assert.equal(bench.asked.length, 3);
  const { cooldowns } = await bench.client.call("models.cooldowns", {});
  assert.deepEqual(cooldowns, []);
});

test("a run that is cancelled while its model speaks holds nothing against the model", async (t) => {
  const bench = await chainBench(t, (model, { signal }) => {
    return new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(broken(model, "network")), { once: true });
    });
  });
  await bench.start();
  const { id } = await bench.submit();
  await bench.until(() => bench.asked.length > 0);

  await bench.client.call("tasks.cancel", { id });
  await bench.until(() => bench.time.elapsed >= 20_000);

  assert.deepEqual((await bench.client.call("models.cooldowns", {})).cooldowns, []);
  assert.equal(bench.asked.length, 1);
});

test("a model whose key is not set is passed over, and does not cool down", async (t) => {
  const bench = await chainBench(t, (model) => {
    if (model === "a/one") throw new CadreError("no_model", "A_KEY is not set.");
    return { text: `${model} did it.` };
  });
  await bench.start();

  const { id } = await bench.submit();
  const task = await bench.ended(id);

  assert.equal(task.result?.text, "b/two did it.");
  assert.deepEqual((await bench.client.call("models.cooldowns", {})).cooldowns, []);
});
