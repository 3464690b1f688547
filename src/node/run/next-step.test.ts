import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Cooldowns, chooseCandidate, type ModelName } from "../../models/index.ts";
import type { Outcome, Step, ToolCallView } from "../../tasks/index.ts";
import { factsOf, type ModelFailure } from "./facts.ts";
import {
  type Candidates,
  MODEL_TRIES_MAX,
  MODEL_WAIT_MS_MAX,
  nextStep,
  type RunLimits,
  USELESS_ANSWERS_MAX,
} from "./next-step.ts";
import type { Answer, Entry } from "./transcript.ts";

const limits: RunLimits = { turnsMax: 100, wallMsMax: 3_600_000, budget: {} };

/** The chain as it stands; those named in `cooling` are busy until then. */
const chainOf = (
  models: readonly ModelName[],
  cooling: { readonly [model: string]: number } = {},
): Candidates => ({
  chain: models,
  choose: (tried) => chooseCandidate(models, cooldownsUntil(cooling), tried, 0),
  wordsOf: (model) => (model in cooling ? `${model} is busy.` : undefined),
});

const cooldownsUntil = (cooling: { readonly [model: string]: number }): Cooldowns =>
  new Map(
    Object.entries(cooling).map(([model, until]) => [
      model,
      { kind: "cooling", track: "traffic", class: "overloaded", failures: 1, since: 0, until },
    ]),
  );

const alone = chainOf(["rehearsal/x"]);

const usage = {
  tokensIn: 10,
  tokensOut: 5,
  tokensCached: 0,
  costUsd: 0.01,
  modelCalls: 1,
  toolCalls: 0,
  rehearsed: false,
};

const started: Step = {
  kind: "started",
  agent: "coder",
  agentVersion: "v1",
  node: "node_1",
  sandbox: "none",
};
const asked: Step = { kind: "model_asked", model: "rehearsal/x" };
const resumed: Step = { kind: "resumed", node: "node_2", epoch: 2 };
const answered = (over: Partial<Answer> = {}): Step => ({
  kind: "model_answered",
  model: "rehearsal/x",
  text: "Done.",
  calls: [],
  finish: "stop",
  usage,
  tookMs: 1,
  ...over,
});
const failed = (retry: "never" | "later"): Step => ({
  kind: "model_failed",
  model: "rehearsal/x",
  code: "model_failed",
  message: "It broke.",
  retry,
});
const call = (id: string, tool = "edit"): ToolCallView => ({ id, tool, arguments: "{}" });
const began = (id: string): Step => ({
  kind: "tool_began",
  call: id,
  tool: "edit",
  effect: "queryable",
  arguments: {},
});
const settled = (id: string, outcome: Outcome = { kind: "done", text: "ok" }): Step => ({
  kind: "tool_settled",
  call: id,
  outcome,
  tookMs: 1,
});
const transcript = (...steps: Step[]): Entry[] => steps.map((step, index) => ({ at: index, step }));
const move = (steps: Step[], over: Partial<RunLimits> = {}, now = steps.length) =>
  nextStep(factsOf(transcript(...steps)), { ...limits, ...over }, now, alone);

test("a run begins by asking the model", () => {
  assert.deepEqual(move([started]), {
    kind: "ask_model",
    model: "rehearsal/x",
    tries: 0,
    isAsked: false,
  });
});

test("an intent to ask that stands is not recorded twice", () => {
  assert.deepEqual(move([started, asked, resumed]), {
    kind: "ask_model",
    model: "rehearsal/x",
    tries: 0,
    isAsked: true,
  });
});

test("a recorded answer is acted on, never asked for again", () => {
  const out = move([started, asked, answered({ calls: [call("a")] }), resumed]);

  assert.deepEqual(out, { kind: "call_tool", call: call("a"), isRepeat: false });
});

