// What a transcript comes to: the facts that decide the next step, folded over its steps.
//
// DESIGN. A run may have tens of thousands of steps, and each of them decides the next one. So the
// facts are a fold: `advance` takes the facts so far and one more step, and costs the same wherever
// in the run it stands. Nothing is in them that is not in the steps: folded anew after a restart
// they are the same. Calls are of interest only since the newest answer, for an answer comes when
// every call of the one before is settled.
import { type Millis, unreachable } from "../../platform/index.ts";
import type { Outcome, Step } from "../../tasks/index.ts";
import { type Answer, type Entry, TELLERS, type Transcript, UNHEARD } from "./transcript.ts";

export type ModelFailure = Extract<Step, { kind: "model_failed" }>;

export type Spent = {
  readonly turns: number;
  readonly tokens: number;
  /** Unpriced answers count as nothing: what is not known can't be bounded. */
  readonly costUsd: number;
};

export const NOTHING_SPENT: Spent = { turns: 0, tokens: 0, costUsd: 0 };

export type Facts = {
  /** How often the run parked. */
  readonly waits: number;
  /**
   * The wait that is not told of yet: its number in the run, counted from 1, and whether the run
   * waits for a merge conflict to be resolved rather than for tasks the model asked for.
   */
  readonly openWait: { readonly number: number; readonly forConflict: boolean } | undefined;
  /** How often each teller spoke. */
  readonly told: { readonly [from: string]: number };
  /** The newest answer of the model. */
  readonly answer: Answer | undefined;
  /** Words since then that the model must hear before it goes on. */
  readonly hasNews: boolean;
  /** Calls since then whose intent stands, settled or not. */
  readonly begun: ReadonlySet<string>;
  /** Outcomes since then, by the id of their call. */
  readonly settled: ReadonlyMap<string, Outcome>;
  /** Failures of models since anything else happened, in order. */
  readonly failures: readonly ModelFailure[];
  /** The model that was asked and neither answered nor failed: its intent still stands. */
  readonly asking: string | undefined;
  readonly spent: Spent;
  /** Plans that were no good, and what was wrong with the newest. */
  readonly invalidPlans: { readonly count: number; readonly newest: string };
  readonly clock: Stretches;
  /** Who spoke last since the newest answer. */
  readonly lastTold: string;
};

/** Time worked: from each start or resumption to the last step before the next. */
type Stretches = {
  readonly beforeMs: Millis;
  readonly from: Millis | undefined;
  readonly last: Millis;
  readonly isWaiting: boolean;
};

const NO_FAILURES: Facts["failures"] = [];

export const NO_FACTS: Facts = {
  waits: 0,
  openWait: undefined,
  told: {},
  answer: undefined,
  hasNews: false,
  begun: new Set(),
  settled: new Map(),
  failures: NO_FAILURES,
  asking: undefined,
  spent: NOTHING_SPENT,
  invalidPlans: { count: 0, newest: "" },
  clock: { beforeMs: 0, from: undefined, last: 0, isWaiting: false },
  lastTold: "",
};

export const factsOf = (transcript: Transcript): Facts => transcript.reduce(advance, NO_FACTS);

/** The facts with one more step. */
export function advance(facts: Facts, { at, step }: Entry): Facts {
  const next = { ...facts, clock: stretched(facts.clock, at, step.kind) };
  switch (step.kind) {
    case "resumed":
      return next;
    case "model_asked":
      return { ...next, asking: step.model };
    case "model_failed":
      return { ...next, asking: undefined, failures: [...facts.failures, step] };
    case "model_answered":
      return {
        ...otherwise(next),
        answer: step,
        hasNews: false,
        begun: NO_FACTS.begun,
        settled: NO_FACTS.settled,
        spent: plus(facts.spent, step),
        lastTold: "",
      };
    case "tool_began":
      return { ...otherwise(next), begun: new Set([...facts.begun, step.call]) };
    case "tool_settled":
      return {
        ...otherwise(next),
        settled: new Map([...facts.settled, [step.call, step.outcome]]),
        invalidPlans: counted(facts.invalidPlans, step.outcome),
      };
    case "told":
      return afterWords(otherwise(next), step.from);
    case "waited": {
      const forConflict = facts.lastTold === TELLERS.conflict;
      const number = facts.waits + 1;
      return { ...otherwise(next), waits: number, openWait: { number, forConflict } };
    }
    case "started":
    case "ended":
      return otherwise(next);
    default:
      return unreachable(step);
  }
}

/** Anything but a model's own failing ends a row of failures. */
const otherwise = (facts: Facts): Facts => ({ ...facts, asking: undefined, failures: NO_FAILURES });

const plus = ({ turns, tokens, costUsd }: Spent, { usage }: Answer): Spent => ({
  turns: turns + 1,
  tokens: tokens + usage.tokensIn + usage.tokensOut,
  costUsd: costUsd + (usage.costUsd ?? 0),
});

const counted = (plans: Facts["invalidPlans"], { facts, text }: Outcome): Facts["invalidPlans"] =>
  facts?.["problems"] === undefined ? plans : { count: plans.count + 1, newest: text };

function afterWords(facts: Facts, from: string): Facts {
  const ends = from === TELLERS.children || from === TELLERS.resolution;
  return {
    ...facts,
    told: { ...facts.told, [from]: timesTold(facts, from) + 1 },
    openWait: ends ? undefined : facts.openWait,
    hasNews: facts.hasNews || !UNHEARD.has(from),
    lastTold: from,
  };
}

export const timesTold = (facts: Facts, from: string): number => facts.told[from] ?? 0;

function stretched(clock: Stretches, at: Millis, kind: Step["kind"]): Stretches {
  const isWaiting = kind === "waited";
  if (clock.from === undefined) return { beforeMs: 0, from: at, last: at, isWaiting };
  if (kind !== "resumed") return { ...clock, last: at, isWaiting };
  return { beforeMs: clock.beforeMs + lengthOf(clock, clock.last), from: at, last: at, isWaiting };
}

/** Wall clocks jump, also backwards: a stretch of work is never shorter than nothing. */
const lengthOf = ({ from = 0 }: Stretches, until: Millis): Millis => Math.max(0, until - from);

/** Time worked in the run, until now unless it is parked. */
export function workedMs({ clock }: Facts, now: Millis): Millis {
  if (clock.from === undefined) return 0;
  return clock.beforeMs + lengthOf(clock, clock.isWaiting ? clock.last : now);
}
