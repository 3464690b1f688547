// The one pipeline that runs an operation, whoever calls:
// bound the bytes → authenticate → may this caller call it at all → parse → authorise on the
// resource → transact → answer a known idempotency key → handle → journal → commit → wake.
import { createHash } from "node:crypto";
import canonicalize from "canonicalize";
import { z } from "zod";
import {
  appendEvents,
  type Bus,
  CadreError,
  type Migration,
  type NewEvent,
  type NewId,
  type Store,
  type Tx,
  type World,
} from "../platform/index.ts";
import { type Context, INPUT_BYTES_MAX, type Operation } from "./operation.ts";
import type { Authenticator, Authorizer, Credentials, Principal } from "./principal.ts";

export type Request = {
  readonly operation: string;
  readonly input: unknown;
  readonly credentials: Credentials;
  /** The caller's name for one intent: the same key returns the first answer. */
  readonly idempotencyKey?: string;
  readonly correlation?: string;
};

export interface Invoker {
  readonly operations: ReadonlyMap<string, Operation>;
  /** The operation's output, or a `CadreError`. */
  invoke(request: Request): Promise<unknown>;
  /** The caller behind credentials that may call operations of this permission. */
  admit(credentials: Credentials, permission: Operation["permission"]): Principal;
}

export type InvokerParts = {
  readonly store: Store;
  readonly bus: Bus;
  readonly world: Pick<World, "clock" | "random">;
  readonly newId: NewId;
  readonly authenticator: Authenticator;
  readonly authorizer: Authorizer;
  /**
   * Whether what a handler answers is held against its schema: for every caller (the default), or
   * only for callers from outside this process, which costs the loops in it nothing.
   */
  readonly outputs?: "checked" | "checked outside";
};

export const idempotencyMigration: Migration = {
  id: "0002-idempotency",
  up: {
    sqlite: [
      `CREATE TABLE idempotency (
        principal TEXT NOT NULL, operation TEXT NOT NULL, key TEXT NOT NULL,
        body TEXT NOT NULL, output TEXT NOT NULL, at INTEGER NOT NULL,
        PRIMARY KEY (principal, operation, key)
      ) WITHOUT ROWID`,
    ],
    postgres: [
      `CREATE TABLE idempotency (
        principal TEXT NOT NULL, operation TEXT NOT NULL, key TEXT NOT NULL,
        body TEXT NOT NULL, output TEXT NOT NULL, at BIGINT NOT NULL,
        PRIMARY KEY (principal, operation, key)
      )`,
    ],
  },
};

export const IDEMPOTENCY_KEY_LENGTH_MAX = 200;

export function createInvoker(parts: InvokerParts, list: readonly Operation[]): Invoker {
  const operations = new Map(list.map((op) => [op.name, op]));
  if (operations.size !== list.length) throw new Error("Two operations share a name.");

  const admit = (credentials: Credentials, permission: Operation["permission"]): Principal => {
    const principal = parts.authenticator.authenticate(credentials);
    if (parts.authorizer.mayCall(principal, permission)) return principal;
    throw forbidden(principal, permission);
  };

  const invoke = async (request: Request): Promise<unknown> => {
    const op = operations.get(request.operation);
    if (op === undefined) {
      throw new CadreError("not_found", `There is no operation "${request.operation}".`);
    }
    const bytes = boundBytes(op, request);
    const principal = admit(request.credentials, op.permission);
    const input = parse(op, request.input);
    const resource = op.resource?.(input) ?? { kind: op.name.split(".")[0] ?? op.name };
    if (!parts.authorizer.mayAct(principal, op.permission, resource)) {
      throw forbidden(principal, op.permission);
    }
    const call: Call = { op, request, input, principal, bytes };
    return op.effect === "read" ? await readOnly(parts, call) : await transact(parts, call);
  };

  return { operations, invoke, admit };
}

type Call = {
  readonly op: Operation;
  readonly request: Request;
  readonly input: unknown;
  readonly principal: Principal;
  /** Length of the input as JSON, when it had to be written out to be measured. */
  readonly bytes: number;
};

/** Inputs come from faces as parsed JSON; in process as values. Both are measured alike. */
function boundBytes(op: Operation, request: Request): number {
  const max = op.inputBytesMax ?? INPUT_BYTES_MAX;
  const bytes = sizeOf(request.input, max);
  if (bytes <= max) return bytes;
  throw new CadreError(
    "payload_too_large",
    `The input of ${op.name} is larger than ${max} bytes. Store large content as a file or an artifact and name it in the input.`,
    { details: { bytesMax: max } },
  );
}

/** A quick lower bound first, so that small inputs are never written out just to be measured. */
function sizeOf(input: unknown, max: number): number {
  const rough = roughSize(input, max);
  if (rough * 6 <= max) return rough;
  return Buffer.byteLength(JSON.stringify(input) ?? "");
}