test("a call whose intent stands without an outcome is repeated as a repetition", () => {
  const out = move([started, asked, answered({ calls: [call("a")] }), began("a"), resumed]);

  assert.equal(out.kind === "call_tool" && out.isRepeat, true);
});

test("settled calls are never made again; the model is asked when all are", () => {
  const answer = answered({ calls: [call("a"), call("b")] });

  const second = move([started, asked, answer, began("a"), settled("a")]);
  const after = move([started, asked, answer, settled("a"), settled("b")]);

  assert.equal(second.kind === "call_tool" && second.call.id, "b");
  assert.equal(after.kind, "ask_model");
});

test("a plan is carried out after the other calls of its answer", () => {
  const answer = answered({ calls: [call("p", "plan"), call("a")] });

  const first = move([started, asked, answer]);
  const then = move([started, asked, answer, settled("a")]);

  assert.equal(first.kind === "call_tool" && first.call.id, "a");
  assert.equal(then.kind === "call_tool" && then.call.id, "p");
});

test("an answer without calls is the result", () => {
  assert.deepEqual(move([started, asked, answered()]), { kind: "finish", text: "Done." });
});

test("words told after the answer are heard before the run may finish", () => {
  const told: Step = { kind: "told", from: "workspace", text: "There are conflicts." };

  assert.equal(move([started, asked, answered(), told]).kind, "ask_model");
});

test("a parked run first hears how its children ended, once, then asks", () => {
  const plan = answered({ calls: [call("p", "plan")] });
  const parked = [started, asked, plan, settled("p"), { kind: "waited", gate: "children" } as Step];
  const told: Step = { kind: "told", from: "children", text: "All done." };

  const hears = move([...parked, resumed]);

  assert.deepEqual(hears, { kind: "hear_children", wait: 1, forConflict: false });
  assert.equal(move([...parked, resumed, told]).kind, "ask_model");
});

test("after a conflict was resolved the finished answer is merged again, not asked for again", () => {
  const steps: Step[] = [
    started,
    asked,
    answered(),
    { kind: "told", from: "conflict", text: "a.ts" },
    { kind: "waited", gate: "children" },
    resumed,
  ];

  const hears = move(steps);
  const then = move([...steps, { kind: "told", from: "resolution", text: "Resolved." }]);

  assert.deepEqual(hears, { kind: "hear_children", wait: 1, forConflict: true });
  assert.deepEqual(then, { kind: "finish", text: "Done." });
});

test("giving up fails the task for good, with the reason", () => {
  const out = move([
    started,
    asked,
    answered({ calls: [call("g", "give_up")] }),
    settled("g", { kind: "done", text: "Tests fail." }),
  ]);

  assert.deepEqual(out, {
    kind: "fail",
    failure: { code: "gave_up", message: "Tests fail.", retry: "never" },
  });
});

test("an invalid plan is told to the model once; the second one fails the task", () => {
  const problems: Outcome = { kind: "refused", text: "No such agent.", facts: { problems: ["x"] } };
  const first = [started, asked, answered({ calls: [call("p", "plan")] }), settled("p", problems)];

  const repair = move(first);
  const second = move([
    ...first,
    asked,
    answered({ calls: [call("q", "plan")] }),
    settled("q", problems),
  ]);

  assert.equal(repair.kind, "ask_model");
  assert.equal(second.kind === "fail" && second.failure.code, "invalid_plan");
});

test("a model that fails is tried four times in a row, then the run fails", () => {
  const tries = Array.from({ length: MODEL_TRIES_MAX }, () => [asked, failed("later")]).flat();

  const third = move([started, ...tries.slice(0, -2)]);
  const last = move([started, ...tries]);

  assert.deepEqual(third, {
    kind: "ask_model",
    model: "rehearsal/x",
    tries: MODEL_TRIES_MAX - 1,
    isAsked: false,
  });
  assert.equal(last.kind === "fail" && last.failure.retry, "later");
});

