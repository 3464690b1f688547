// Server-sent events: the journal from a cursor on, for whoever speaks plain HTTP.
//
// A reader is pulled along: the next frame is made when the one before has left this process. So a
// slow reader falls back to the store and costs no memory; one that takes nothing at all is closed
// and resumes from the last id it saw.
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { eventFilter, PAGE_EVENTS_MAX } from "../../operations/index.ts";
import { asCadreError, CadreError, type EventFilter, type Millis } from "../../platform/index.ts";
import { STALLED_MS, sseFrames } from "./frames.ts";
import { API, type FaceParts, VIEWERS_MAX } from "./parts.ts";

const PING_MS: Millis = 15_000;

export const streamQuery = z.strictObject({
  ...eventFilter,
  /** Events after this position; absent: from now on. `Last-Event-ID` wins. */
  after: z.coerce.number().int().min(0).optional(),
});

export function registerEventStream(app: FastifyInstance, parts: FaceParts): void {
  app.route({
    method: "GET",
    url: `${API}/events/stream`,
    exposeHeadRoute: false,
    config: { permission: "read" },
    handler: (request, reply) => view(parts, request, reply),
  });
}

async function view(parts: FaceParts, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const { filter, after: asked } = parseStream({
    ...(request.query as object),
    ...lastEventId(request),
  });
  admitViewer(parts);
  try {
    const head = await parts.stream.head();
    const after = asked ?? head;
    reply.hijack();
    const response = reply.raw;
    response.writeHead(200, {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      // When the stream ends the line has served its purpose.
      connection: "close",
      "x-accel-buffering": "no",
      "x-content-type-options": "nosniff",
      "x-request-id": request.id,
    });
    // The id of the greeting is where the reader starts, not where the journal ends: a reader that
    // loses the line now must come back for what lies between.
    const hello = JSON.stringify({ position: head, after });
    response.write(`retry: 1000\nid: ${after}\nevent: hello\ndata: ${hello}\n\n`);
    await pump(parts, response, filter, after);
  } finally {
    parts.viewers.open -= 1;
  }
}

const lastEventId = (request: FastifyRequest): { after?: string } => {
  const header = request.headers["last-event-id"];
  return typeof header === "string" && header !== "" ? { after: header } : {};
};

/** What a viewer asks for. Errors: `invalid_input`. */
export function parseStream(query: object): { filter: EventFilter; after: number | undefined } {
  const parsed = streamQuery.safeParse(query);
  if (!parsed.success) {
    throw new CadreError("invalid_input", `events.stream: ${z.prettifyError(parsed.error)}`);
  }
  const { after, root, task, run, types } = parsed.data;
  const filter = {
    ...(root === undefined ? {} : { root }),
    ...(task === undefined ? {} : { task }),
    ...(run === undefined ? {} : { run }),
    ...(types === undefined ? {} : { types }),
  };
  return { filter, after };
}

/** Counts a viewer in. Errors: `rate_limited` when too many are open. */
export function admitViewer(parts: Pick<FaceParts, "viewers">): void {
  if (parts.viewers.open >= VIEWERS_MAX) {
    throw new CadreError(
      "rate_limited",
      `${VIEWERS_MAX} streams are open on this hub. Close one, or follow several things over one.`,
      { details: { viewersMax: VIEWERS_MAX } },
    );
  }
  parts.viewers.open += 1;
}

async function pump(
  parts: FaceParts,
  response: ServerResponse,
  filter: EventFilter,
  after: number,
): Promise<void> {
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  const signal = AbortSignal.any([gone.signal, parts.closing]);
  const pings = ping(parts, response, signal);
  try {
    for await (const batch of parts.stream.batches(filter, { after, signal })) {
      for (const frame of sseFrames(batch)) {
        if (!(await written(parts, response, frame.bytes, signal))) return;
      }
      if (batch.length < PAGE_EVENTS_MAX) await parts.beat();
    }
    response.end();
  } catch (error) {
    parts.log.warn({ err: asCadreError(error) }, "A stream of events ended; its viewer resumes.");
  } finally {
    gone.abort();
    // Ends what was not ended in good order: a stalled reader would hold its buffer for ever.
    if (!response.writableEnded) response.destroy();
    await pings;
  }
}

/** Keeps proxies from taking a quiet stream for a dead one. */
async function ping(
  parts: FaceParts,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await parts.world.clock.sleep(PING_MS, signal);
    } catch {
      // Only the signal ends the sleep.
      return;
    }
    if (!response.writableNeedDrain) response.write(": ping\n\n");
  }
}

/** Writes and waits until it has left; false when the reader is gone or took nothing for too long. */
async function written(
  parts: FaceParts,
  response: ServerResponse,
  bytes: Buffer,
  signal: AbortSignal,
): Promise<boolean> {
  if (response.destroyed || signal.aborted) return false;
  if (response.write(bytes)) return true;
  const waited = new AbortController();
  const either = AbortSignal.any([signal, waited.signal]);
  try {
    return await Promise.race([
      once(response, "drain", { signal: either }).then(() => true),
      parts.world.clock.sleep(STALLED_MS, either).then(() => false),
    ]);
  } catch (error) {
    // Gone or closing, which is no fault.
    if (signal.aborted) return false;
    throw error;
  } finally {
    waited.abort();
  }
}
