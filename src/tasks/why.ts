// T14. Why a task is not running, in one sentence. Pure: the facts are read elsewhere.
import { iso, type Millis, type TaskId } from "../platform/index.ts";
import type { Failure, TaskState } from "./task.ts";
import { isFinal, type StateKind } from "./transition.ts";

export type Other = { readonly id: TaskId; readonly title: string; readonly state: StateKind };

export type WhyFacts = {
  readonly id: TaskId;
  readonly state: TaskState;
  readonly paused: boolean;
  readonly degraded: boolean;
  /** Open dependencies of a created task; open children of a waiting one. At most a page. */
  readonly waitsFor: readonly Other[];
  /** How many there are, when `waitsFor` does not hold them all. */
  readonly waitsForCount: number;
  /** T5. Nobody offers these. */
  readonly missing: readonly string[];
  /** Queued tasks of the same line that go before it. Counted up to a bound. */
  readonly ahead: number;
  readonly aheadMax: number;
  readonly parentPaused: TaskId | undefined;
  readonly now: Millis;
};

export type Why = {
  readonly sentence: string;
  readonly class: "ready" | "time" | "gate" | "leased" | "final" | "paused";
  readonly next: readonly string[];
};

export function why(facts: WhyFacts): Why {
  const { id, state } = facts;
  if (isFinal(state.kind)) return { class: "final", ...ended(facts) };
  if (facts.paused) return whyPaused(facts);
  if (state.kind === "assigned" || state.kind === "executing") {
    const { agent, node, expiresAt } = state.lease;
    const what = state.kind === "assigned" ? "was given to" : "is being worked on by";
    return {
      class: "leased",
      sentence: `${id} ${what} ${agent} on ${node}, lease until ${iso(expiresAt)}.`,
      next: [`cadre runs list --task ${id}`],
    };
  }
  if (state.kind === "created") return whyCreated(facts, state.runAt);
  if (state.kind === "queued") return whyQueued(facts, state.availableAt);
  if (state.kind === "waiting") {
    const count = facts.waitsForCount;
    const what = count === 1 ? "its child" : `its ${count} open children`;
    return {
      class: "gate",
      sentence: `${id} waits for ${what}${named(facts)}.`,
      next: nextOf(facts),
    };
  }
  return {
    class: "gate",
    sentence: `${id} waits for its review.`,
    next: [`cadre tasks get ${id}`],
  };
}

function ended({ id, state, degraded }: WhyFacts): Pick<Why, "sentence" | "next"> {
  if (state.kind === "failed") {
    return {
      sentence: `${id} has failed: ${failureText(state.failure)}`,
      next: [`cadre tasks retry ${id}`],
    };
  }
  if (state.kind === "cancelled" || state.kind === "skipped") {
    return { sentence: `${id} was ${state.kind}: ${state.reason}`, next: [] };
  }
  const how = degraded ? " (degraded: something below it is missing)" : "";
  return { sentence: `${id} is completed${how}.`, next: [`cadre tasks get ${id}`] };
}

const failureText = ({ code, message }: Failure): string => `${message} (${code})`;

function whyPaused({ id, parentPaused }: WhyFacts): Why {
  const held = parentPaused ?? id;
  const by = parentPaused === undefined ? "" : ` with its parent ${parentPaused}`;
  return {
    class: "paused",
    sentence: `${id} is paused${by}.`,
    next: [`cadre tasks resume ${held}`],
  };
}

function whyCreated(facts: WhyFacts, runAt: Millis | null): Why {
  const { id } = facts;
  const later = runAt !== null && runAt > facts.now ? iso(runAt) : undefined;
  if (facts.waitsForCount > 0) {
    const count = facts.waitsForCount;
    const what = count === 1 ? "" : `${count} tasks: `;
    const until = later === undefined ? "" : `, and not before ${later}`;
    return {
      class: "gate",
      sentence: `${id} waits for ${what}${list(facts)}${until}.`,
      next: nextOf(facts),
    };
  }
  const when =
    later === undefined
      ? "is due and starts with the next sweep"
      : `waits for its start at ${later}`;
  return { class: "time", sentence: `${id} ${when}.`, next: [] };
}

function whyQueued(facts: WhyFacts, availableAt: Millis): Why {
  const { id } = facts;
  if (availableAt > facts.now) {
    const sentence = `${id} waits until ${iso(availableAt)} after a failed attempt.`;
    return { class: "time", sentence, next: [`cadre runs list --task ${id}`] };
  }
  if (facts.missing.length > 0) {
    return {
      class: "ready",
      sentence: `${id} is ready, but nobody offers ${facts.missing.join(", ")}.`,
      next: ["cadre agents list", `cadre tasks assign ${id} AGENT`],
    };
  }
  if (facts.ahead === 0) {
    return { class: "ready", sentence: `${id} is next: it waits for a free agent.`, next: [] };
  }
  const count = facts.ahead >= facts.aheadMax ? `${facts.aheadMax} or more` : `${facts.ahead}`;
  return {
    class: "ready",
    sentence: `${id} is ready; ${count} in the same line ${facts.ahead === 1 ? "goes" : "go"} before it.`,
    next: [`cadre tasks update ${id} --priority 9`],
  };
}

const NAMED_MAX = 3;

const named = (facts: WhyFacts): string => (facts.waitsFor.length === 0 ? "" : `: ${list(facts)}`);

function list({ waitsFor, waitsForCount }: WhyFacts): string {
  const names = waitsFor
    .slice(0, NAMED_MAX)
    .map(({ id, title, state }) => `${id} ${title} (${state})`);
  const more = waitsForCount - names.length;
  return more > 0 ? `${names.join(", ")} and ${more} more` : names.join(", ");
}

const nextOf = ({ waitsFor }: WhyFacts): string[] =>
  waitsFor.slice(0, NAMED_MAX).map(({ id }) => `cadre tasks why ${id}`);
