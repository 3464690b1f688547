// One WebSocket: JSON-RPC calls of any operation, and subscriptions to the journal.
import type { RawData, WebSocket } from "ws";
import { type Credentials, PAGE_EVENTS_MAX } from "../../operations/index.ts";
import { CadreError, type EventFilter, type Millis } from "../../platform/index.ts";
import { jsonFrames, STALLED_MS } from "./frames.ts";
import {
  CADRE_ERROR,
  errorText,
  INVALID_REQUEST,
  METHOD_NOT_FOUND,
  PARSE_ERROR,
  type RpcCall,
  readMessage,
  resultText,
} from "./json-rpc.ts";
import type { FaceParts } from "./parts.ts";
import { classify, problemOf } from "./problem.ts";
import { admitViewer, parseStream } from "./sse.ts";

/** Calls of one socket that may be under way at once. */
export const CALLS_MAX = 1_024;
const SUBSCRIPTIONS_MAX = 64;
/** Answers a client leaves unread; past it the socket is closed. */
const UNREAD_BYTES_MAX = 16 * 1024 * 1024;
const PING_MS: Millis = 30_000;
/** How long a socket may take over its goodbye. */
const GOODBYE_MS: Millis = 1_000;
/** RFC 6455: going away; policy violation; try again later. */
const GOING_AWAY = 1001;
const TRY_AGAIN_LATER = 1013;

/** What this face adds to the operations. */
const OWN_METHODS: ReadonlySet<string> = new Set(["events.subscribe", "events.unsubscribe"]);

type Subscription = { readonly id: string; readonly stop: AbortController; upTo: number };
/** What begins once the answer is on its way: a subscription never speaks before it. */
type Begin = () => void;

export class Session {
  readonly #parts: FaceParts;
  readonly #socket: WebSocket;
  readonly #credentials: Credentials;
  readonly #gone = new AbortController();
  readonly #subscriptions = new Map<string, Subscription>();
  #calls = 0;
  #subscribed = 0;

  /** Serves the socket until it closes. */
  constructor(parts: FaceParts, socket: WebSocket, credentials: Credentials) {
    this.#parts = parts;
    this.#socket = socket;
    this.#credentials = credentials;
    socket.on("message", (raw) => this.#receive(raw));
    socket.on("error", (error) => parts.log.debug({ err: error }, "A WebSocket failed."));
    socket.on("close", () => this.#gone.abort());
    void this.#keepAlive();
  }

  close(): void {
    this.#end(GOING_AWAY, "the hub stops");
  }

  #end(code: number, reason: string): void {
    this.#socket.close(code, reason);
    // A reader that is stalled never answers the goodbye.
    this.#parts.world.clock.sleep(GOODBYE_MS, this.#gone.signal).then(
      () => this.#socket.terminate(),
      () => undefined,
    );
  }

