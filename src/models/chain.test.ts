import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  COOLDOWN_SCHEDULE,
  type Cooldown,
  type Cooldowns,
  chooseCandidate,
  cooldownAfter,
  isCooling,
  NO_COOLDOWN,
} from "./chain.ts";
import { FAILURE_CLASSES, type FailureClass } from "./classify.ts";
import type { ModelName } from "./model.ts";

const NOW = Date.parse("2026-11-20T12:00:00Z");
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

const CHAIN: readonly ModelName[] = ["a/one", "b/two", "c/three"];

const cooling = (over: Partial<Extract<Cooldown, { kind: "cooling" }>> = {}): Cooldown => ({
  kind: "cooling",
  track: "traffic",
  class: "overloaded",
  failures: 1,
  since: NOW,
  until: NOW + 30 * SECOND,
  ...over,
});

const leftMs = (cooldown: Cooldown, now: number): number =>
  cooldown.kind === "cooling" ? cooldown.until - now : 0;

/** Fails again and again, each time just as the cooldown has passed. */
function lengthsOf(failure: FailureClass, times: number): number[] {
  let cooldown = NO_COOLDOWN;
  let now = NOW;
  return Array.from({ length: times }, () => {
    cooldown = cooldownAfter(cooldown, { class: failure }, now);
    const length = leftMs(cooldown, now);
    now += length;
    return length;
  });
}

const failureClass = fc.constantFrom(...FAILURE_CLASSES);
const instant = fc.integer({ min: NOW - 2 * HOUR, max: NOW + 2 * HOUR });
const anyCooldown: fc.Arbitrary<Cooldown> = fc
  .array(fc.record({ class: failureClass, at: instant }), { maxLength: 6 })
  .map((failures) =>
    failures.reduce<Cooldown>((so, { at, ...failure }) => cooldownAfter(so, failure, at), {
      kind: "none",
    }),
  );

test("the cooldown of each class of failure begins as the table says", () => {
  const table: { readonly [C in FailureClass]: number } = {
    rate_limited: 30 * SECOND,
    overloaded: 30 * SECOND,
    timeout: 30 * SECOND,
    network: 30 * SECOND,
    server: 30 * SECOND,
    protocol: 30 * SECOND,
    unknown: 30 * SECOND,
    auth: 5 * MINUTE,
    billing: 5 * MINUTE,
    context_overflow: 0,
    bad_request: 0,
    content_filter: 0,
  };

  for (const failure of FAILURE_CLASSES) {
    const after = cooldownAfter(NO_COOLDOWN, { class: failure }, NOW);

    assert.equal(leftMs(after, NOW), table[failure], failure);
  }
});

test("each failure after a cooldown doubles it, up to the longest of its track", () => {
  assert.deepEqual(
    lengthsOf("overloaded", 7).map((ms) => ms / SECOND),
    [30, 60, 120, 240, 480, 600, 600],
  );
  assert.deepEqual(
    lengthsOf("billing", 11).map((ms) => ms / MINUTE),
    [5, 10, 20, 40, 80, 160, 320, 640, 1_280, 1_440, 1_440],
  );
});

test("failures of calls that were under way do not lengthen a cooldown", () => {
  const first = cooldownAfter(NO_COOLDOWN, { class: "overloaded" }, NOW);

  const after = Array.from({ length: 50 }).reduce<Cooldown>(
    (so, _, n) => cooldownAfter(so, { class: "timeout" }, NOW + n * 100),
    first,
  );

  assert.equal(after, first);
});

test("late failures that ask for a short pause neither count nor draw a cooldown out", () => {
  const first = cooldownAfter(NO_COOLDOWN, { class: "rate_limited" }, NOW);

  const after = Array.from({ length: 20 }).reduce<Cooldown>((so, _, n) => {
    return cooldownAfter(so, { class: "rate_limited", retryAfterMs: SECOND }, NOW + n * SECOND);
  }, first);

  assert.equal(after, first);
});

test("what the provider asks for is honoured when it is longer, up to an hour", () => {
  const after = (retryAfterMs: number) =>
    leftMs(cooldownAfter(NO_COOLDOWN, { class: "rate_limited", retryAfterMs }, NOW), NOW);

  assert.equal(after(5 * SECOND), 30 * SECOND);
  assert.equal(after(90 * SECOND), 90 * SECOND);
  assert.equal(after(24 * HOUR), HOUR);
});

test("a provider that asks for longer while its model cools down is heard", () => {
  const after = cooldownAfter(
    cooling(),
    { class: "rate_limited", retryAfterMs: 10 * MINUTE },
    NOW + SECOND,
  );

  assert.equal(leftMs(after, NOW), 10 * MINUTE + SECOND);
});

