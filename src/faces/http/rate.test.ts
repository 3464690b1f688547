import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { rateLimiter } from "./rate.ts";

test("a burst is allowed, then one request for each share of time", () => {
  let now = 0;
  const limit = rateLimiter({ perSecond: 10, burst: 3 }, () => now);

  assert.deepEqual(
    [1, 2, 3].map(() => limit("a").isAllowed),
    [true, true, true],
  );
  const refused = limit("a");
  assert.deepEqual(refused, { isAllowed: false, left: 0, waitMs: 100 });
  now += 99;
  assert.equal(limit("a").isAllowed, false);
  now += 1;
  assert.equal(limit("a").isAllowed, true);
  assert.equal(limit("a").isAllowed, false);
});

test("one caller's haste is not another's", () => {
  const limit = rateLimiter({ perSecond: 1, burst: 1 }, () => 0);
  limit("a");

  assert.equal(limit("a").isAllowed, false);
  assert.equal(limit("b").isAllowed, true);
});

test("over any time no caller gets more than the burst and the rate", () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 500 }), { maxLength: 200 }), (pauses) => {
      let now = 0;
      const limit = rateLimiter({ perSecond: 20, burst: 5 }, () => now);
      let allowed = 0;
      for (const pause of pauses) {
        now += pause;
        if (limit("a").isAllowed) allowed += 1;
      }
      assert.ok(allowed <= 5 + (now * 20) / 1_000);
    }),
  );
});

test("a flood of addresses does not grow the memory, nor empty the bucket of one that is watched", () => {
  let now = 0;
  const limit = rateLimiter({ perSecond: 1, burst: 2 }, () => now);
  for (let index = 0; index < 30_000; index++) {
    now += 1;
    assert.equal(limit(`address ${index}`).isAllowed, true);
  }
  limit("watched");
  limit("watched");
  limit("another");

  assert.equal(limit("watched").isAllowed, false);
});
