// Limits per caller: a token bucket each, refilled by the world's clock.
import type { Millis } from "../../platform/index.ts";

export type Rate = {
  /** Requests a second that may go on for ever. */
  readonly perSecond: number;
  /** Requests at once after a quiet time. */
  readonly burst: number;
};

export const RATE_DEFAULT: Rate = { perSecond: 5_000, burst: 10_000 };
/** Callers remembered; past it the ones with a full bucket are forgotten first. */
const CALLERS_MAX = 10_000;

type Bucket = { left: number; at: number };

export type Verdict = {
  readonly isAllowed: boolean;
  readonly left: number;
  /** How long until one more request is allowed; 0 when one is. */
  readonly waitMs: Millis;
};

/** A limiter; `now` is monotonic milliseconds. */
export function rateLimiter(rate: Rate, now: () => number): (caller: string) => Verdict {
  const buckets = new Map<string, Bucket>();

  return (caller) => {
    const at = now();
    let bucket = buckets.get(caller);
    if (bucket === undefined) {
      if (buckets.size >= CALLERS_MAX) forgetFull(buckets, rate, at);
      bucket = { left: rate.burst, at };
      buckets.set(caller, bucket);
    }
    refill(bucket, rate, at);
    if (bucket.left < 1) {
      return { isAllowed: false, left: 0, waitMs: ((1 - bucket.left) * 1_000) / rate.perSecond };
    }
    bucket.left -= 1;
    return { isAllowed: true, left: Math.floor(bucket.left), waitMs: 0 };
  };
}

function refill(bucket: Bucket, rate: Rate, at: number): void {
  const gained = ((at - bucket.at) * rate.perSecond) / 1_000;
  bucket.left = Math.min(rate.burst, bucket.left + gained);
  bucket.at = at;
}

/** A full bucket says no more than no bucket. When all are in use the oldest goes. */
function forgetFull(buckets: Map<string, Bucket>, rate: Rate, at: number): void {
  for (const [caller, bucket] of buckets) {
    refill(bucket, rate, at);
    if (bucket.left >= rate.burst) buckets.delete(caller);
  }
  const oldest = buckets.keys().next();
  if (buckets.size >= CALLERS_MAX && oldest.done !== true) buckets.delete(oldest.value);
}
