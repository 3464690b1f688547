// T6. When an attempt went wrong: another one, and after how long.
import type { Millis } from "../platform/index.ts";
import type { Failure, TaskState } from "./task.ts";

const BACKOFF_MS_BASE: Millis = 1_000;
export const BACKOFF_MS_MAX: Millis = 30_000;

/** Pause after the nth attempt: full jitter under a ceiling that doubles up to 30 s. */
export function backoffMs(attempt: number, random: () => number): Millis {
  const ceilingMs = Math.min(BACKOFF_MS_BASE * 2 ** (attempt - 1), BACKOFF_MS_MAX);
  return Math.floor(random() * ceilingMs);
}

type Attempts = { readonly attempts: number; readonly attemptsMax: number };

/** The attempt that runs now was the last one. */
export const isSpent = (task: Attempts): boolean => task.attempts >= task.attemptsMax;

/** What would fail the same way every time, whatever the worker says. */
const HOPELESS = new Set([
  "forbidden",
  "unauthenticated",
  "payload_too_large",
  "limit_exceeded",
  "gave_up",
]);

const isHopeless = (failure: Failure): boolean =>
  failure.retry === "never" || failure.code.startsWith("invalid_") || HOPELESS.has(failure.code);

/** The state after a failed attempt: queued again for `retryAt`, or failed for good. */
export function afterFailure(task: Attempts, failure: Failure, retryAt: Millis): TaskState {
  if (isHopeless(failure) || isSpent(task)) return { kind: "failed", failure };
  return { kind: "queued", availableAt: retryAt };
}
