// Time that moves only when nobody can run. One seed, one history.
import type { Millis } from "../../src/platform/index.ts";

/** Mulberry32: small, fast, and the same everywhere. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

type Sleeper = { readonly at: Millis; readonly order: number; readonly wake: () => void };

/** 2027-01-15, so that ids and dates look like real ones. */
const EPOCH_MS: Millis = 1_800_000_000_000;
/** Turns of the event loop without any sign of life, after which nobody can run. */
const QUIET_TURNS = 3;

export class SimTime {
  #elapsed: Millis = 0;
  #order = 0;
  readonly #sleepers: Sleeper[] = [];
  /** Counts what happens; anything that can go on without time must count itself. */
  activity = 0;
  /** What the store was asked and has not answered. */
  pending = 0;

  now(): Millis {
    return EPOCH_MS + this.#elapsed;
  }

  get elapsed(): Millis {
    return this.#elapsed;
  }

  sleep(ms: Millis, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const onAbort = () => {
        const index = this.#sleepers.indexOf(sleeper);
        if (index >= 0) this.#sleepers.splice(index, 1);
        this.activity += 1;
        reject(signal?.reason);
      };
      const sleeper: Sleeper = {
        at: this.#elapsed + Math.ceil(Math.max(0, ms)),
        order: this.#order++,
        wake: () => {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        },
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#insert(sleeper);
    });
  }

  /** Sorted by time, then by who slept first: chance has no part in it. */
  #insert(sleeper: Sleeper): void {
    let low = 0;
    let high = this.#sleepers.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = this.#sleepers[middle];
      if (other !== undefined && other.at <= sleeper.at) low = middle + 1;
      else high = middle;
    }
    this.#sleepers.splice(low, 0, sleeper);
  }

  /** Resolves once everything that can run without time passing has run. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < QUIET_TURNS; ) {
      const before = this.activity;
      await new Promise<void>((resolve) => setImmediate(resolve));
      quiet = before === this.activity && this.pending === 0 ? quiet + 1 : 0;
    }
  }

  /** Jumps to the next alarm and wakes its sleeper; false when nobody sleeps. */
  advance(): boolean {
    const next = this.#sleepers.shift();
    if (next === undefined) return false;
    this.#elapsed = Math.max(this.#elapsed, next.at);
    this.activity += 1;
    next.wake();
    return true;
  }
}
