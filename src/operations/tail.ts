// The end of the journal, read once for everyone in this process.
//
// DESIGN. One reader asks the store for what is new, once after each ring, and keeps the newest
// events in memory. A follower whose cursor lies inside that window is served from it; one that
// fell behind reads the store until it is back. So two hundred followers cost one query, a slow one
// costs only itself, and memory is bounded by events and by bytes. A cursor is in the window when
// nothing between it and the window's first event is missing: `from` is the position below which
// events were forgotten.
import {
  type Bus,
  type EventFilter,
  type JournalEvent,
  type Json,
  journalHead,
  type Millis,
  readEvents,
  type Store,
  type World,
} from "../platform/index.ts";

export type TailParts = {
  readonly store: Store;
  readonly bus: Bus;
  readonly world: Pick<World, "clock">;
};

/** Matching events, and the position up to which there are no others. */
export type Page = { readonly events: readonly JournalEvent[]; readonly upTo: number };

export const PAGE_EVENTS_MAX = 500;
export const WINDOW_EVENTS_MAX = 10_000;
const WINDOW_BYTES_MAX = 32 * 1024 * 1024;
const READ_EVENTS_MAX = 1_000;
/** A ring may be lost (another process, a dead link): look again at the latest after this. */
const LOOK_AGAIN_MS: Millis = 1_000;
/** Filters whose newest page is remembered, so that followers at one cursor share one array. */
const SHARED_PAGES_MAX = 256;

export class Tail {
  readonly #parts: TailParts;
  readonly #stopping = new AbortController();
  readonly #ready: Promise<void>;
  readonly #unsubscribe: () => void;
  readonly #shared = new Map<string, { after: number; head: number; page: Page }>();
  #waiting = new Set<() => void>();
  #events: JournalEvent[] = [];
  #sizes: number[] = [];
  #bytes = 0;
  #from = 0;
  #head = 0;
  #rung = false;
  #ring: (() => void) | undefined;
  #failure: { readonly error: unknown } | undefined;

