import assert from "node:assert/strict";
import { test } from "node:test";
import { formatLimit, parseLimit } from "../src/limit.ts";
import { createQuota } from "../src/quota.ts";

test("a limit in words works as a quota", () => {
  const gate = createQuota(parseLimit("1 per 250ms"));

  assert.equal(gate.take("a", 0).allowed, true);
  assert.deepEqual(gate.take("a", 100), { allowed: false, remaining: 0, retryAfterMs: 150 });
});

test("what is no limit is refused", () => {
  for (const text of ["", "100", "many per 1m", "100 per soon"]) {
    assert.throws(() => parseLimit(text), RangeError, `"${text}"`);
  }
  assert.equal(formatLimit(parseLimit("100 per 1m30s")), "100 per 1m30s");
});
