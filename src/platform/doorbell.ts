// A bell that is heard once, also when it rang before anyone listened.
import { EVERY_TOPIC } from "./bus/bus.ts";
import type { Millis } from "./words.ts";
import type { Clock } from "./world.ts";

export class Doorbell {
  #isRung = false;
  #wake: (() => void) | undefined;

  ring(): void {
    this.#isRung = true;
    this.#wake?.();
  }

  /** Forgets what rang so far. */
  reset(): void {
    this.#isRung = false;
  }

  /** Resolves when it rings, after `ms`, or when the signal aborts; at once when it rang already. */
  async wait(ms: Millis, clock: Clock, signal: AbortSignal): Promise<void> {
    if (this.#isRung || signal.aborted || ms <= 0) return;
    const waking = new AbortController();
    const wake = () => waking.abort();
    this.#wake = wake;
    signal.addEventListener("abort", wake, { once: true });
    try {
      await clock.sleep(ms, waking.signal);
    } catch (error) {
      // Woken early: only this abort can end the sleep.
      if (!waking.signal.aborted) throw error;
    } finally {
      this.#wake = undefined;
      signal.removeEventListener("abort", wake);
    }
  }
}

/** True when a ring of the bus is meant for someone who waits for these topics. */
export const ringsFor = (topics: ReadonlySet<string>, wanted: readonly string[]): boolean =>
  topics.has(EVERY_TOPIC) || wanted.some((topic) => topics.has(topic));
