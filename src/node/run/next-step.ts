// A run is a transcript: from what stands in it alone, what to do next. `facts` is all a transcript
// says of that, folded step by step: see facts.ts.
//
// Keeps A3. A recorded answer is never asked for again; a call whose intent stands without an
// outcome is repeated as a repetition; a settled call is never made again.
import type { Choice, ModelName } from "../../models/index.ts";
import { iso, type Millis, unreachable } from "../../platform/index.ts";
import type { Budget, Failure, ToolCallView } from "../../tasks/index.ts";
import {
  type Facts,
  type ModelFailure,
  NOTHING_SPENT,
  type Spent,
  timesTold,
  workedMs,
} from "./facts.ts";
import { GIVE_UP, PLAN } from "./internal-names.ts";
import { type Answer, TELLERS } from "./transcript.ts";

export type Move =
  | Asking
  /** A4. All models that could be asked cool down: this one is free again first. */
  | { readonly kind: "wait_for_model"; readonly model: ModelName; readonly until: Millis }
  | { readonly kind: "call_tool"; readonly call: ToolCallView; readonly isRepeat: boolean }
  /** The run parked and was claimed again: fetch how the tasks of that wait ended. */
  | { readonly kind: "hear_children"; readonly wait: number; readonly forConflict: boolean }
  /** Words of the loop itself, recorded and then heard by the model. */
  | { readonly kind: "tell"; readonly text: string }
  /** The last answer is the result: commit, merge, complete. */
  | { readonly kind: "finish"; readonly text: string }
  | { readonly kind: "fail"; readonly failure: Failure };

export type Asking = {
  readonly kind: "ask_model";
  readonly model: ModelName;
  /** Failures in a row of the only model there is; more than 0 means wait a backoff first. */
  readonly tries: number;
  /** The provider asked to be left alone for so long, when it last failed. */
  readonly retryAfterMs?: Millis;
  /** The intent stands already. */
  readonly isAsked: boolean;
};

export type RunLimits = {
  /** Model turns of one run. */
  readonly turnsMax: number;
  /** Time worked in one run, waits left out. */
  readonly wallMsMax: Millis;
  readonly budget: Budget;
  /** What the task's earlier runs spent of its budget. */
  readonly spentBefore?: Spent;
};

/** A4. The models a run may ask, and what is known of them now. */
export type Candidates = {
  /** In order of preference. Empty: none is named, and there is no default one. */
  readonly chain: readonly ModelName[];
  /** Which of them is to be asked, when these were tried since the newest answer. */
  choose(tried: ReadonlySet<string>): Choice;
  /** What the provider of a model that cools down said last. */
  wordsOf(model: ModelName): string | undefined;
};

/** A run waits for a model no longer than this: then its attempt has failed, to be tried later. */
export const MODEL_WAIT_MS_MAX: Millis = 60_000;
/** T6: one try and three more. */
export const MODEL_TRIES_MAX = 4;
/** A13: an invalid plan is told to the model once. */
export const PLANS_INVALID_MAX = 2;
/** Answers in a run that were empty or cut off, and the model was told so. */
export const USELESS_ANSWERS_MAX = 3;

const AFTER_EMPTY =
  "Your last answer was empty. Go on with the task, or finish with a short account of what was done.";
const AFTER_CUT =
  "Your last answer was cut off at the output limit. Go on from where it stopped, in smaller parts.";

export function nextStep(
  facts: Facts,
  limits: RunLimits,
  now: Millis,
  candidates: Candidates,
): Move {
  const ask = () => askNext(facts, limits, now, candidates);
  const { openWait, answer } = facts;
  if (openWait !== undefined) {
    return { kind: "hear_children", wait: openWait.number, forConflict: openWait.forConflict };
  }
  if (answer === undefined) return ask();

  const ending = endingCall(facts, answer);
  if (ending !== undefined) return ending;
  const call = unsettledCall(facts, answer);
  if (call !== undefined) {
    const isRepeat = facts.begun.has(call.id);
    // A repetition is settled even past the limit, so that no effect stays unaccounted for.
    const over = isRepeat ? undefined : overTime(facts, limits, now);
    return over === undefined ? { kind: "call_tool", call, isRepeat } : fail(over);
  }
  if (answer.calls.length > 0 || facts.hasNews) return ask();
  return conclude(facts, answer);
}

/** The model stopped calling tools: is what it said an end? */
function conclude(facts: Facts, answer: Answer): Move {
  const { finish } = answer;
  switch (finish) {
    case "content-filter":
      return fail({
        code: "model_failed",
        message: `${answer.model} withheld its answer (content filter). Reword the task.`,
        retry: "never",
      });
    case "length":
      return tellUseless(facts, answer, AFTER_CUT);
    case "stop":
    case "tool-calls":
    case "other":
      if (answer.text.trim() === "") return tellUseless(facts, answer, AFTER_EMPTY);
      return { kind: "finish", text: answer.text };
    default:
      return unreachable(finish);
  }
}

function tellUseless(facts: Facts, answer: Answer, text: string): Move {
  if (timesTold(facts, TELLERS.loop) < USELESS_ANSWERS_MAX) return { kind: "tell", text };
  return fail({
    code: "model_failed",
    message: `${answer.model} gave ${USELESS_ANSWERS_MAX + 1} answers that were empty or cut off.`,
    retry: "later",
  });
}

