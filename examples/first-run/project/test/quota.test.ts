import assert from "node:assert/strict";
import { test } from "node:test";
import { createQuota } from "../src/quota.ts";

const quota = () => createQuota({ count: 2, windowMs: 1_000 });

test("the first ones are allowed, and what remains is counted", () => {
  const gate = quota();

  assert.deepEqual(gate.take("a", 0), { allowed: true, remaining: 1, retryAfterMs: 0 });
  assert.deepEqual(gate.take("a", 10), { allowed: true, remaining: 0, retryAfterMs: 0 });
});

test("one more than the limit is refused", () => {
  const gate = quota();
  gate.take("a", 0);
  gate.take("a", 10);

  assert.equal(gate.take("a", 20).allowed, false);
});

test("a refusal says when the next one is allowed, and then it is", () => {
  const gate = quota();
  gate.take("a", 0);
  gate.take("a", 300);

  const refused = gate.take("a", 400);

  assert.deepEqual(refused, { allowed: false, remaining: 0, retryAfterMs: 600 });
  assert.equal(gate.take("a", 400 + refused.retryAfterMs).allowed, true);
});

test("keys do not share a quota", () => {
  const gate = quota();
  gate.take("a", 0);
  gate.take("a", 0);

  assert.equal(gate.take("b", 0).allowed, true);
});

test("after the window all are allowed again", () => {
  const gate = quota();
  gate.take("a", 0);
  gate.take("a", 0);

  assert.deepEqual(gate.take("a", 1_000), { allowed: true, remaining: 1, retryAfterMs: 0 });
});