/** Characters of all strings plus a constant for each value; bytes are at most six times it. */
function roughSize(value: unknown, max: number): number {
  if (typeof value === "string") return value.length + 2;
  if (typeof value !== "object" || value === null) return 24;
  let size = 2;
  for (const [key, inner] of Object.entries(value)) {
    size += key.length + 4 + roughSize(inner, max - size);
    if (size > max) return size;
  }
  return size;
}

function parse(op: Operation, input: unknown): unknown {
  const result = op.input.safeParse(input ?? {});
  if (result.success) return result.data;
  throw new CadreError("invalid_input", `${op.name}: ${z.prettifyError(result.error)}`, {
    details: {
      issues: result.error.issues.map((issue) => ({
        path: issue.path.map(String).join("."),
        message: issue.message,
      })),
    },
  });
}

function forbidden(principal: Principal, permission: Operation["permission"]): CadreError {
  return new CadreError(
    "forbidden",
    `${principal.id} may not do this: it needs the permission "${permission}", and its roles are ${principal.roles.join(", ") || "none"}.`,
  );
}

function contextOf(parts: InvokerParts, call: Call, tx: Tx, events: NewEvent[]): Context {
  return {
    tx,
    now: parts.world.clock.now(),
    principal: call.principal,
    newId: parts.newId,
    random: parts.world.random,
    emit: (event) => events.push(event),
  };
}

function answerOf(parts: InvokerParts, { op, request }: Call, output: unknown): unknown {
  const isOwn = request.credentials.kind === "internal";
  return parts.outputs === "checked outside" && isOwn ? output : op.output.parse(output);
}

async function readOnly(parts: InvokerParts, call: Call): Promise<unknown> {
  return await parts.store.read(async (tx) => {
    const events: NewEvent[] = [];
    const output = await call.op.handle(contextOf(parts, call, tx, events), call.input);
    if (events.length > 0) throw new Error(`${call.op.name} reads, yet it has news to tell.`);
    return answerOf(parts, call, output);
  });
}

async function transact(parts: InvokerParts, call: Call): Promise<unknown> {
  const key = keyOf(call);
  let events: NewEvent[] = [];
  const output = await parts.store.write(async (tx) => {
    // The engine may run a body again after a conflict: what the first try told is forgotten.
    events = [];
    const context = contextOf(parts, call, tx, events);
    if (key !== undefined) {
      const known = await knownAnswer(tx, call, key);
      if (known !== undefined) return known.output;
    }
    const fresh = answerOf(parts, call, await call.op.handle(context, call.input));
    if (key !== undefined) await rememberAnswer(context, call, key, fresh);
    if (events.length > 0) {
      await appendEvents(tx, events, {
        at: context.now,
        actor: call.principal.id,
        correlation: call.request.correlation ?? null,
      });
    }
    return fresh;
  });
  if (events.length > 0) parts.bus.wake(new Set(events.map((event) => event.type)));
  return output;
}

/** A key may come with the request or, as T1 has it, as a field of the input. */
function keyOf(call: Call): string | undefined {
  const field = (call.input as { idempotencyKey?: unknown } | null)?.idempotencyKey;
  const key = call.request.idempotencyKey ?? (typeof field === "string" ? field : undefined);
  if (key === undefined || (key.length > 0 && key.length <= IDEMPOTENCY_KEY_LENGTH_MAX)) return key;
  throw new CadreError(
    "invalid_input",
    `An idempotency key has 1 to ${IDEMPOTENCY_KEY_LENGTH_MAX} characters; this one has ${key.length}.`,
  );
}

/** Over the canonical form (RFC 8785), so that the order of fields does not matter. */
const bodyHash = (input: unknown): string =>
  createHash("sha256")
    .update(canonicalize(input) ?? "")
    .digest("hex");

async function knownAnswer(
  tx: Tx,
  call: Call,
  key: string,
): Promise<{ output: unknown } | undefined> {
  const row = await tx.get(
    "SELECT body, output FROM idempotency WHERE principal = ? AND operation = ? AND key = ?",
    call.principal.id,
    call.op.name,
    key,
  );
  if (row === undefined) return undefined;
  if (row["body"] === bodyHash(call.input)) return { output: JSON.parse(String(row["output"])) };
  throw new CadreError(
    "idempotency_conflict",
    `The idempotency key "${key}" was used before for another ${call.op.name}. Use a new key for a new intent.`,
    { details: { idempotencyKey: key } },
  );
}

async function rememberAnswer(
  context: Context,
  call: Call,
  key: string,
  output: unknown,
): Promise<void> {
  await context.tx.run(
    "INSERT INTO idempotency (principal, operation, key, body, output, at) VALUES (?, ?, ?, ?, ?, ?)",
    call.principal.id,
    call.op.name,
    key,
    bodyHash(call.input),
    JSON.stringify(output),
    context.now,
  );
}
