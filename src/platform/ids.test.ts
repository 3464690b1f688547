import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { idMaker } from "./ids.ts";

const worldAt = (times: readonly number[], random: () => number) => {
  let i = 0;
  return {
    clock: {
      now: () => times[Math.min(i++, times.length - 1)] ?? 0,
      monotonic: () => 0,
      sleep: () => Promise.resolve(),
    },
    random,
  };
};

test("ids never repeat and sort by age, even when the clock jumps back", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 2 ** 44 }), { minLength: 1, maxLength: 50 }),
      (times) => {
        const newId = idMaker(worldAt(times, () => 0.999999999));

        const ids = times.map(() => newId("task"));

        assert.deepEqual([...new Set(ids)].sort(), ids);
      },
    ),
  );
});

test("an id says what it names and can be typed", () => {
  const newId = idMaker(worldAt([1_700_000_000_000], () => 0.5));

  assert.match(newId("run"), /^run_[0-9a-hjkmnp-tv-z]{16}$/);
});
