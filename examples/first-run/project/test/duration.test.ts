import assert from "node:assert/strict";
import { test } from "node:test";
import { formatDuration, parseDuration } from "../src/duration.ts";

test("a duration of one unit", () => {
  assert.equal(parseDuration("90s"), 90_000);
  assert.equal(parseDuration("2h"), 7_200_000);
});

test("units add up", () => {
  assert.equal(parseDuration("1h30m"), 5_400_000);
});

test("milliseconds are not minutes", () => {
  assert.equal(parseDuration("250ms"), 250);
  assert.equal(parseDuration("1s500ms"), 1_500);
});

test("what is no duration is refused", () => {
  for (const text of ["", "soon", "5", "5 m", "10x", "1h and a bit"]) {
    assert.throws(() => parseDuration(text), RangeError, `"${text}"`);
  }
});

test("a duration survives being written and read", () => {
  for (const ms of [0, 1, 999, 1_500, 5_400_000, 90_061_001]) {
    assert.equal(parseDuration(formatDuration(ms)), ms);
  }
});
