// A run is a transcript: from what stands in it alone, what to do next.
//
// Keeps A3. A recorded answer is never asked for again; a call whose intent stands without an
// outcome is repeated as a repetition; a settled call is never made again.
import { type Millis, unreachable } from "../../platform/index.ts";
import type { Budget, Failure, ToolCallView } from "../../tasks/index.ts";
import { GIVE_UP, PLAN } from "./internal-names.ts";
import {
  type Answer,
  begunCalls,
  failuresInRow,
  isAsking,
  lastAnswer,
  NOTHING_SPENT,
  openWait,
  type Spent,
  settledCalls,
  spentIn,
  TELLERS,
  type Transcript,
  timesTold,
  toldAfter,
  workedMs,
} from "./transcript.ts";

export type Move =
  /** `tries`: failures in a row so far; more than 0 means wait a backoff first. */
  | { readonly kind: "ask_model"; readonly tries: number; readonly isAsked: boolean }
  | { readonly kind: "call_tool"; readonly call: ToolCallView; readonly isRepeat: boolean }
  /** The run parked and was claimed again: fetch how the tasks of that wait ended. */
  | { readonly kind: "hear_children"; readonly wait: number; readonly forConflict: boolean }
  /** Words of the loop itself, recorded and then heard by the model. */
  | { readonly kind: "tell"; readonly text: string }
  /** The last answer is the result: commit, merge, complete. */
  | { readonly kind: "finish"; readonly text: string }
  | { readonly kind: "fail"; readonly failure: Failure };

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

export function nextStep(transcript: Transcript, limits: RunLimits, now: Millis): Move {
  const wait = openWait(transcript);
  if (wait !== undefined) {
    return { kind: "hear_children", wait: wait.number, forConflict: wait.forConflict };
  }
  const last = lastAnswer(transcript);
  if (last === undefined) return ask(transcript, limits, now);

  const ending = endingCall(transcript, last.answer);
  if (ending !== undefined) return ending;
  const call = unsettledCall(transcript, last.answer);
  if (call !== undefined) {
    const isRepeat = begunCalls(transcript).has(call.id);
    // A repetition is settled even past the limit, so that no effect stays unaccounted for.
    const over = isRepeat ? undefined : overTime(transcript, limits, now);
    return over === undefined ? { kind: "call_tool", call, isRepeat } : fail(over);
  }
  if (last.answer.calls.length > 0 || toldAfter(transcript, last.index)) {
    return ask(transcript, limits, now);
  }
  return conclude(transcript, last.answer);
}

/** The model stopped calling tools: is what it said an end? */
function conclude(transcript: Transcript, answer: Answer): Move {
  const { finish } = answer;
  switch (finish) {
    case "content-filter":
      return fail({
        code: "model_failed",
        message: `${answer.model} withheld its answer (content filter). Reword the task.`,
        retry: "never",
      });
    case "length":
      return tellUseless(transcript, answer, AFTER_CUT);
    case "stop":
    case "tool-calls":
    case "other":
      if (answer.text.trim() === "") return tellUseless(transcript, answer, AFTER_EMPTY);
      return { kind: "finish", text: answer.text };
    default:
      return unreachable(finish);
  }
}

function tellUseless(transcript: Transcript, answer: Answer, text: string): Move {
  if (timesTold(transcript, TELLERS.loop) < USELESS_ANSWERS_MAX) return { kind: "tell", text };
  return fail({
    code: "model_failed",
    message: `${answer.model} gave ${USELESS_ANSWERS_MAX + 1} answers that were empty or cut off.`,
    retry: "later",
  });
}

/** Calls that end the run once they are settled. */
function endingCall(transcript: Transcript, answer: Answer): Move | undefined {
  const settled = settledCalls(transcript);
  const gaveUp = answer.calls
    .filter((call) => call.tool === GIVE_UP)
    .map((call) => settled.get(call.id))
    .find((outcome) => outcome?.kind === "done");
  if (gaveUp !== undefined) {
    return fail({ code: "gave_up", message: gaveUp.text, retry: "never" });
  }
  const invalid = invalidPlans(transcript);
  const newest = invalid.at(-1);
  if (invalid.length < PLANS_INVALID_MAX || newest === undefined) return undefined;
  return fail({ code: "invalid_plan", message: newest, retry: "never" });
}

/** What was wrong with each plan that was refused as a plan, oldest first. */
function invalidPlans(transcript: Transcript): string[] {
  return transcript.flatMap(({ step }) =>
    step.kind === "tool_settled" && step.outcome.facts?.["problems"] !== undefined
      ? [step.outcome.text]
      : [],
  );
}

/** In the model's order, but a plan last: it parks the run, and nothing may be left behind. */
function unsettledCall(transcript: Transcript, answer: Answer): ToolCallView | undefined {
  const settled = settledCalls(transcript);
  const open = answer.calls.filter((call) => !settled.has(call.id));
  return open.find((call) => call.tool !== PLAN) ?? open[0];
}

function ask(transcript: Transcript, limits: RunLimits, now: Millis): Move {
  const failures = failuresInRow(transcript);
  const failure = failures.at(-1);
  if (failure !== undefined && (failure.retry === "never" || failures.length >= MODEL_TRIES_MAX)) {
    return fail({ code: failure.code, message: failure.message, retry: failure.retry });
  }
  const over = overBudget(transcript, limits) ?? overTime(transcript, limits, now);
  if (over !== undefined) return fail(over);
  return { kind: "ask_model", tries: failures.length, isAsked: isAsking(transcript) };
}

function overBudget(transcript: Transcript, limits: RunLimits): Failure | undefined {
  const run = spentIn(transcript);
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

function overTime(transcript: Transcript, limits: RunLimits, now: Millis): Failure | undefined {
  const max = Math.min(limits.wallMsMax, limits.budget.wallMs ?? limits.wallMsMax);
  if (workedMs(transcript, now) < max) return undefined;
  return exceeded(`The run worked for ${Math.round(max / 1_000)} s, which is its limit.`);
}

const exceeded = (message: string): Failure => ({
  code: "limit_exceeded",
  message,
  retry: "never",
});

const fail = (failure: Failure): Move => ({ kind: "fail", failure });