  /** Reads until `stop`. A fault of the store ends it; `moved` tells it to every follower. */
  constructor(parts: TailParts, ended: () => void) {
    this.#parts = parts;
    // Subscribe before the first read, so that nothing falls between the two.
    this.#unsubscribe = parts.bus.subscribe(() => {
      this.#rung = true;
      this.#ring?.();
    });
    this.#ready = this.#open();
    void this.#run(ended);
  }

  /** Resolves when the window is open; rejects when the store did not answer. */
  ready(): Promise<void> {
    return this.#ready;
  }

  stop(): void {
    this.#stopping.abort();
    this.#ring?.();
  }

  /** What matches after a cursor, or undefined when the window no longer reaches back to it. */
  page(filter: EventFilter, key: string, after: number): Page | undefined {
    if (after < this.#from) return undefined;
    const known = this.#shared.get(key);
    if (known?.after === after && known.head === this.#head) return known.page;

    const events: JournalEvent[] = [];
    let upTo = Math.max(after, this.#head);
    for (let i = this.#indexAfter(after); i < this.#events.length; i++) {
      const event = this.#events[i];
      if (event === undefined || !matches(filter, event)) continue;
      events.push(event);
      if (events.length < PAGE_EVENTS_MAX) continue;
      upTo = event.position;
      break;
    }
    const page = { events, upTo };
    if (this.#shared.size >= SHARED_PAGES_MAX) this.#shared.clear();
    this.#shared.set(key, { after, head: this.#head, page });
    return page;
  }

  /** Resolves when there is something after the cursor, or on the signal. Rejects with the fault. */
  async moved(after: number, signal: AbortSignal | undefined): Promise<void> {
    this.#refuseIfFailed();
    if (this.#head > after || signal?.aborted === true) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        this.#waiting.delete(done);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      this.#waiting.add(done);
      signal?.addEventListener("abort", done, { once: true });
    });
    this.#refuseIfFailed();
  }

  #refuseIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  async #open(): Promise<void> {
    this.#head = await this.#parts.store.read(journalHead);
    this.#from = this.#head;
  }

  async #run(ended: () => void): Promise<void> {
    try {
      await this.#ready;
      while (!this.#stopping.signal.aborted) {
        this.#rung = false;
        const events = await this.#parts.store.read((tx) =>
          readEvents(tx, {}, this.#head, READ_EVENTS_MAX),
        );
        if (events.length > 0) this.#take(events);
        else if (!this.#rung) await this.#pause();
      }
    } catch (error) {
      this.#failure = { error };
    } finally {
      this.#unsubscribe();
      ended();
      this.#wakeAll();
    }
  }

  #take(events: readonly JournalEvent[]): void {
    for (const event of events) {
      const size = roughBytes(event.data) + 200;
      this.#events.push(event);
      this.#sizes.push(size);
      this.#bytes += size;
      this.#head = event.position;
    }
    let drop = 0;
    while (this.#events.length - drop > WINDOW_EVENTS_MAX || this.#bytes > WINDOW_BYTES_MAX) {
      this.#bytes -= this.#sizes[drop] ?? 0;
      this.#from = this.#events[drop]?.position ?? this.#head;
      drop += 1;
    }
    if (drop > 0) {
      this.#events = this.#events.slice(drop);
      this.#sizes = this.#sizes.slice(drop);
    }
    this.#wakeAll();
  }

  #wakeAll(): void {
    const waiting = this.#waiting;
    this.#waiting = new Set();
    for (const wake of waiting) wake();
  }

  /** Until a ring, the stop, or the time to look again. */
  async #pause(): Promise<void> {
    const waiting = new AbortController();
    this.#ring = () => waiting.abort();
    if (this.#stopping.signal.aborted) waiting.abort();
    try {
      await this.#parts.world.clock.sleep(LOOK_AGAIN_MS, waiting.signal);
    } catch (error) {
      // Woken early; only an abort can end the sleep.
      if (!waiting.signal.aborted) throw error;
    } finally {
      this.#ring = undefined;
    }
  }

  /** Index of the first kept event behind a cursor. */
  #indexAfter(after: number): number {
    let low = 0;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#events[middle]?.position ?? 0) > after) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** The same page from the store, for cursors before the window. */
export async function storedPage(store: Store, filter: EventFilter, after: number): Promise<Page> {
  return await store.read(async (tx) => {
    // Head first: whatever stands at or below it is seen by the read that follows.
    const head = await journalHead(tx);
    const events = await readEvents(tx, filter, after, PAGE_EVENTS_MAX);
    const last = events.at(-1);
    const isFull = events.length === PAGE_EVENTS_MAX;
    return {
      // SQL's LIKE knows wildcards and, on SQLite, no case: the pure rule has the last word.
      events: events.filter((event) => matches(filter, event)),
      upTo:
        isFull && last !== undefined ? last.position : Math.max(after, head, last?.position ?? 0),
    };
  });
}

/** Does the filter ask for this event? The rule that `readEvents` says in SQL. */
export function matches(filter: EventFilter, event: JournalEvent): boolean {
  if (filter.root !== undefined && event.root !== filter.root) return false;
  if (filter.task !== undefined && event.task !== filter.task) return false;
  if (filter.run !== undefined && event.run !== filter.run) return false;
  if (filter.types === undefined || filter.types.length === 0) return true;
  return filter.types.some((type) =>
    type.endsWith("*") ? event.type.startsWith(type.slice(0, -1)) : event.type === type,
  );
}

/** About how much memory a value holds: good enough for a bound. */
function roughBytes(value: Json): number {
  if (typeof value === "string") return value.length + 16;
  if (typeof value !== "object" || value === null) return 16;
  let bytes = 32;
  for (const [key, inner] of Object.entries(value)) bytes += key.length + roughBytes(inner as Json);
  return bytes;
}
