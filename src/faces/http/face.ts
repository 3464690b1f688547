// The HTTP face put together: one Fastify instance over the registry of operations.
import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type { EventStream, Invoker } from "../../operations/index.ts";
import { CadreError, idMaker, type Log, type Millis, type World } from "../../platform/index.ts";
import { credentialsOf } from "./credentials.ts";
import { frameBeat } from "./frames.ts";
import { type Listener, refusedBecause } from "./guard.ts";
import { registerHealth } from "./health.ts";
import { authority, checkListen, type ListenConfig, listenFailure, readTls } from "./listen.ts";
import { API, type FaceParts, type Facts } from "./parts.ts";
import { classify, problemOf } from "./problem.ts";
import { RATE_DEFAULT, type Rate, rateLimiter } from "./rate.ts";
import { registerReference } from "./reference.ts";
import { registerOperations } from "./routes.ts";
import { serveSockets } from "./socket.ts";
import { registerEventStream } from "./sse.ts";

export type HttpFaceOptions = {
  readonly invoker: Invoker;
  readonly stream: EventStream;
  readonly world: World;
  readonly log: Log;
  readonly config: ListenConfig;
  readonly facts: Facts;
  /** Requests per principal and per address. */
  readonly rate?: Rate;
};

export type HttpFace = {
  /** Where it listens: `http://127.0.0.1:4141`. */
  readonly url: string;
  /** Stops accepting, ends streams and waits, lets running requests finish. May be called twice. */
  close(): Promise<void>;
};

/** What a request may take to arrive as a whole, and its headers alone. */
const REQUEST_MS: Millis = 60_000;
const HEADERS_MS: Millis = 15_000;
/** How long running requests may take when the face closes; then their connections are cut. */
const CLOSE_MS: Millis = 5_000;
/** A refused body below this is read and thrown away, so that the connection can be used again. */
const DRAINED_BYTES_MAX = 64 * 1024;
const REQUEST_ID = /^[A-Za-z0-9._:-]{1,128}$/;

/** Serves REST, SSE and WebSocket. Errors: `port_taken`, `invalid_config`. */
export async function createHttpFace(options: HttpFaceOptions): Promise<HttpFace> {
  const { config, world, log } = options;
  checkListen(config);
  const tls = config.tls === undefined ? undefined : await readTls(config.tls);
  const closing = new AbortController();
  const newId = idMaker(world);
  let listener: Listener = { host: config.host, port: config.port, isTls: tls !== undefined };
  const parts: FaceParts = {
    invoker: options.invoker,
    stream: options.stream,
    world,
    log,
    facts: options.facts,
    listener: () => listener,
    limit: rateLimiter(options.rate ?? RATE_DEFAULT, world.clock.monotonic),
    beat: frameBeat(world),
    newRequestId: () => newId("req"),
    viewers: { open: 0 },
    closing: closing.signal,
  };

  const serverOptions = { requestTimeout: REQUEST_MS, headersTimeout: HEADERS_MS };
  const makeServer = (handler: RequestListener): Server =>
    tls === undefined
      ? createServer(serverOptions, handler)
      : createTlsServer({ ...serverOptions, ...tls }, handler);
  const app = createRoutes(parts, options.rate ?? RATE_DEFAULT, makeServer);
  await app.ready();
  const server = app.server as Server;
  const sockets = serveSockets(server, parts);
  try {
    listener = { ...listener, port: await listen(server, config) };
  } catch (error) {
    await app.close();
    throw await listenFailure(error, config, world);
  }

  let closed: Promise<void> | undefined;
  const close = async () => {
    closing.abort();
    sockets.close();
    const finished = new AbortController();
    const done = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeIdleConnections();
    const cut = world.clock.sleep(CLOSE_MS, finished.signal).then(
      () => server.closeAllConnections(),
      () => undefined,
    );
    await done;
    finished.abort();
    await cut;
    await app.close();
  };
  const scheme = tls === undefined ? "http" : "https";
  return {
    url: `${scheme}://${authority(listener)}`,
    close: () => {
      closed ??= close();
      return closed;
    },
  };
}

function listen(server: Server, config: ListenConfig): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(config.port, config.host.replace(/^\[|\]$/g, ""), () => {
      server.off("error", reject);
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : config.port);
    });
  });
}

