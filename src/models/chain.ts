// A4. Which model of a chain is asked next, and how long one that failed is left alone. Pure.
//
// DESIGN. One cooldown for each model, shared by all runs. It is set by a failure, grows with each
// failure that comes after it has passed, and is gone with the first answer. Failures of calls that
// were under way when it was set tell nothing new: fifty of them at once are one failure. Wall
// clocks jump: a cooldown that lies wholly in the future is not believed, so that a clock set back
// can't keep a model away for longer than the cooldown was meant to last.
import { type Millis, unreachable } from "../platform/index.ts";
import type { FailureClass } from "./classify.ts";
import type { ModelName } from "./model.ts";

/** traffic: passes by itself. billing: a person has to pay, or to mend a key. */
export type Track = "traffic" | "billing";

export type Cooldown =
  | { readonly kind: "none" }
  | {
      readonly kind: "cooling";
      readonly track: Track;
      readonly class: FailureClass;
      /** Failures of this track in a row, without those that came while it was cooling. */
      readonly failures: number;
      readonly since: Millis;
      readonly until: Millis;
    };

export const NO_COOLDOWN: Cooldown = { kind: "none" };

export type CooldownSchedule = {
  /** The first cooldown of each track; it doubles with each failure, up to the longest. */
  readonly [T in Track]: { readonly firstMs: Millis; readonly longestMs: Millis };
} & {
  /** What a provider asks for is honoured up to here. */
  readonly retryAfterMsMax: Millis;
};

const MINUTE: Millis = 60_000;
const HOUR: Millis = 60 * MINUTE;

export const COOLDOWN_SCHEDULE: CooldownSchedule = {
  traffic: { firstMs: MINUTE / 2, longestMs: 10 * MINUTE },
  billing: { firstMs: 5 * MINUTE, longestMs: 24 * HOUR },
  retryAfterMsMax: HOUR,
};

/** Hubs that share a store may tell times this far apart. */
const CLOCKS_APART_MS_MAX: Millis = MINUTE;

/** What a failure of this class is held against; undefined when it is the request's own fault. */
export function trackOf(failure: FailureClass): Track | undefined {
  switch (failure) {
    case "rate_limited":
    case "overloaded":
    case "timeout":
    case "network":
    case "server":
    case "protocol":
    case "unknown":
      return "traffic";
    case "auth":
    case "billing":
      return "billing";
    case "context_overflow":
    case "bad_request":
    case "content_filter":
      return undefined;
    default:
      return unreachable(failure);
  }
}

export const isCooling = (cooldown: Cooldown, now: Millis): boolean =>
  cooldown.kind === "cooling" &&
  now < cooldown.until &&
  now >= cooldown.since - CLOCKS_APART_MS_MAX;

export type CoolingFailure = {
  readonly class: FailureClass;
  readonly retryAfterMs?: Millis | undefined;
};

/** The cooldown after one more failure; `previous` itself when the failure changes nothing. */
export function cooldownAfter(
  previous: Cooldown,
  failure: CoolingFailure,
  now: Millis,
  schedule: CooldownSchedule = COOLDOWN_SCHEDULE,
): Cooldown {
  const track = trackOf(failure.class);
  if (track === undefined) return previous;
  const isSame = previous.kind === "cooling" && previous.track === track;
  const isStill = previous.kind === "cooling" && isCooling(previous, now);
  const cooled = (failures: number, lengthMs: Millis): Cooldown => {
    const until = now + lengthMs;
    // A failure never shortens what stands.
    if (isStill && until <= previous.until) return previous;
    return { kind: "cooling", track, class: failure.class, failures, since: now, until };
  };
  const askedMs = Math.min(failure.retryAfterMs ?? 0, schedule.retryAfterMsMax);
  if (isSame && isStill) return cooled(previous.failures, askedMs);
  const failures = isSame ? previous.failures + 1 : 1;
  const { firstMs, longestMs } = schedule[track];
  return cooled(failures, Math.max(askedMs, Math.min(firstMs * 2 ** (failures - 1), longestMs)));
}

/** Cooldowns by model; a model that is not in it has none. */
export type Cooldowns = ReadonlyMap<string, Cooldown>;

export type Choice =
  | { readonly kind: "ask"; readonly model: ModelName }
  /** Those not tried yet all cool down; this one is free again first. */
  | { readonly kind: "wait"; readonly model: ModelName; readonly until: Millis }
  | { readonly kind: "exhausted" };

/** The first of the chain that is neither cooling nor among `tried`. */
export function chooseCandidate(
  chain: readonly ModelName[],
  cooldowns: Cooldowns,
  tried: ReadonlySet<string>,
  now: Millis,
): Choice {
  let soonest: Extract<Choice, { kind: "wait" }> | undefined;
  for (const model of chain) {
    if (tried.has(model)) continue;
    const cooldown = cooldowns.get(model) ?? NO_COOLDOWN;
    if (cooldown.kind === "none" || !isCooling(cooldown, now)) return { kind: "ask", model };
    const { until } = cooldown;
    if (soonest === undefined || until < soonest.until) soonest = { kind: "wait", model, until };
  }
  return soonest ?? { kind: "exhausted" };
}