test("an answer between two failures starts the count of tries anew", () => {
  const tries = Array.from({ length: MODEL_TRIES_MAX - 1 }, () => [asked, failed("later")]).flat();
  const answer = answered({ calls: [call("a")] });

  const out = move([started, ...tries, asked, answer, settled("a"), ...tries]);

  assert.equal(out.kind === "ask_model" && out.tries, MODEL_TRIES_MAX - 1);
});

test("a failure that no other try mends fails at once", () => {
  const out = move([started, asked, failed("never")]);

  assert.equal(out.kind === "fail" && out.failure.retry, "never");
});

// ---- A4 -----------------------------------------------------------------------------------------

const CHAIN: readonly ModelName[] = ["a/one", "b/two", "c/three"];

const moveIn = (steps: readonly Step[], candidates: Candidates, now = 0) =>
  nextStep(factsOf(transcript(...steps)), limits, now, candidates);

const failedAs = (model: string, over: Partial<ModelFailure> = {}): Step => ({
  kind: "model_failed",
  model,
  code: "model_failed",
  message: `${model} broke.`,
  retry: "later",
  class: "overloaded",
  ...over,
});

test("a model that failed is followed by the next of the chain at once, each asked once", () => {
  const candidates = chainOf(CHAIN);
  const two = [started, asked, failedAs("a/one"), asked, failedAs("b/two")];

  assert.deepEqual(moveIn(two.slice(0, 3), candidates), {
    kind: "ask_model",
    model: "b/two",
    tries: 0,
    isAsked: false,
  });
  assert.deepEqual(moveIn(two, candidates), {
    kind: "ask_model",
    model: "c/three",
    tries: 0,
    isAsked: false,
  });
});

test("when the whole chain failed, the last one's own words surface, to be tried later", () => {
  const steps = [
    started,
    failedAs("a/one"),
    failedAs("b/two"),
    failedAs("c/three", { class: "bad_request", retry: "never" }),
  ];

  assert.deepEqual(moveIn(steps, chainOf(CHAIN)), {
    kind: "fail",
    failure: { code: "model_failed", message: "c/three broke.", retry: "later" },
  });
});

test("a chain in which every try is hopeless fails for good", () => {
  const steps = CHAIN.map((model) => failedAs(model, { class: "auth", retry: "never" }));

  const out = moveIn([started, ...steps], chainOf(CHAIN));

  assert.equal(out.kind === "fail" && out.failure.retry, "never");
});

test("an answer lets the whole chain be asked again, from its start", () => {
  const answer = answered({ model: "b/two", calls: [call("a")] });

  const out = moveIn([started, failedAs("a/one"), asked, answer, settled("a")], chainOf(CHAIN));

  assert.equal(out.kind === "ask_model" && out.model, "a/one");
});

test("a conversation too long for one model is sent to no other", () => {
  const out = moveIn(
    [started, failedAs("a/one", { class: "context_overflow", retry: "never" })],
    chainOf(CHAIN),
  );

  assert.equal(out.kind === "fail" && out.failure.retry, "never");
  assert.match(out.kind === "fail" ? out.failure.message : "", /a\/one broke\..*Split the task/);
});

test("when all cool down, the run waits for the first that is free, but not for long", () => {
  const soon = chainOf(CHAIN, { "a/one": 90_000, "b/two": MODEL_WAIT_MS_MAX, "c/three": 70_000 });
  const late = chainOf(CHAIN, { "a/one": 90_000, "b/two": 80_000, "c/three": 70_000 });

  assert.deepEqual(moveIn([started], soon), {
    kind: "wait_for_model",
    model: "b/two",
    until: MODEL_WAIT_MS_MAX,
  });
  const out = moveIn([started], late);
  assert.equal(out.kind === "fail" && out.failure.retry, "later");
  assert.match(
    out.kind === "fail" ? out.failure.message : "",
    /^c\/three is busy\. Every model of the chain cools down; c\/three may be asked again from /,
  );
});

