// One route for each operation: path, query and body become one input, `invoke` does the rest.
//
// An ETag is the version and a digest of the answer: `"12.mZ3v…"`. A view holds more than its version
// counts (a lease renewed, the cost of a whole tree so far), so 304 goes by the digest: the same bytes
// or none. If-Match goes by the version alone, as a heartbeat must not refuse anyone's change.
import { createHash } from "node:crypto";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import {
  INPUT_BYTES_MAX,
  type Method,
  type Operation,
  type Permission,
} from "../../operations/index.ts";
import { CadreError } from "../../platform/index.ts";
import { credentialsOf } from "./credentials.ts";
import { API, type FaceParts } from "./parts.ts";
import { askedWaitMs, isFinal, waitForTask } from "./wait.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    /** What the caller must be permitted before a byte of the body is read; absent: anyone. */
    readonly permission?: Permission;
  }
}

type Fields = Record<string, unknown>;

export const methodOf = (op: Operation): Method => op.http.split(" ", 1)[0] as Method;
export const pathOf = (op: Operation): string => op.http.slice(op.http.indexOf(" ") + 1);
export const hasBody = (op: Operation): boolean => !["GET", "DELETE"].includes(methodOf(op));

export function registerOperations(app: FastifyInstance, parts: FaceParts): void {
  for (const op of parts.invoker.operations.values()) {
    app.route({
      method: methodOf(op),
      url: API + pathOf(op),
      bodyLimit: op.inputBytesMax ?? INPUT_BYTES_MAX,
      config: { permission: op.permission },
      handler: (request, reply) => answer(parts, op, request, reply),
    });
  }
}

async function answer(
  parts: FaceParts,
  op: Operation,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const credentials = credentialsOf(request.headers.authorization);
  const key = idempotencyKeyOf(request);
  const first = await parts.invoker.invoke({
    operation: op.name,
    input: inputOf(op, request),
    credentials,
    correlation: request.id,
    ...(key === undefined ? {} : { idempotencyKey: key }),
  });
  const waitMs = askedWaitMs(op, oneHeader(request.headers.prefer));
  if (waitMs === undefined) return send(op, first, request, reply);

  const gone = new AbortController();
  const onClose = () => gone.abort();
  reply.raw.once("close", onClose);
  try {
    const signal = AbortSignal.any([gone.signal, parts.closing]);
    const latest = await waitForTask(parts, first, { credentials }, { waitMs, signal });
    reply.header("preference-applied", `wait=${waitMs / 1_000}`);
    if (!isFinal(latest)) reply.code(202);
    if (parts.closing.aborted) reply.header("connection", "close");
    return send(op, latest, request, reply);
  } finally {
    reply.raw.off("close", onClose);
  }
}

/** Path, query and body as one input. What stands in the path stands nowhere else. */
function inputOf(op: Operation, request: FastifyRequest): unknown {
  const path = request.params as Fields;
  const query = request.query as Fields;
  const body = hasBody(op) ? bodyOf(op, request.body) : {};
  for (const name of Object.keys(path)) {
    const twice = Object.hasOwn(body, name) ? body[name] : query[name];
    if (twice === undefined || twice === path[name]) continue;
    throw new CadreError(
      "invalid_input",
      `${op.name}: "${name}" is given by the path; leave it out elsewhere.`,
      { details: { field: name } },
    );
  }
  const input = { ...query, ...body, ...path };
  const version = versionAsked(op, request);
  return version === undefined || input["version"] !== undefined ? input : { ...input, version };
}

function bodyOf(op: Operation, body: unknown): Fields {
  if (body === undefined || body === null) return {};
  if (typeof body === "object" && !Array.isArray(body)) return body as Fields;
  throw new CadreError("invalid_input", `${op.name}: the body must be a JSON object.`);
}

/** If-Match, for operations that take the version a change was made on. */
function versionAsked(op: Operation, request: FastifyRequest): number | undefined {
  const header = request.headers["if-match"];
  if (header === undefined || header === "*") return undefined;
  if (!(op.input instanceof z.ZodObject) || !("version" in op.input.shape)) return undefined;
  const version = /^(?:W\/)?"(\d{1,15})(?:\.[\w-]*)?"$/.exec(header)?.[1];
  if (version !== undefined) return Number(version);
  throw new CadreError("invalid_input", `If-Match: ${header} is no ETag of this hub.`);
}

function idempotencyKeyOf(request: FastifyRequest): string | undefined {
  const header = oneHeader(request.headers["idempotency-key"]);
  // The draft writes it as a quoted string; most clients send it bare.
  return header === undefined ? undefined : header.replace(/^"(.*)"$/, "$1");
}

const oneHeader = (value: string | string[] | undefined): string | undefined =>
  Array.isArray(value) ? value.join(",") : value;

function send(
  op: Operation,
  output: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const fields = (output ?? {}) as Fields;
  const text = JSON.stringify(output);
  // Things that are changed under a version, not those that merely have a field of the name.
  if (Number.isInteger(fields["version"])) {
    const digest = createHash("sha256").update(text).digest("base64url").slice(0, 22);
    const etag = `"${String(fields["version"])}.${digest}"`;
    reply.header("etag", etag).header("cache-control", "private, no-cache");
    if (op.effect === "read" && isKnown(etag, request.headers["if-none-match"])) {
      return reply.code(304).send();
    }
  } else {
    reply.header("cache-control", "no-store");
  }
  const next = nextPage(op, fields, request);
  if (next !== undefined) reply.header("link", `<${next}>; rel="next"`);
  return reply.type("application/json; charset=utf-8").send(text);
}

function isKnown(etag: string, header: string | undefined): boolean {
  if (header === undefined) return false;
  // If-None-Match compares weakly (RFC 9110, 13.1.2).
  return header.split(",").some((known) => known.trim().replace(/^W\//, "") === etag);
}

/** The address of the next page, when the answer is a list that goes on. */
function nextPage(op: Operation, output: Fields, request: FastifyRequest): string | undefined {
  const next = output["next"];
  if (op.effect !== "read" || !Array.isArray(output["items"])) return undefined;
  if (typeof next !== "string" && typeof next !== "number") return undefined;
  if (!(op.input instanceof z.ZodObject)) return undefined;
  const field = "cursor" in op.input.shape ? "cursor" : "after";
  const [path = "", query] = request.url.split("?", 2);
  const params = new URLSearchParams(query);
  params.set(field, String(next));
  return `${path}?${params.toString()}`;
}
