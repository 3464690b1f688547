// What a transcript says, read out of its steps: the facts that decide the next one.
import type { Json, Millis } from "../../platform/index.ts";
import type { Outcome, Step, ToolCallView } from "../../tasks/index.ts";

/** A step with the time it was made. Its index is its place in the array. */
export type Entry = { readonly at: Millis; readonly step: Step };
export type Transcript = readonly Entry[];

export type Answer = Extract<Step, { kind: "model_answered" }>;

/**
 * Who speaks in a `told` step. The first four are heard by the model before it goes on; the last
 * two tell how a finished answer is being merged, which is no business of the model any more.
 */
export const TELLERS = {
  dependencies: "dependencies",
  children: "children",
  loop: "cadre",
  workspace: "workspace",
  conflict: "conflict",
  resolution: "resolution",
} as const;

const UNHEARD: ReadonlySet<string> = new Set([TELLERS.conflict, TELLERS.resolution]);

/** The newest answer of the model, and where it stands. */
export function lastAnswer(
  transcript: Transcript,
): { readonly answer: Answer; readonly index: number } | undefined {
  for (let index = transcript.length - 1; index >= 0; index--) {
    const step = transcript[index]?.step;
    if (step?.kind === "model_answered") return { answer: step, index };
  }
  return undefined;
}

/** Outcomes by the id of their call. */
export function settledCalls(transcript: Transcript): ReadonlyMap<string, Outcome> {
  const settled = new Map<string, Outcome>();
  for (const { step } of transcript) {
    if (step.kind === "tool_settled") settled.set(step.call, step.outcome);
  }
  return settled;
}

/** Calls whose intent stands in the transcript, settled or not. */
export function begunCalls(transcript: Transcript): ReadonlySet<string> {
  const begun = new Set<string>();
  for (const { step } of transcript) if (step.kind === "tool_began") begun.add(step.call);
  return begun;
}

/** Words after this index that the model must hear before it goes on. */
export const toldAfter = (transcript: Transcript, index: number): boolean =>
  transcript.slice(index + 1).some(({ step }) => step.kind === "told" && !UNHEARD.has(step.from));

export const waitsIn = (transcript: Transcript): number =>
  transcript.filter(({ step }) => step.kind === "waited").length;

export const timesTold = (transcript: Transcript, from: string): number =>
  transcript.filter(({ step }) => step.kind === "told" && step.from === from).length;

/** The failures of the model since anything else happened, oldest first. */
export function failuresInRow(
  transcript: Transcript,
): readonly Extract<Step, { kind: "model_failed" }>[] {
  const failures: Extract<Step, { kind: "model_failed" }>[] = [];
  for (let index = transcript.length - 1; index >= 0; index--) {
    const step = transcript[index]?.step;
    if (step?.kind === "model_failed") failures.unshift(step);
    else if (step?.kind !== "model_asked" && step?.kind !== "resumed") break;
  }
  return failures;
}

/** True when the model was asked and neither answered nor failed: its intent still stands. */
export function isAsking(transcript: Transcript): boolean {
  for (let index = transcript.length - 1; index >= 0; index--) {
    const kind = transcript[index]?.step.kind;
    if (kind !== "resumed") return kind === "model_asked";
  }
  return false;
}

/**
 * The wait that is not told of yet: its number in the run, counted from 1, and whether the run
 * waits for a merge conflict to be resolved rather than for tasks the model asked for.
 */
export function openWait(
  transcript: Transcript,
): { readonly number: number; readonly forConflict: boolean } | undefined {
  let number = 0;
  let open: { number: number; forConflict: boolean } | undefined;
  let lastTold = "";
  for (const { step } of transcript) {
    if (step.kind === "waited") {
      number += 1;
      open = { number, forConflict: lastTold === TELLERS.conflict };
    }
    if (step.kind === "told") {
      lastTold = step.from;
      if (step.from === TELLERS.children || step.from === TELLERS.resolution) open = undefined;
    } else if (step.kind === "model_answered") {
      lastTold = "";
    }
  }
  return open;
}

export type Spent = {
  readonly turns: number;
  readonly tokens: number;
  /** Unpriced answers count as nothing: what is not known can't be bounded. */
  readonly costUsd: number;
};

export const NOTHING_SPENT: Spent = { turns: 0, tokens: 0, costUsd: 0 };

export function spentIn(transcript: Transcript): Spent {
  let { turns, tokens, costUsd } = NOTHING_SPENT;
  for (const { step } of transcript) {
    if (step.kind !== "model_answered") continue;
    turns += 1;
    tokens += step.usage.tokensIn + step.usage.tokensOut;
    costUsd += step.usage.costUsd ?? 0;
  }
  return { turns, tokens, costUsd };
}

/** Time worked: from each start or resumption to the last step before the next, and until now. */
export function workedMs(transcript: Transcript, now: Millis): Millis {
  let total = 0;
  let from: Millis | undefined;
  let last: Millis = now;
  let isWaiting = false;
  for (const { at, step } of transcript) {
    if (from === undefined || step.kind === "resumed") {
      // Wall clocks jump, also backwards: a stretch of work is never shorter than nothing.
      if (from !== undefined) total += Math.max(0, last - from);
      from = at;
    }
    last = at;
    isWaiting = step.kind === "waited";
  }
  if (from === undefined) return 0;
  return total + Math.max(0, (isWaiting ? last : now) - from);
}

/** A provider may use a call's id twice; in a run each is used once. */
export function withUniqueIds(
  calls: readonly ToolCallView[],
  transcript: Transcript,
): ToolCallView[] {
  const used = new Set<string>();
  for (const { step } of transcript) {
    if (step.kind === "model_answered") for (const call of step.calls) used.add(call.id);
  }
  return calls.map((call) => {
    let id = call.id;
    for (let n = 2; used.has(id); n++) id = `${call.id}_${n}`;
    used.add(id);
    return { ...call, id };
  });
}

/** The object a call's arguments are, or undefined when they are no JSON. */
export function parsedArguments(text: string): Json | undefined {
  try {
    return JSON.parse(text.trim() === "" ? "{}" : text) as Json;
  } catch {
    // What the model wrote is no JSON: the caller tells it so.
    return undefined;
  }
}
