// A run is a transcript: from what stands in it alone, what to do next. `facts` is all a transcript
// says of that, folded step by step: see facts.ts.
//
// Keeps A3. A recorded answer is never asked for again; a call whose intent stands without an
// outcome is repeated as a repetition; a settled call is never made again.
import { type Millis, unreachable } from "../../platform/index.ts";
import type { Budget, Failure, ToolCallView } from "../../tasks/index.ts";
import { type Facts, NOTHING_SPENT, type Spent, timesTold, workedMs } from "./facts.ts";
import { GIVE_UP, PLAN } from "./internal-names.ts";
import { type Answer, TELLERS } from "./transcript.ts";

export type Move =
  | Asking
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
  /** Failures in a row so far; more than 0 means wait a backoff first. */
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

export function nextStep(facts: Facts, limits: RunLimits, now: Millis): Move {
  const { openWait, answer } = facts;
  if (openWait !== undefined) {
    return { kind: "hear_children", wait: openWait.number, forConflict: openWait.forConflict };
  }
  if (answer === undefined) return ask(facts, limits, now);

  const ending = endingCall(facts, answer);
  if (ending !== undefined) return ending;
  const call = unsettledCall(facts, answer);
  if (call !== undefined) {
    const isRepeat = facts.begun.has(call.id);
    // A repetition is settled even past the limit, so that no effect stays unaccounted for.
    const over = isRepeat ? undefined : overTime(facts, limits, now);
    return over === undefined ? { kind: "call_tool", call, isRepeat } : fail(over);
  }
  if (answer.calls.length > 0 || facts.hasNews) return ask(facts, limits, now);
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

function ask(facts: Facts, limits: RunLimits, now: Millis): Move {
  const { count: tries, newest: failure } = facts.failures;
  if (failure !== undefined && (failure.retry === "never" || tries >= MODEL_TRIES_MAX)) {
    return fail({ code: failure.code, message: failure.message, retry: failure.retry });
  }
  const over = overBudget(facts, limits) ?? overTime(facts, limits, now);
  if (over !== undefined) return fail(over);
  const { retryAfterMs } = failure ?? {};
  return {
    kind: "ask_model",
    tries,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    isAsked: facts.isAsking,
  };
}

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
