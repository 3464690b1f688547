// A clock that stands still until a test moves it.
import type { Clock, Millis } from "../platform/index.ts";

export type ManualClock = Clock & {
  /** Moves time on; every sleep that is over by then resolves. */
  advance(ms: Millis): void;
  /** The lengths of the sleeps so far. */
  readonly slept: readonly Millis[];
};

type Sleeper = { readonly until: number; wake(): void };

export function manualClock(): ManualClock {
  let elapsed = 0;
  let sleepers: Sleeper[] = [];
  const slept: Millis[] = [];
  return {
    slept,
    now: () => 1_750_000_000_000 + elapsed,
    monotonic: () => elapsed,
    sleep(ms, signal) {
      slept.push(ms);
      return new Promise<void>((resolve, reject) => {
        const sleeper: Sleeper = { until: elapsed + ms, wake: resolve };
        sleepers.push(sleeper);
        const give = () => {
          sleepers = sleepers.filter((one) => one !== sleeper);
          reject(signal?.reason);
        };
        if (signal?.aborted) give();
        else signal?.addEventListener("abort", give, { once: true });
      });
    },
    advance(ms) {
      elapsed += ms;
      const due = sleepers.filter(({ until }) => until <= elapsed);
      sleepers = sleepers.filter(({ until }) => until > elapsed);
      for (const { wake } of due) wake();
    },
  };
}

/** A clock on which every sleep is over at once, and time passes by it. */
export function instantClock(): ManualClock {
  const clock = manualClock();
  return {
    ...clock,
    sleep(ms, signal) {
      if (signal?.aborted) return Promise.reject(signal.reason);
      const sleeping = clock.sleep(ms, signal);
      clock.advance(ms);
      return sleeping;
    },
  };
}