test("the only model that cools down for another run's failure is waited for as well", () => {
  const busy = chainOf(["rehearsal/x"], { "rehearsal/x": 5_000 });

  assert.equal(moveIn([started], busy).kind, "wait_for_model");
  assert.equal(moveIn([started, asked, failed("later")], busy).kind, "ask_model");
});

test("an intent that stands for one model is none for the model that is asked instead", () => {
  const intent: Step = { kind: "model_asked", model: "a/one" };
  const isAsked = (cooling: { readonly [model: string]: number }) => {
    const out = moveIn([started, intent, resumed], chainOf(CHAIN, cooling));
    return out.kind === "ask_model" && [out.model, out.isAsked];
  };

  assert.deepEqual(isAsked({}), ["a/one", true]);
  assert.deepEqual(isAsked({ "a/one": 30_000 }), ["b/two", false]);
});

test("without any model the task fails, and says what to set", () => {
  const out = moveIn([started], chainOf([]));

  assert.equal(out.kind === "fail" && out.failure.code, "no_model");
  assert.match(out.kind === "fail" ? out.failure.message : "", /models\.default/);
});

test("a model that never stops calling tools meets the limit of turns", () => {
  const turns = Array.from({ length: 5 }, (_, n) => [
    asked,
    answered({ calls: [call(`c${n}`)] }),
    settled(`c${n}`),
  ]).flat();

  const out = move([started, ...turns], { turnsMax: 5 });

  assert.equal(out.kind === "fail" && out.failure.code, "limit_exceeded");
});

test("each bound of the budget stops the next turn, earlier runs counted", () => {
  const steps = [started, asked, answered({ calls: [call("a")] }), settled("a")];
  const spentBefore = { turns: 1, tokens: 15, costUsd: 0.01 };
  const kindWith = (budget: RunLimits["budget"], before = { turns: 0, tokens: 0, costUsd: 0 }) =>
    move(steps, { budget, spentBefore: before }).kind;

  assert.equal(kindWith({ tokens: 15 }), "fail");
  assert.equal(kindWith({ tokens: 16 }), "ask_model");
  assert.equal(kindWith({ tokens: 30 }, spentBefore), "fail");
  assert.equal(kindWith({ costUsd: 0.01 }), "fail");
  assert.equal(kindWith({ steps: 1 }), "fail");
  assert.equal(kindWith({ steps: 2 }), "ask_model");
  assert.equal(kindWith({ steps: 2 }, spentBefore), "fail");
});

test("time worked is bounded, and time waited for children is not counted", () => {
  const hour = 3_600_000;
  const parked: Entry[] = [
    { at: 0, step: started },
    { at: 10, step: { kind: "waited", gate: "children" } },
    { at: 5 * hour, step: resumed },
    { at: 5 * hour, step: { kind: "told", from: "children", text: "ok" } },
  ];

  assert.equal(nextStep(factsOf(parked), limits, 5 * hour + 1_000, alone).kind, "ask_model");
  assert.equal(nextStep(factsOf(parked), limits, 6 * hour, alone).kind, "fail");
  assert.equal(
    nextStep(factsOf(parked), { ...limits, budget: { wallMs: 500 } }, 5 * hour + 1_000, alone).kind,
    "fail",
  );
});

test("a clock that jumps back neither ends a run nor makes its time negative", () => {
  const entries: Entry[] = [
    { at: 1_000_000, step: started },
    { at: 1_000_000, step: resumed },
  ];

  assert.equal(nextStep(factsOf(entries), limits, 5, alone).kind, "ask_model");
});

