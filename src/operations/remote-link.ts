// One WebSocket to a hub, kept up: opened when needed, opened again when it falls.
import type { RawData, WebSocket } from "ws";
import {
  CadreError,
  ERROR_CODES,
  type ErrorCode,
  type Json,
  type Millis,
  messageOf,
  type World,
} from "../platform/index.ts";

export type HubState =
  | { readonly kind: "connected" }
  /** The hub went away; it is tried again after `retryMs`. */
  | { readonly kind: "lost"; readonly why: string; readonly retryMs: Millis };

export type RemoteOptions = {
  /** Where the hub listens: `http://127.0.0.1:4141`. */
  readonly url: string;
  readonly token: string;
  readonly world: Pick<World, "clock" | "random">;
  /** Hears when the line falls and when it is back. */
  readonly onState?: (state: HubState) => void;
};

/** A server's word, parsed: an answer to a call, or a batch of a subscription. */
export type Inbound = { readonly [key: string]: unknown };

type Listener = {
  /** The line is up: send what has to be sent. */
  opened(): void;
  heard(message: Inbound): void;
  /** The line fell; it is being opened again. */
  lost(): void;
  /** The line can't be had: everything that waits for it fails with this. */
  failed(error: CadreError): void;
  /** Is anything left that needs the line? */
  isNeeded(): boolean;
  /** May calls still wait? After so long without a hub they fail; followers go on. */
  outage(lostForMs: Millis): void;
};

const BACKOFF_MS_MAX: Millis = 2_000;
/** The server pings every 30 s; silence of more than two pings is a dead line. */
const SILENCE_MS: Millis = 75_000;
const GOODBYE_MS: Millis = 1_000;
const PAYLOAD_BYTES_MAX = 256 * 1024 * 1024;

export class Link {
  readonly #options: RemoteOptions;
  readonly #listener: Listener;
  readonly #closing = new AbortController();
  #socket: WebSocket | undefined;
  #running: Promise<void> | undefined;
  #wasOpen = false;

  /** Opens nothing until `need` is called. */
  constructor(options: RemoteOptions, listener: Listener) {
    this.#options = options;
    this.#listener = listener;
  }

  get isClosed(): boolean {
    return this.#closing.signal.aborted;
  }

  /** Sees to it that the line is up, or is being opened. */
  need(): void {
    if (this.#running !== undefined || this.isClosed) return;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  /** Sends when the line is up; else `opened` will be the time to. */
  send(text: string): void {
    if (this.#socket?.readyState === this.#socket?.OPEN) this.#socket?.send(text);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    const socket = this.#socket;
    socket?.close(1000);
    const ended = new AbortController();
    // A hub that does not answer the goodbye is not waited for.
    const cut = this.#options.world.clock.sleep(GOODBYE_MS, ended.signal).then(
      () => socket?.terminate(),
      () => undefined,
    );
    await this.#running;
    ended.abort();
    await cut;
  }

  /** Until closed, or until the line fell and nobody needs it. */
  async #run(): Promise<void> {
    const { clock, random } = this.#options.world;
    let attempt = 0;
    let lostAt = clock.monotonic();
    while (!this.isClosed) {
      const ended = await this.#connectOnce(() => {
        attempt = 0;
      });
      if (this.isClosed) return;
      if (ended.kind === "refused" || !this.#wasOpen) {
        this.#listener.failed(ended.error);
        return;
      }
      if (ended.kind === "fell") {
        lostAt = clock.monotonic();
        this.#listener.lost();
      }
      this.#listener.outage(clock.monotonic() - lostAt);
      if (!this.#listener.isNeeded()) return;
      attempt += 1;
      // Full jitter, so that a thousand clients of one hub do not come back at one moment.
      const retryMs = Math.floor(
        random() * Math.min(BACKOFF_MS_MAX, 50 * 2 ** Math.min(attempt, 10)),
      );
      this.#options.onState?.({ kind: "lost", why: ended.error.message, retryMs });
      try {
        await clock.sleep(retryMs, this.#closing.signal);
      } catch {
        // Closed; only that ends the sleep.
        return;
      }
    }
  }

  /** One connection from its opening to its end. */
  async #connectOnce(onOpen: () => void): Promise<Ended> {
    // Loaded when first needed: most processes never call a hub from afar.
    const { WebSocket: Socket } = await import("ws");
    const { url, token } = this.#options;
    if (this.isClosed) return { kind: "absent", error: gone(url, "the client was closed") };
    const target = `${url.replace(/^http/, "ws").replace(/\/+$/, "")}/api/v2/ws`;
    return await new Promise<Ended>((resolve) => {
      let ended: Ended | undefined;
      let isOpen = false;
      const quiet = new AbortController();
      const socket = new Socket(target, "cadre.v2", {
        headers: { authorization: `Bearer ${token}` },
        perMessageDeflate: false,
        maxPayload: PAYLOAD_BYTES_MAX,
        handshakeTimeout: 10_000,
      });
      this.#socket = socket;
      socket.on("open", () => {
        isOpen = true;
        this.#wasOpen = true;
        onOpen();
        void watchSilence(socket, this.#options.world, quiet.signal);
        this.#options.onState?.({ kind: "connected" });
        this.#listener.opened();
      });
      socket.on("message", (raw) => {
        try {
          this.#hear(raw);
        } catch (error) {
          // Not our grammar: nothing that follows on this line could be trusted.
          ended ??= {
            kind: "refused",
            error: gone(url, `what it says is not understood (${messageOf(error)})`),
          };
          socket.terminate();
        }
      });
      socket.on("unexpected-response", (request, response) => {
        void refusalOf(response, url).then((refused) => {
          ended = refused;
          request.destroy();
          socket.terminate();
        });
      });
      socket.on("error", (error) => {
        ended ??= { kind: isOpen ? "fell" : "absent", error: gone(url, messageOf(error)) };
      });
      socket.on("close", (code, reason) => {
        quiet.abort();
        this.#socket = undefined;
        const why = reason.length > 0 ? String(reason) : `the connection closed (${code})`;
        resolve(ended ?? { kind: isOpen ? "fell" : "absent", error: gone(url, why) });
      });
    });
  }

  #hear(raw: RawData): void {
    const message = JSON.parse(String(raw)) as Inbound | readonly Inbound[];
    if (Array.isArray(message)) for (const one of message) this.#listener.heard(one as Inbound);
    else this.#listener.heard(message as Inbound);
  }
}

