// The typed client from afar: the same calls and the same events, over one WebSocket.
//
// DESIGN. A line may fall between a call and its answer, and nobody can say whether the call was
// done. So each call carries a key of its own making: sent again after a reconnect, the hub answers
// what it answered the first time (T1). Followers remember the last position they were given and ask
// for what comes after it, so that nothing is missed and nothing comes twice. A follower that does not
// keep up leaves its subscription and comes back when its queue is empty: memory stays bounded, and
// answers to calls never wait behind events.

import { CadreError, type EventFilter, type JournalEvent, type Millis } from "../platform/index.ts";
import type { CallOptions, Client, Contract, FollowOptions } from "./client.ts";
import type { EventView } from "./events.ts";
import { errorFrom, gone, type Inbound, Link, type RemoteOptions } from "./remote-link.ts";

export type { HubState, RemoteOptions } from "./remote-link.ts";

/** How long a call waits for a hub that was there and went away. */
const OUTAGE_MS: Millis = 15_000;
/** Calls sent and not answered; more wait for their turn, below what the hub refuses. */
const CALLS_MAX = 512;
/** Events a follower may have waiting before it leaves its subscription. */
const QUEUE_EVENTS_MAX = 5_000;

type Call = {
  readonly id: number;
  readonly text: string;
  readonly settle: (outcome: { readonly result: unknown } | { readonly error: CadreError }) => void;
};

type Subscribed = { readonly subscription: string; readonly after: number };

type Feed = {
  readonly filter: EventFilter;
  after: number | undefined;
  queue: JournalEvent[];
  /** off: to be subscribed. asked: the answer is awaited. full: left until the queue is empty. */
  state: { readonly kind: "off" | "asked" | "full" } | { readonly kind: "on"; readonly id: string };
  failure: CadreError | undefined;
  wake: (() => void) | undefined;
};

/** A client of the hub at `url`. Errors: the hub's own; `not_ready` when no hub answers. */
export function remoteClient<C extends Contract>(options: RemoteOptions): Client<C> {
  const client = new RemoteClient(options);
  return {
    // The hub parsed it with the operation's own output schema.
    call: async (name, input, callOptions) =>
      (await client.call(name, input, callOptions)) as never,
    follow: (filter, followOptions) => client.follow(filter, followOptions),
    close: () => client.close(),
  };
}

class RemoteClient {
  readonly #url: string;
  readonly #keyPrefix: string;
  readonly #link: Link;
  readonly #waiting: Call[] = [];
  readonly #sent = new Map<number, Call>();
  readonly #feeds = new Set<Feed>();
  readonly #byId = new Map<string, Feed>();
  #isUp = false;
  #lastId = 0;

