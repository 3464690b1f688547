// The journal as a stream: read by cursor, woken by the bus, never fed by it.
import type { Bus } from "../platform/bus/bus.ts";
import {
  type EventFilter,
  type JournalEvent,
  journalHead,
  readEvents,
} from "../platform/journal.ts";
import type { Store } from "../platform/store/store.ts";
import type { Millis } from "../platform/words.ts";
import type { World } from "../platform/world.ts";

export interface EventStream {
  /** Every matching event after `after` (default: from now on), once, in order. */
  follow(
    filter: EventFilter,
    options?: { readonly after?: number; readonly signal?: AbortSignal },
  ): AsyncIterable<JournalEvent>;
  /** The same in batches: what faces send as one frame. Never empty. */
  batches(
    filter: EventFilter,
    options?: { readonly after?: number; readonly signal?: AbortSignal },
  ): AsyncIterable<readonly JournalEvent[]>;
}

const BATCH_MAX = 500;
/** A ring may be lost (another process, a dead link): look again at the latest after this. */
const LOOK_AGAIN_MS: Millis = 1_000;

export function eventStream(parts: {
  readonly store: Store;
  readonly bus: Bus;
  readonly world: Pick<World, "clock">;
}): EventStream {
  const { store, bus, world } = parts;

  async function* batches(
    filter: EventFilter,
    options: { readonly after?: number; readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<readonly JournalEvent[]> {
    const signal = options.signal;
    // Subscribe before the first read, so that nothing falls between the two.
    let rung = false;
    let ring: (() => void) | undefined;
    const unsubscribe = bus.subscribe(() => {
      rung = true;
      ring?.();
    });
    try {
      let after = options.after ?? (await store.read(journalHead));
      while (signal?.aborted !== true) {
        rung = false;
        const events = await store.read((tx) => readEvents(tx, filter, after, BATCH_MAX));
        const last = events.at(-1);
        if (last !== undefined) {
          after = last.position;
          yield events;
          continue;
        }
        if (rung) continue;
        const waiting = new AbortController();
        ring = () => waiting.abort();
        const stop = () => waiting.abort();
        signal?.addEventListener("abort", stop, { once: true });
        try {
          await world.clock.sleep(LOOK_AGAIN_MS, waiting.signal);
        } catch (error) {
          // Woken early; only an abort can end the sleep.
          if (!waiting.signal.aborted) throw error;
        } finally {
          ring = undefined;
          signal?.removeEventListener("abort", stop);
        }
      }
    } finally {
      unsubscribe();
    }
  }

  return {
    batches,
    async *follow(filter, options) {
      for await (const events of batches(filter, options)) yield* events;
    },
  };
}