type Ended = {
  /** fell: it was up. absent: nobody answered. refused: the hub does not want us. */
  readonly kind: "fell" | "absent" | "refused";
  readonly error: CadreError;
};

/** A line that is dead without a word: its machine lost power, a router forgot it. */
async function watchSilence(
  socket: WebSocket,
  world: Pick<World, "clock">,
  signal: AbortSignal,
): Promise<void> {
  let isHeard = true;
  const heard = () => {
    isHeard = true;
  };
  socket.on("ping", heard).on("message", heard);
  while (isHeard) {
    isHeard = false;
    try {
      await world.clock.sleep(SILENCE_MS, signal);
    } catch {
      // Closed; only that ends the sleep.
      return;
    }
  }
  socket.terminate();
}

export const gone = (url: string, why: string): CadreError =>
  new CadreError("not_ready", `No Cadre hub answers at ${url}: ${why}.`, {
    details: { url },
    next: ["cadre up", "cadre doctor"],
  });

async function refusalOf(
  response: AsyncIterable<unknown> & { statusCode?: number | undefined },
  url: string,
): Promise<Ended> {
  let text = "";
  try {
    for await (const chunk of response) {
      text += String(chunk);
      if (text.length > 64 * 1024) break;
    }
    const known = errorFrom(JSON.parse(text));
    if (known !== undefined) {
      // A hub that is overrun or stopping may take us later.
      const kind = ERROR_CODES[known.code].retry === "later" ? "absent" : "refused";
      return { kind, error: known };
    }
  } catch {
    // Not a problem document, so not a Cadre hub: said below, with what it answered.
  }
  const status = response.statusCode ?? 0;
  return {
    kind: status >= 500 ? "absent" : "refused",
    error: gone(url, `what listens there answered ${status} to a WebSocket`),
  };
}

/** The error a problem document tells of; undefined when it is none of ours. */
export function errorFrom(problem: unknown): CadreError | undefined {
  const { code, detail, details, next } = (problem ?? {}) as {
    code?: string;
    detail?: string;
    details?: { [key: string]: Json };
    next?: string[];
  };
  if (code === undefined || !Object.hasOwn(ERROR_CODES, code)) return undefined;
  return new CadreError(code as ErrorCode, String(detail), {
    details: details ?? {},
    next: next ?? [],
  });
}