/** Calls that end the run once they are settled. */
function endingCall({ settled, invalidPlans }: Facts, answer: Answer): Move | undefined {
  const gaveUp = answer.calls
    .filter((call) => call.tool === GIVE_UP)
    .map((call) => settled.get(call.id))
    .find((outcome) => outcome?.kind === "done");
  if (gaveUp !== undefined) {
    return fail({ code: "gave_up", message: gaveUp.text, retry: "never" });
  }
  if (invalidPlans.count < PLANS_INVALID_MAX) return undefined;
  return fail({ code: "invalid_plan", message: invalidPlans.newest, retry: "never" });
}

/** In the model's order, but a plan last: it parks the run, and nothing may be left behind. */
function unsettledCall({ settled }: Facts, answer: Answer): ToolCallView | undefined {
  const open = answer.calls.filter((call) => !settled.has(call.id));
  return open.find((call) => call.tool !== PLAN) ?? open[0];
}

function askNext(facts: Facts, limits: RunLimits, now: Millis, candidates: Candidates): Move {
  const { failures, asking } = facts;
  const newest = failures.at(-1);
  if (newest?.class === "context_overflow") return fail(overflown(newest));
  const [only, ...others] = candidates.chain;
  if (only === undefined) return fail(NO_MODEL);
  const isAlone = others.length === 0;
  const isGivenUp = newest?.retry === "never" || failures.length >= MODEL_TRIES_MAX;
  if (newest !== undefined && isAlone && isGivenUp) return fail(failureOf(failures, newest));

  const over = overBudget(facts, limits) ?? overTime(facts, limits, now);
  if (over !== undefined) return fail(over);
  // With nobody to fall back to, the same model is tried again (T6). That its own failure let it
  // cool down keeps the other runs away, not the one that finds out when it answers again.
  if (newest !== undefined && isAlone) {
    const { retryAfterMs } = newest;
    return {
      kind: "ask_model",
      model: only,
      tries: failures.length,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      isAsked: asking === only,
    };
  }

  const choice = candidates.choose(new Set(failures.map(({ model }) => model)));
  switch (choice.kind) {
    case "ask":
      return { kind: "ask_model", model: choice.model, tries: 0, isAsked: asking === choice.model };
    case "wait":
      if (choice.until - now <= MODEL_WAIT_MS_MAX) return { ...choice, kind: "wait_for_model" };
      return fail(allCooling(choice, failures, candidates));
    case "exhausted":
      return fail(newest === undefined ? NO_MODEL : failureOf(failures, newest));
    default:
      return unreachable(choice);
  }
}

/** The newest failure in its own words; worth another attempt when one of them was. */
const failureOf = (failures: Facts["failures"], { code, message }: ModelFailure): Failure => ({
  code,
  message,
  retry: failures.some(({ retry }) => retry === "later") ? "later" : "never",
});

function allCooling(
  { model, until }: Extract<Choice, { kind: "wait" }>,
  failures: Facts["failures"],
  { chain, wordsOf }: Candidates,
): Failure {
  const last = chain.at(-1);
  const words = failures.at(-1)?.message ?? (last === undefined ? undefined : wordsOf(last));
  const first = `${chain.length === 1 ? "It" : "Every model of the chain"} cools down`;
  const soonest = `${model} may be asked again from ${iso(until)}, or at once after: cadre models clear ${model}`;
  return {
    code: "model_failed",
    message: [...(words === undefined ? [] : [words]), `${first}; ${soonest}`].join(" "),
    retry: "later",
  };
}

/** Another model would be sent the same conversation: what is too long must become shorter. */
const overflown = ({ code, message }: ModelFailure): Failure => ({
  code,
  message: `${message} The conversation is longer than the model can read. Split the task into smaller ones, or name a model with a larger window.`,
  retry: "never",
});

const NO_MODEL: Failure = {
  code: "no_model",
  message:
    "The agent names no model and there is no default one. Set a provider's key, or models.default in the configuration.",
  retry: "never",
};

function overBudget({ spent: run }: Facts, limits: RunLimits): Failure | undefined {
  const before = limits.spentBefore ?? NOTHING_SPENT;
  const { budget } = limits;
  if (run.turns >= limits.turnsMax) {
    return exceeded(
      `The agent took ${run.turns} turns and did not finish. Split the task, or raise its limit of turns.`,
    );
  }
  if (budget.steps !== undefined && run.turns + before.turns >= budget.steps) {
    return exceeded(`The budget of ${budget.steps} turns is used up.`);
  }
  if (budget.tokens !== undefined && run.tokens + before.tokens >= budget.tokens) {
    return exceeded(`The budget of ${budget.tokens} tokens is used up.`);
  }
  if (budget.costUsd !== undefined && run.costUsd + before.costUsd >= budget.costUsd) {
    return exceeded(`The budget of ${budget.costUsd} USD is used up.`);
  }
  return undefined;
}

function overTime(facts: Facts, limits: RunLimits, now: Millis): Failure | undefined {
  const max = Math.min(limits.wallMsMax, limits.budget.wallMs ?? limits.wallMsMax);
  if (workedMs(facts, now) < max) return undefined;
  return exceeded(`The run worked for ${Math.round(max / 1_000)} s, which is its limit.`);
}

const exceeded = (message: string): Failure => ({
  code: "limit_exceeded",
  message,
  retry: "never",
});

const fail = (failure: Failure): Move => ({ kind: "fail", failure });