  constructor(options: RemoteOptions) {
    this.#url = options.url;
    const chance = () => Math.floor(options.world.random() * 2 ** 48).toString(36);
    // 96 bits: two clients never share a key.
    this.#keyPrefix = `${chance()}${chance()}`;
    this.#link = new Link(options, {
      opened: () => this.#opened(),
      heard: (message) => this.#heard(message),
      lost: () => this.#lost(),
      failed: (error) => this.#failAll(error),
      isNeeded: () => this.#waiting.length + this.#sent.size + this.#feeds.size > 0,
      outage: (lostForMs) => {
        if (lostForMs > OUTAGE_MS)
          this.#failCalls(gone(this.#url, "it went away and did not come back"));
      },
    });
  }

  call(name: string, input: unknown, options: CallOptions = {}): Promise<unknown> {
    const key = options.idempotencyKey ?? this.#keyFor(input);
    return new Promise((resolve, reject) => {
      this.#request(name, input, key, (outcome) =>
        "error" in outcome ? reject(outcome.error) : resolve(outcome.result),
      );
    });
  }

  async *follow(filter: EventFilter, options: FollowOptions = {}): AsyncGenerator<JournalEvent> {
    const { signal } = options;
    const feed: Feed = {
      filter,
      after: options.after,
      queue: [],
      state: { kind: "off" },
      failure: undefined,
      wake: undefined,
    };
    const wake = () => feed.wake?.();
    const isOver = () => signal?.aborted === true || this.#link.isClosed;
    signal?.addEventListener("abort", wake, { once: true });
    this.#feeds.add(feed);
    try {
      this.#subscribe(feed);
      while (!isOver()) {
        const events = feed.queue;
        feed.queue = [];
        for (const event of events) {
          if (isOver()) return;
          yield event;
        }
        if (feed.queue.length > 0) continue;
        if (feed.failure !== undefined) throw feed.failure;
        if (feed.state.kind === "full") {
          feed.state = { kind: "off" };
          this.#subscribe(feed);
        }
        await new Promise<void>((resolve) => {
          feed.wake = resolve;
          if (isOver()) resolve();
        });
        feed.wake = undefined;
      }
    } finally {
      signal?.removeEventListener("abort", wake);
      this.#feeds.delete(feed);
      this.#leave(feed);
    }
  }

  async close(): Promise<void> {
    this.#failCalls(new CadreError("stopped", "The client was closed."));
    await this.#link.close();
    for (const feed of this.#feeds) feed.wake?.();
  }

  /** A caller's own key in the input (T1) must stay the key; else one is made. */
  #keyFor(input: unknown): string | undefined {
    const own = (input as { idempotencyKey?: unknown } | null | undefined)?.idempotencyKey;
    return own === undefined ? `${this.#keyPrefix}.${this.#lastId + 1}` : undefined;
  }

  #request(
    method: string,
    params: unknown,
    idempotencyKey: string | undefined,
    settle: Call["settle"],
  ): void {
    if (this.#link.isClosed) {
      settle({ error: new CadreError("stopped", "The client was closed.") });
      return;
    }
    this.#lastId += 1;
    const id = this.#lastId;
    const text = JSON.stringify({
      jsonrpc: "2.0",
      id,
      method,
      params: params ?? {},
      idempotencyKey,
    });
    this.#waiting.push({ id, text, settle });
    this.#link.need();
    this.#flush();
  }

  #flush(): void {
    if (!this.#isUp) return;
    while (this.#sent.size < CALLS_MAX) {
      const call = this.#waiting.shift();
      if (call === undefined) return;
      this.#sent.set(call.id, call);
      this.#link.send(call.text);
    }
  }

  #opened(): void {
    this.#isUp = true;
    for (const call of this.#sent.values()) this.#link.send(call.text);
    for (const feed of this.#feeds) this.#subscribe(feed);
    this.#flush();
  }

  #lost(): void {
    this.#isUp = false;
    this.#byId.clear();
    for (const feed of this.#feeds) if (feed.state.kind !== "full") feed.state = { kind: "off" };
  }

  #heard(message: Inbound): void {
    if (message["method"] === "events.batch") {
      this.#take(message["params"] as { subscription: string; events: EventView[] });
      return;
    }
    const call = this.#sent.get(Number(message["id"]));
    if (call === undefined) return;
    this.#sent.delete(call.id);
    const error = message["error"] as { message: string; data?: unknown } | undefined;
    if (error === undefined) call.settle({ result: message["result"] });
    else call.settle({ error: errorFrom(error.data) ?? new CadreError("internal", error.message) });
    this.#flush();
  }

  #subscribe(feed: Feed): void {
    this.#link.need();
    if (!this.#isUp || feed.state.kind !== "off") return;
    const asked = { kind: "asked" } as const;
    feed.state = asked;
    const { after, filter } = feed;
    const params = { filter, ...(after === undefined ? {} : { after }) };
    // Settled at once, not in a promise's turn: the first batch may be in the same packet.
    this.#request("events.subscribe", params, undefined, (outcome) => {
      if ("error" in outcome) {
        feed.failure = outcome.error;
        feed.wake?.();
        return;
      }
      const { subscription, after: from } = outcome.result as Subscribed;
      // The line fell and this answers what was asked before, or the follower has left.
      if (feed.state !== asked || !this.#feeds.has(feed)) {
        this.#unsubscribe(subscription);
        return;
      }
      feed.after ??= from;
      feed.state = { kind: "on", id: subscription };
      this.#byId.set(subscription, feed);
    });
  }

  #take({ subscription, events }: { subscription: string; events: EventView[] }): void {
    const feed = this.#byId.get(subscription);
    if (feed === undefined) return;
    for (const view of events) {
      feed.after = view.position;
      feed.queue.push({ ...view, at: Date.parse(view.at) } as JournalEvent);
    }
    if (feed.queue.length > QUEUE_EVENTS_MAX) {
      this.#leave(feed);
      feed.state = { kind: "full" };
    }
    feed.wake?.();
  }

  #leave(feed: Feed): void {
    if (feed.state.kind !== "on") return;
    this.#byId.delete(feed.state.id);
    this.#unsubscribe(feed.state.id);
    feed.state = { kind: "off" };
  }

  #unsubscribe(subscription: string): void {
    if (!this.#isUp) return;
    // A notification: nothing depends on the answer, and the hub forgets it with the socket.
    const params = { subscription };
    this.#link.send(JSON.stringify({ jsonrpc: "2.0", method: "events.unsubscribe", params }));
  }

  #failCalls(error: CadreError): void {
    const calls = [...this.#sent.values(), ...this.#waiting.splice(0)];
    this.#sent.clear();
    for (const call of calls) call.settle({ error });
  }

  #failAll(error: CadreError): void {
    this.#isUp = false;
    this.#failCalls(error);
    for (const feed of this.#feeds) {
      feed.failure = error;
      feed.wake?.();
    }
  }
}