  #receive(raw: RawData): void {
    let value: unknown;
    try {
      value = JSON.parse(String(raw));
    } catch {
      this.#send(errorText(null, PARSE_ERROR, "The message is not JSON."));
      return;
    }
    if (Array.isArray(value)) void this.#answerBatch(value);
    else void this.#answerOne(value);
  }

  async #answerOne(value: unknown): Promise<void> {
    const begins: Begin[] = [];
    this.#send(await this.#answer(value, begins));
    for (const begin of begins) begin();
  }

  async #answerBatch(values: readonly unknown[]): Promise<void> {
    if (values.length === 0 || values.length > CALLS_MAX) {
      this.#send(errorText(null, INVALID_REQUEST, `A batch has 1 to ${CALLS_MAX} requests.`));
      return;
    }
    const begins: Begin[] = [];
    const texts = await Promise.all(values.map((value) => this.#answer(value, begins)));
    const answers = texts.filter((text) => text !== undefined);
    if (answers.length > 0) this.#send(`[${answers.join(",")}]`);
    for (const begin of begins) begin();
  }

  /** The answer's text; undefined for a notification. Never rejects. */
  async #answer(value: unknown, begins: Begin[]): Promise<string | undefined> {
    const message = readMessage(value);
    if (message.kind === "invalid") return errorText(message.id, INVALID_REQUEST, message.why);
    const { call } = message;
    const id = call.id;
    const requestId = this.#parts.newRequestId();
    try {
      if (this.#calls >= CALLS_MAX) throw tooManyCalls();
      this.#calls += 1;
      try {
        const result = await this.#perform(call, requestId, begins);
        return id === undefined ? undefined : resultText(id, result);
      } finally {
        this.#calls -= 1;
      }
    } catch (error) {
      const known = classify(error);
      if (known.code === "internal") {
        this.#parts.log.error({ err: known, requestId, method: call.method }, "A call failed.");
      }
      if (id === undefined) return undefined;
      const isUnknown = known.code === "not_found" && !this.#knows(call.method);
      const problem = problemOf(known, requestId);
      return errorText(id, isUnknown ? METHOD_NOT_FOUND : CADRE_ERROR, problem.detail, problem);
    }
  }

  #knows(method: string): boolean {
    return OWN_METHODS.has(method) || this.#parts.invoker.operations.has(method);
  }

  async #perform(call: RpcCall, requestId: string, begins: Begin[]): Promise<unknown> {
    if (call.method === "events.subscribe") return await this.#subscribe(call.params, begins);
    if (call.method === "events.unsubscribe") return this.#unsubscribe(call.params);
    return await this.#parts.invoker.invoke({
      operation: call.method,
      input: call.params,
      credentials: this.#credentials,
      correlation: requestId,
      ...(call.idempotencyKey === undefined ? {} : { idempotencyKey: call.idempotencyKey }),
    });
  }

  async #subscribe(
    params: unknown,
    begins: Begin[],
  ): Promise<{ subscription: string; after: number }> {
    const { filter: given, after: from } = (params ?? {}) as { filter?: object; after?: unknown };
    const { filter, after } = parseStream({
      ...given,
      ...(from === undefined ? {} : { after: from }),
    });
    this.#parts.invoker.admit(this.#credentials, "read");
    if (this.#subscriptions.size >= SUBSCRIPTIONS_MAX) {
      throw new CadreError(
        "rate_limited",
        `A socket has at most ${SUBSCRIPTIONS_MAX} subscriptions; end one with events.unsubscribe.`,
        { details: { subscriptionsMax: SUBSCRIPTIONS_MAX } },
      );
    }
    admitViewer(this.#parts);
    this.#subscribed += 1;
    const subscription: Subscription = {
      id: `sub_${this.#subscribed}`,
      stop: new AbortController(),
      upTo: after ?? 0,
    };
    this.#subscriptions.set(subscription.id, subscription);
    try {
      subscription.upTo = after ?? (await this.#parts.stream.head());
    } catch (error) {
      this.#subscriptions.delete(subscription.id);
      this.#parts.viewers.open -= 1;
      throw error;
    }
    begins.push(() => void this.#pump(subscription, filter));
    return { subscription: subscription.id, after: subscription.upTo };
  }

  #unsubscribe(params: unknown): Record<string, never> {
    const id = (params as { subscription?: unknown } | null)?.subscription;
    const subscription = this.#subscriptions.get(String(id));
    if (subscription === undefined) {
      throw new CadreError("not_found", `This socket has no subscription "${String(id)}".`);
    }
    subscription.stop.abort();
    return {};
  }

  async #pump(subscription: Subscription, filter: EventFilter): Promise<void> {
    const { stream, closing, beat, log } = this.#parts;
    const signal = AbortSignal.any([this.#gone.signal, subscription.stop.signal, closing]);
    const head = `{"jsonrpc":"2.0","method":"events.batch","params":{"subscription":"${subscription.id}","events":[`;
    const before = Buffer.from(head);
    try {
      for await (const batch of stream.batches(filter, { after: subscription.upTo, signal })) {
        for (const { bytes, upTo } of jsonFrames(batch)) {
          if (signal.aborted) return;
          if (!(await this.#written(Buffer.concat([before, bytes, AFTER]), signal))) {
            this.#end(TRY_AGAIN_LATER, `too slow; resume after ${subscription.upTo}`);
            return;
          }
          subscription.upTo = upTo;
        }
        if (batch.length < PAGE_EVENTS_MAX) await beat();
      }
    } catch (error) {
      log.warn({ err: classify(error) }, "A subscription ended; its viewer resumes.");
      this.#end(TRY_AGAIN_LATER, `interrupted; resume after ${subscription.upTo}`);
    } finally {
      this.#subscriptions.delete(subscription.id);
      this.#parts.viewers.open -= 1;
    }
  }

  /** Sends one frame and waits until it left this process; false when it did not in good time. */
  async #written(frame: Buffer, signal: AbortSignal): Promise<boolean> {
    const left = new Promise<boolean>((resolve) => {
      // An error here is the socket's end, which `gone` tells.
      this.#socket.send(frame, { binary: false }, () => resolve(true));
    });
    // Most frames leave at once: no timer for them.
    if (this.#socket.bufferedAmount === 0) return true;
    const waited = new AbortController();
    const either = AbortSignal.any([signal, waited.signal]);
    const stalled = this.#parts.world.clock.sleep(STALLED_MS, either).then(
      () => false,
      () => true,
    );
    try {
      return await Promise.race([left, stalled]);
    } finally {
      waited.abort();
    }
  }

  #send(text: string | undefined): void {
    if (text === undefined || this.#socket.readyState !== this.#socket.OPEN) return;
    if (this.#socket.bufferedAmount > UNREAD_BYTES_MAX) {
      this.#end(TRY_AGAIN_LATER, "answers are not read; ask again after reconnecting");
      return;
    }
    this.#socket.send(text);
  }

  async #keepAlive(): Promise<void> {
    let isAlive = true;
    this.#socket.on("pong", () => {
      isAlive = true;
    });
    while (isAlive) {
      isAlive = false;
      this.#socket.ping();
      try {
        await this.#parts.world.clock.sleep(PING_MS, this.#gone.signal);
      } catch {
        // Closed; only that ends the sleep.
        return;
      }
    }
    this.#socket.terminate();
  }
}

const AFTER = Buffer.from("]}}");

function tooManyCalls(): CadreError {
  return new CadreError(
    "rate_limited",
    `${CALLS_MAX} calls of this socket are under way; wait for an answer before the next.`,
    { details: { callsMax: CALLS_MAX } },
  );
}
