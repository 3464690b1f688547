import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Outcome, Step } from "../../tasks/index.ts";
import { advance, type Facts, factsOf, NO_FACTS, timesTold, workedMs } from "./facts.ts";
import { type Entry, TELLERS, type Transcript, withUniqueIds } from "./transcript.ts";

// ---- The same facts, each read out of the whole transcript ---------------------------------------

const kinds = (transcript: Transcript) => transcript.map(({ step }) => step.kind);

const sinceAnswer = (transcript: Transcript): Step[] =>
  transcript.slice(kinds(transcript).lastIndexOf("model_answered") + 1).map(({ step }) => step);

function openWaitOf(transcript: Transcript): Facts["openWait"] {
  const at = kinds(transcript).lastIndexOf("waited");
  if (at < 0) return undefined;
  const isOver = transcript
    .slice(at)
    .some(({ step }) => step.kind === "told" && /children|resolution/.test(step.from));
  if (isOver) return undefined;
  const before = sinceAnswer(transcript.slice(0, at)).findLast(({ kind }) => kind === "told");
  return {
    number: kinds(transcript.slice(0, at + 1)).filter((kind) => kind === "waited").length,
    forConflict: before?.kind === "told" && before.from === TELLERS.conflict,
  };
}

function failuresOf(transcript: Transcript): Facts["failures"] {
  const steps = transcript.map(({ step }) => step);
  const other = steps.findLastIndex(
    ({ kind }) => kind !== "model_failed" && kind !== "model_asked" && kind !== "resumed",
  );
  return steps.slice(other + 1).filter((step) => step.kind === "model_failed");
}

function workedMsOf(transcript: Transcript, now: number): number {
  const starts = transcript.flatMap(({ step }, index) =>
    index === 0 || step.kind === "resumed" ? [index] : [],
  );
  return starts.reduce((sum, start, n) => {
    const stretch = transcript.slice(start, starts[n + 1]);
    const isLast = n === starts.length - 1;
    const last = stretch.at(-1);
    const until = isLast && last?.step.kind !== "waited" ? now : (last?.at ?? 0);
    return sum + Math.max(0, until - (stretch[0]?.at ?? 0));
  }, 0);
}

const outcomesOf = (steps: readonly Step[]): Map<string, Outcome> =>
  new Map(steps.flatMap((it) => (it.kind === "tool_settled" ? [[it.call, it.outcome]] : [])));

// ---- Any transcript ------------------------------------------------------------------------------

const usage = {
  tokensIn: 10,
  tokensOut: 5,
  tokensCached: 0,
  costUsd: null,
  modelCalls: 1,
  toolCalls: 0,
  rehearsed: false,
};

/** A chosen step; calls are those of the newest answer, as in any transcript the loop writes. */
function stepOf(choice: number, nth: number, made: readonly Entry[]): Step {
  const answers = kinds(made).filter((kind) => kind === "model_answered").length;
  const call = `${answers - 1}-${nth % 3}`;
  const from = Object.values(TELLERS)[nth % 6] ?? "";
  const steps: readonly Step[] = [
    { kind: "resumed", node: "node_1", epoch: 1 },
    { kind: "model_asked", model: "m" },
    { kind: "model_failed", model: "m", code: "model_failed", message: `${nth}`, retry: "later" },
    {
      kind: "model_answered",
      model: "m",
      text: `${nth}`,
      calls: [0, 1, 2].map((n) => ({ id: `${answers}-${n}`, tool: "t", arguments: "{}" })),
      finish: "tool-calls",
      usage,
      tookMs: 1,
    },
    { kind: "tool_began", call, tool: "t", effect: "pure", arguments: {} },
    { kind: "tool_settled", call, outcome: { kind: "done", text: `${nth}` }, tookMs: 1 },
    {
      kind: "tool_settled",
      call,
      outcome: { kind: "refused", text: `${nth}`, facts: { problems: ["x"] } },
      tookMs: 1,
    },
    { kind: "told", from, text: "Words." },
    { kind: "waited", gate: "children" },
  ];
  return steps[choice % steps.length] as Step;
}

const transcripts = fc
  .array(fc.record({ choice: fc.nat(), nth: fc.nat(1_000), at: fc.integer({ min: 0, max: 50 }) }), {
    maxLength: 40,
  })
  .map((choices) => {
    const entries: Entry[] = [];
    for (const { choice, nth, at } of choices) {
      entries.push({ at, step: stepOf(choice, nth, entries) });
    }
    return entries;
  });

test("facts folded step by step are those of the whole transcript, clocks that jump included", () => {
  fc.assert(
    fc.property(transcripts, fc.integer({ min: 0, max: 60 }), (transcript, now) => {
      const facts = factsOf(transcript);

      const steps = transcript.map(({ step }) => step);
      const since = sinceAnswer(transcript);
      const answers = steps.filter((step) => step.kind === "model_answered");
      const problems = steps.filter(
        (step) => step.kind === "tool_settled" && step.outcome.facts?.["problems"] !== undefined,
      );
      assert.equal(facts.waits, steps.filter(({ kind }) => kind === "waited").length);
      assert.deepEqual(facts.openWait, openWaitOf(transcript));
      assert.equal(facts.answer, answers.at(-1));
      assert.equal(
        facts.hasNews,
        since.some((it) => it.kind === "told" && !/conflict|resolution/.test(it.from)),
      );
      assert.deepEqual(
        [...facts.begun],
        [...new Set(since.flatMap((it) => (it.kind === "tool_began" ? [it.call] : [])))],
      );
      assert.deepEqual(facts.settled, outcomesOf(since));
      assert.deepEqual(facts.failures, failuresOf(transcript));
      const newest = steps.findLast(({ kind }) => kind !== "resumed");
      assert.equal(facts.asking, newest?.kind === "model_asked" ? newest.model : undefined);
      assert.deepEqual(facts.spent, {
        turns: answers.length,
        tokens: answers.length * 15,
        costUsd: 0,
      });
      assert.equal(facts.invalidPlans.count, problems.length);
      assert.equal(workedMs(facts, now), workedMsOf(transcript, now));
      for (const from of Object.values(TELLERS)) {
        const times = steps.filter((step) => step.kind === "told" && step.from === from).length;
        assert.equal(timesTold(facts, from), times);
      }
    }),
    { numRuns: 1_000 },
  );
});

test("one more step changes nothing of the facts before it", () => {
  fc.assert(
    fc.property(transcripts, (transcript) => {
      const entries = [...transcript];
      const last = entries.pop();
      const before = factsOf(entries);
      const kept = structuredClone(before);

      if (last !== undefined) advance(before, last);

      assert.deepEqual(before, kept);
      assert.deepEqual(factsOf([]), NO_FACTS);
    }),
  );
});

test("an id the run has used, or the answer uses twice, is made another", () => {
  const call = (id: string) => ({ id, tool: "t", arguments: "{}" });

  const calls = withUniqueIds([call("a"), call("a"), call("b")], new Set(["a", "a_2"]));

  assert.deepEqual(
    calls.map(({ id }) => id),
    ["a_3", "a_4", "b"],
  );
});
