export type Limit = {
  /** How many are allowed in any window. */
  readonly count: number;
  readonly windowMs: number;
};

export type Answer = {
  readonly allowed: boolean;
  /** How many more would be allowed right now. */
  readonly remaining: number;
  /** When refused: how long until the next one is allowed. Else 0. */
  readonly retryAfterMs: number;
};

export type Quota = {
  /** Asks for one, for this key, at this time in milliseconds. */
  take(key: string, now: number): Answer;
};

/** A sliding window: at most `count` in any `windowMs`, counted for each key by itself. */
export function createQuota({ count, windowMs }: Limit): Quota {
  const taken = new Map<string, number[]>();
  return {
    take(key, now) {
      const recent = (taken.get(key) ?? []).filter((at) => at > now - windowMs);
      taken.set(key, recent);
      if (recent.length > count) return { allowed: false, remaining: 0, retryAfterMs: windowMs };
      recent.push(now);
      return { allowed: true, remaining: count - recent.length, retryAfterMs: 0 };
    },
  };
}
