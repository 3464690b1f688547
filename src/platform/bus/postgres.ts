// Doorbells between hubs over one Postgres: NOTIFY, sent once for all that was gathered.
//
// DESIGN. NOTIFY takes a lock at commit, so one for each row would cap the whole database; here one
// goes out at a time, and what rings meanwhile is gathered for the next. Rings in this process
// don't take the way over the server. While the connection is away nothing is heard, so after a
// reconnect everything rings once; until then whoever waits looks again by itself.
import pg from "pg";
import type { Millis } from "../words.ts";
import type { World } from "../world.ts";
import { type Bus, EVERY_TOPIC } from "./bus.ts";
import { localBus } from "./local.ts";

const CHANNEL = "cadre_wake";
/** NOTIFY takes fewer than 8,000 bytes. */
const PAYLOAD_BYTES_MAX = 7_000;
const RECONNECT_MS_MIN: Millis = 100;
const RECONNECT_MS_MAX: Millis = 5_000;
const CONNECT_MS_MAX: Millis = 10_000;

export type PostgresBusOptions = {
  readonly url: string;
  readonly world: Pick<World, "clock" | "random">;
};

export type PostgresBus = Bus & { readonly connected: Promise<void> };

/**
 * Never throws and never waits for the server: without a connection it is a bus of this process.
 * `connected` resolves when the first connection listens.
 */
export function postgresBus(parts: PostgresBusOptions): PostgresBus {
  const here = localBus();
  const closing = new AbortController();
  let client: pg.Client | undefined;
  let gathered = new Set<string>();
  let isSending = false;
  let heard = () => {};
  const connected = new Promise<void>((resolve) => {
    heard = resolve;
  });

  const send = async () => {
    if (isSending) return;
    isSending = true;
    // Gathers what rings in this turn of the event loop.
    await new Promise(setImmediate);
    while (client !== undefined && gathered.size > 0) {
      const topics = gathered;
      gathered = new Set();
      try {
        for (const payload of payloadsOf(topics)) {
          await client?.query({
            name: "ring",
            text: "SELECT pg_notify($1, $2)",
            values: [CHANNEL, payload],
          });
        }
      } catch {
        // The others look again by themselves; a dead connection is replaced below.
      }
    }
    // Rings nobody could be told of: the others hear everything when they look.
    if (client === undefined) gathered.clear();
    isSending = false;
  };

  const hear = (from: pg.Client) => (message: pg.Notification) => {
    const own = (from as unknown as { readonly processID: number | null }).processID;
    if (message.processId === own) return;
    here.wake(new Set((message.payload ?? EVERY_TOPIC).split(",")));
  };

  /** Listens until the connection ends. */
  const listenOnce = async (isFirst: boolean, onListening: () => void) => {
    const fresh = new pg.Client({
      connectionString: parts.url,
      connectionTimeoutMillis: CONNECT_MS_MAX,
      query_timeout: CONNECT_MS_MAX,
      keepAlive: true,
      application_name: "cadre bus",
    });
    const ended = new Promise<void>((resolve) => {
      fresh.once("end", resolve);
      fresh.on("error", () => resolve());
    });
    const stop = () => void fresh.end().catch(() => undefined);
    try {
      fresh.on("notification", hear(fresh));
      await fresh.connect();
      closing.signal.addEventListener("abort", stop);
      if (closing.signal.aborted) return;
      await fresh.query(`LISTEN ${CHANNEL}`);
      client = fresh;
      onListening();
      heard();
      if (!isFirst) here.wake(new Set([EVERY_TOPIC]));
      void send();
      await ended;
    } finally {
      client = undefined;
      closing.signal.removeEventListener("abort", stop);
      await fresh.end().catch(() => undefined);
    }
  };

  const listen = async () => {
    let failures = 0;
    for (let round = 0; !closing.signal.aborted; round++) {
      await listenOnce(round === 0, () => {
        failures = 0;
      }).catch(() => undefined);
      if (closing.signal.aborted) return;
      failures += 1;
      const pauseMs = Math.min(RECONNECT_MS_MIN * 2 ** failures, RECONNECT_MS_MAX);
      await parts.world.clock
        .sleep(Math.floor(pauseMs * (0.5 + parts.world.random() / 2)), closing.signal)
        .catch(() => undefined);
    }
  };
  const listening = listen();

  return {
    connected,
    wake(topics) {
      if (topics.size === 0 || closing.signal.aborted) return;
      here.wake(topics);
      for (const topic of topics) gathered.add(topic);
      void send();
    },
    subscribe: (listener) => here.subscribe(listener),
    async close() {
      closing.abort();
      await listening;
      await here.close();
    },
  };
}

/** Joined by commas, as many to a message as it can take. */
export function payloadsOf(topics: Iterable<string>): string[] {
  const payloads: string[] = [];
  let payload = "";
  for (const topic of topics) {
    const longer = payload === "" ? topic : `${payload},${topic}`;
    if (payload !== "" && Buffer.byteLength(longer) > PAYLOAD_BYTES_MAX) {
      payloads.push(payload);
      payload = topic;
    } else {
      payload = longer;
    }
  }
  if (payload !== "") payloads.push(payload);
  return payloads;
}