test("an answer cut off or empty is told to the model, a bounded number of times", () => {
  const cut = [asked, answered({ text: "Half", finish: "length" })];
  const told: Step = { kind: "told", from: "cadre", text: "Go on." };
  const rounds = Array.from({ length: USELESS_ANSWERS_MAX }, () => [...cut, told]).flat();

  const first = move([started, ...cut]);
  const empty = move([started, asked, answered({ text: "  " })]);
  const last = move([started, ...rounds, ...cut]);

  assert.equal(first.kind, "tell");
  assert.equal(empty.kind, "tell");
  assert.equal(last.kind === "fail" && last.failure.code, "model_failed");
});

test("a withheld answer fails for good", () => {
  const out = move([started, asked, answered({ finish: "content-filter" })]);

  assert.equal(out.kind === "fail" && out.failure.retry, "never");
});

// ---- A3 as a property ---------------------------------------------------------------------------

type Turn = {
  readonly calls: readonly string[];
  readonly fails: number;
  readonly isEmpty: boolean;
};

/** Plays a script to its end from what stands; answers the steps and how often each call ran. */
function play(script: readonly Turn[], from: readonly Step[]) {
  const steps = [...from];
  const effects = new Map<string, number>();
  for (let moves = 0; moves < 500; moves++) {
    const next = nextStep(factsOf(transcript(...steps)), limits, 0, alone);
    if (next.kind === "finish" || next.kind === "fail") return { steps, effects, end: next };
    if (next.kind === "tell") steps.push({ kind: "told", from: "cadre", text: next.text });
    else if (next.kind === "hear_children") {
      steps.push({ kind: "told", from: "children", text: "They ended." });
    } else if (next.kind === "wait_for_model") {
      throw new Error("No model cools down here.");
    } else if (next.kind === "ask_model") {
      if (!next.isAsked) steps.push(asked);
      steps.push(answerOf(script, steps, next.tries));
    } else if (next.call.tool === "plan") {
      steps.push(settled(next.call.id), { kind: "waited", gate: "children" });
    } else {
      if (!next.isRepeat) steps.push(began(next.call.id));
      effects.set(next.call.id, (effects.get(next.call.id) ?? 0) + 1);
      steps.push(settled(next.call.id));
    }
  }
  throw new Error("The run never ended.");
}

/** What the scripted model says: a function of the conversation alone. */
function answerOf(script: readonly Turn[], steps: readonly Step[], tries: number): Step {
  const turn = steps.filter(({ kind }) => kind === "model_answered").length;
  const { calls = [], fails = 0, isEmpty = false } = script[turn] ?? {};
  if (tries < fails) return failed("later");
  return answered({
    text: isEmpty ? "" : `Turn ${turn}.`,
    calls: calls.map((tool, index) => call(`${turn}-${index}`, tool)),
    finish: calls.length > 0 ? "tool-calls" : "stop",
  });
}

const scripts = fc.array(
  fc.record({
    calls: fc.array(fc.constantFrom("edit", "shell", "plan"), { maxLength: 3 }),
    fails: fc.integer({ min: 0, max: MODEL_TRIES_MAX }),
    isEmpty: fc.boolean(),
  }),
  { maxLength: 8 },
);

test("a run cut anywhere comes to the same transcript, and repeats only what was open", () => {
  const withoutMarks = (steps: readonly Step[]) => steps.filter(({ kind }) => kind !== "resumed");
  fc.assert(
    fc.property(scripts, fc.nat(), (script, chosen) => {
      const whole = play(script, [started]);
      const anywhere = 1 + (chosen % whole.steps.length);
      // A plan and the wait for it are one transaction: no crash can part them.
      const cut = whole.steps[anywhere]?.kind === "waited" ? anywhere + 1 : anywhere;
      const kept = whole.steps.slice(0, cut);

      const again = play(script, [...kept, resumed]);

      assert.deepEqual(withoutMarks(again.steps), whole.steps);
      assert.deepEqual(again.end, whole.end);
      for (const [id, count] of again.effects) {
        assert.equal(count, 1);
        assert.ok(!kept.some((step) => step.kind === "tool_settled" && step.call === id), id);
      }
    }),
    { numRuns: 500 },
  );
});
