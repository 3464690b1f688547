import assert from "node:assert/strict";
import { test } from "node:test";
import { simulate } from "./simulate.ts";

const SEEDS = Array.from({ length: 24 }, (_, index) => index + 1);
const PARKED_SEEDS = [1, 2, 3, 4, 5, 6];

test("in a world that fails everywhere, every promise is kept", async (t) => {
  for (const seed of SEEDS) {
    await t.test(`seed ${seed}`, async () => {
      const { tasks } = await simulate(seed);

      assert.ok(tasks > 0);
    });
  }
});

test("a process that dies at every step it records still brings all to an end", async (t) => {
  for (const seed of PARKED_SEEDS) {
    await t.test(`seed ${seed}`, async () => {
      const { deaths, tasks } = await simulate(seed, { park: true });

      assert.ok(deaths > tasks, "it dies more often than there are tasks");
    });
  }
});

test("one seed is one history", async () => {
  const first = await simulate(77);
  const second = await simulate(77);

  assert.deepEqual(second, first);
});