/** All routes, without a socket. */
function createRoutes(
  parts: FaceParts,
  rate: Rate,
  serverFactory: (handler: RequestListener) => Server,
): FastifyInstance {
  const app = Fastify({
    serverFactory,
    genReqId: (request) => {
      const given = request.headers["x-request-id"];
      return typeof given === "string" && REQUEST_ID.test(given) ? given : parts.newRequestId();
    },
    routerOptions: { maxParamLength: 500 },
    frameworkErrors: (error, request, reply) => {
      void sendProblem(parts, error, request as FastifyRequest, reply as unknown as FastifyReply);
    },
    clientErrorHandler: (error, socket) => {
      // Bytes that are no HTTP: there is no request to answer to.
      const status =
        error.code === "HPE_HEADER_OVERFLOW"
          ? "431 Request Header Fields Too Large"
          : "400 Bad Request";
      if (socket.writable)
        socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      else socket.destroy();
    },
  });
  app.removeContentTypeParser("text/plain");
  app.addHook("onRequest", (request, reply, done) => {
    reply.header("x-request-id", request.id).header("x-content-type-options", "nosniff");
    if (parts.closing.aborted) reply.header("connection", "close");
    try {
      admit(parts, rate, request, reply);
    } catch (error) {
      done(error as Error);
      return;
    }
    done();
  });
  app.setErrorHandler((error, request, reply) => sendProblem(parts, error, request, reply));
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split("?", 1)[0];
    const error = new CadreError("not_found", `There is no ${request.method} ${path} here.`, {
      next: [`GET ${API}/docs`],
    });
    return sendProblem(parts, error, request, reply);
  });

  const offered = new Map<string, Set<string>>();
  app.addHook("onRoute", ({ url, method }) => {
    const methods = offered.get(url) ?? new Set();
    for (const one of [method].flat()) methods.add(one);
    offered.set(url, methods);
  });
  registerOperations(app, parts);
  registerEventStream(app, parts);
  registerReference(app, parts);
  registerHealth(app, parts);
  refuseOtherMethods(
    app,
    [...offered].map(([url, methods]) => [url, [...methods]]),
  );
  return app;
}

/** Before a byte of the body is read: is it for us, not too much, and from someone we know? */
function admit(parts: FaceParts, rate: Rate, request: FastifyRequest, reply: FastifyReply): void {
  const refusal = refusedBecause(parts.listener(), request.headers);
  if (refusal !== undefined) {
    throw new CadreError("forbidden", refusal, {
      next: ["Open the address the hub printed when it started."],
    });
  }
  spend(parts, rate, reply, "address", request.ip);
  const permission = request.routeOptions.config.permission;
  if (permission === undefined) return;
  const principal = parts.invoker.admit(credentialsOf(request.headers.authorization), permission);
  spend(parts, rate, reply, "principal", principal.id);
}

/** Takes one request from a share and tells how much is left (draft-ietf-httpapi-ratelimit). */
function spend(
  parts: FaceParts,
  rate: Rate,
  reply: FastifyReply,
  kind: "address" | "principal",
  caller: string,
): void {
  const { isAllowed, left, waitMs } = parts.limit(`${kind} ${caller}`);
  const waitSeconds = Math.ceil(waitMs / 1_000);
  reply
    .header(
      "ratelimit-policy",
      `"${kind}";q=${rate.burst};w=${Math.ceil(rate.burst / rate.perSecond)}`,
    )
    .header("ratelimit", `"${kind}";r=${left};t=${waitSeconds}`);
  if (isAllowed) return;
  throw new CadreError("rate_limited", `Too many requests from this ${kind}; slow down.`, {
    details: { perSecond: rate.perSecond, burst: rate.burst, retryAfterMs: Math.ceil(waitMs) },
  });
}

function sendProblem(
  parts: FaceParts,
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const known = classify(error);
  const problem = problemOf(known, request.id);
  if (problem.status >= 500) {
    parts.log.error({ err: known, requestId: request.id, url: request.url }, "A request failed.");
  }
  if (problem.status === 401) reply.header("www-authenticate", "Bearer");
  if (problem.retry === "later") {
    const waitMs = known.details["retryAfterMs"];
    reply.header(
      "retry-after",
      Math.max(1, Math.ceil((typeof waitMs === "number" ? waitMs : 0) / 1_000)),
    );
  }
  if (isLargeBodyUnread(request)) reply.header("connection", "close");
  return reply
    .code(problem.status)
    .header("cache-control", "no-store")
    .type("application/problem+json; charset=utf-8")
    .send(JSON.stringify(problem));
}

/** A large body nobody will read: better a new connection than its megabytes. */
function isLargeBodyUnread(request: FastifyRequest): boolean {
  if (request.raw.complete) return false;
  const length = request.headers["content-length"];
  if (length === undefined) return request.headers["transfer-encoding"] !== undefined;
  return Number(length) > DRAINED_BYTES_MAX;
}

/** 405 with the methods there are, in place of a 404 that would hide them. */
function refuseOtherMethods(
  app: FastifyInstance,
  offered: readonly (readonly [url: string, methods: readonly string[]])[],
): void {
  for (const [url, methods] of offered) {
    const allow = [...methods, "OPTIONS"].sort().join(", ");
    const others = METHODS.filter((one) => !methods.includes(one));
    app.route({
      method: "OPTIONS",
      url,
      handler: (_request, reply) => reply.header("allow", allow).code(204).send(),
    });
    if (others.length === 0) continue;
    app.route({
      method: others,
      url,
      exposeHeadRoute: false,
      handler: (request, reply) => {
        reply.header("allow", allow);
        throw new CadreError(
          "method_not_allowed",
          `${request.method} is not possible here; ${allow} are.`,
          { details: { allow } },
        );
      },
    });
  }
}

const METHODS: readonly string[] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