test("a bill that was not paid outlasts the traffic jam it was found in, not the reverse", () => {
  const unpaid = cooldownAfter(cooling({ failures: 4 }), { class: "billing" }, NOW);
  const jammed = cooldownAfter(unpaid, { class: "overloaded" }, NOW + SECOND);

  assert.deepEqual(
    [unpaid.kind === "cooling" && unpaid.track, leftMs(unpaid, NOW)],
    ["billing", 5 * MINUTE],
  );
  assert.equal(jammed, unpaid);
});

test("the request's own fault cools nothing and keeps what was", () => {
  for (const own of ["context_overflow", "bad_request", "content_filter"] as const) {
    const before = cooling({ failures: 3 });

    assert.equal(cooldownAfter(before, { class: own, retryAfterMs: HOUR }, NOW), before);
  }
});

test("whatever fails and whenever: a cooldown is bounded, and never shortened by a failure", () => {
  const longestMs = Math.max(
    COOLDOWN_SCHEDULE.billing.longestMs,
    COOLDOWN_SCHEDULE.retryAfterMsMax,
  );
  const retryAfterMs = fc.option(fc.integer({ min: 0, max: 48 * HOUR }), { nil: undefined });
  fc.assert(
    fc.property(anyCooldown, failureClass, retryAfterMs, instant, (before, failure, wait, now) => {
      const after = cooldownAfter(before, { class: failure, retryAfterMs: wait }, now);

      if (after !== before) assert.ok(leftMs(after, now) <= longestMs);
      if (isCooling(before, now)) assert.ok(leftMs(after, now) >= leftMs(before, now));
    }),
  );
});

test("a clock set back ends a cooldown instead of drawing it out", () => {
  const before = cooling();

  assert.equal(isCooling(before, NOW - 24 * HOUR), false);
  // Two hubs of one store, the other one a little behind.
  assert.equal(isCooling(before, NOW - SECOND), true);
});

test("a cooldown that nothing renews is over within its own length, and the clocks' distance", () => {
  fc.assert(
    fc.property(anyCooldown, instant, (cooldown, now) => {
      fc.pre(cooldown.kind === "cooling" && isCooling(cooldown, now));
      const length = cooldown.kind === "cooling" ? cooldown.until - cooldown.since : 0;

      assert.equal(isCooling(cooldown, now + length + MINUTE), false);
    }),
  );
});

test("the first that is ready is asked, in the chain's order", () => {
  const cooldowns: Cooldowns = new Map([["a/one", cooling()]]);
  const choose = (...tried: string[]) => chooseCandidate(CHAIN, cooldowns, new Set(tried), NOW);

  assert.deepEqual(choose(), { kind: "ask", model: "b/two" });
  assert.deepEqual(choose("b/two"), { kind: "ask", model: "c/three" });
  assert.deepEqual(choose("b/two", "c/three"), {
    kind: "wait",
    model: "a/one",
    until: NOW + 30 * SECOND,
  });
  assert.deepEqual(choose(...CHAIN), { kind: "exhausted" });
});

test("when all cool down, the one that is free first is waited for", () => {
  const cooldowns: Cooldowns = new Map([
    ["a/one", cooling({ until: NOW + 50 * SECOND })],
    ["b/two", cooling({ until: NOW + 20 * SECOND })],
    ["c/three", cooling({ until: NOW + 40 * SECOND })],
  ]);

  const choice = chooseCandidate(CHAIN, cooldowns, new Set(), NOW);

  assert.deepEqual(choice, { kind: "wait", model: "b/two", until: NOW + 20 * SECOND });
});

test("a model that cools down, or was tried in this turn, is never asked", () => {
  const known = fc.dictionary(fc.constantFrom(...CHAIN), anyCooldown);
  const tries = fc.subarray([...CHAIN]);
  fc.assert(
    fc.property(known, tries, instant, (cooldowns, tried, now) => {
      const map: Cooldowns = new Map(Object.entries(cooldowns));

      const choice = chooseCandidate(CHAIN, map, new Set(tried), now);

      const ready = CHAIN.filter((model) => {
        return !tried.includes(model) && !isCooling(map.get(model) ?? NO_COOLDOWN, now);
      });
      assert.deepEqual(choice.kind === "ask" ? [choice.model] : [], ready.slice(0, 1));
      if (choice.kind === "wait") assert.ok(choice.until > now);
      if (choice.kind === "exhausted") assert.equal(tried.length, CHAIN.length);
    }),
  );
});
