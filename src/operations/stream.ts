// The journal as a stream: read by cursor, woken by the bus, never fed by it.
import { type EventFilter, type JournalEvent, journalHead } from "../platform/index.ts";
import { storedPage, Tail, type TailParts } from "./tail.ts";

type StreamOptions = {
  /** Events after this position; absent: from the first `next()` on. */
  readonly after?: number;
  readonly signal?: AbortSignal;
};

export interface EventStream {
  /** Every matching event after `after` (default: from now on), once, in order. */
  follow(filter: EventFilter, options?: StreamOptions): AsyncIterable<JournalEvent>;
  /**
   * The same in batches: what faces send as one frame. Never empty. Followers with one filter at
   * one cursor get the same array, so that an encoding may be kept beside it.
   */
  batches(filter: EventFilter, options?: StreamOptions): AsyncIterable<readonly JournalEvent[]>;
  /** The position of the newest event there is. */
  head(): Promise<number>;
}

/** A stream over the store's journal. Reads only while someone follows; a store fault ends a follower. */
export function eventStream(parts: TailParts): EventStream {
  let current: { readonly tail: Tail; followers: number } | undefined;

  const join = () => {
    const joined = current ?? start();
    joined.followers += 1;
    return joined;
  };

  const start = () => {
    const started = {
      tail: new Tail(parts, () => {
        if (current === started) current = undefined;
      }),
      followers: 0,
    };
    current = started;
    return started;
  };

  const leave = (joined: { readonly tail: Tail; followers: number }) => {
    joined.followers -= 1;
    if (joined.followers > 0) return;
    joined.tail.stop();
    if (current === joined) current = undefined;
  };

  async function* batches(
    filter: EventFilter,
    { after: start, signal }: StreamOptions = {},
  ): AsyncGenerator<readonly JournalEvent[]> {
    const key = JSON.stringify([filter.root, filter.task, filter.run, filter.types]);
    const joined = join();
    try {
      await joined.tail.ready();
      let after = start ?? (await parts.store.read(journalHead));
      while (signal?.aborted !== true) {
        const page =
          joined.tail.page(filter, key, after) ?? (await storedPage(parts.store, filter, after));
        const isNews = page.events.length > 0;
        after = page.upTo;
        if (isNews) yield page.events;
        else await joined.tail.moved(after, signal);
      }
    } finally {
      leave(joined);
    }
  }

  return {
    batches,
    async *follow(filter, options) {
      for await (const events of batches(filter, options)) yield* events;
    },
    head: () => parts.store.read(journalHead),
  };
}
