// The OpenAPI 3.1 document, projected from the operations and nothing else.
import { z } from "zod";
import { IDEMPOTENCY_KEPT_MS, type Operation } from "../../operations/index.ts";
import { ERROR_CODES, type ErrorCode, type Json } from "../../platform/index.ts";
import { exampleOf } from "./example.ts";
import { API, type Facts } from "./parts.ts";
import { hasBody, methodOf, pathOf } from "./routes.ts";
import { streamQuery } from "./sse.ts";
import { WAIT_MS_MAX } from "./wait.ts";

export type JsonSchema = { readonly [keyword: string]: Json | undefined };
type Part = { readonly [key: string]: Json };
type Schemas = Map<string, JsonSchema>;

export type OpenApiDocument = Part & {
  readonly paths: { readonly [path: string]: { readonly [method: string]: Part } };
  readonly components: Part;
};

/** What any operation may answer besides its own refusals. */
const ALWAYS: readonly ErrorCode[] = [
  "invalid_input",
  "unauthenticated",
  "forbidden",
  "rate_limited",
  "internal",
  "store_unavailable",
];

/** The document of these operations. The same list gives the same document. */
export function openApiDocument(operations: Iterable<Operation>, facts: Facts): OpenApiDocument {
  const schemas: Schemas = new Map([["Problem", problemSchema()]]);
  const known = new Map<z.ZodType, string>();
  const paths: Record<string, Record<string, Part>> = {};
  const rooms = new Set<string>();
  for (const op of operations) {
    rooms.add(roomOf(op));
    const path = API + openPath(pathOf(op));
    paths[path] = { ...paths[path], [methodOf(op).toLowerCase()]: describe(op, schemas, known) };
  }
  for (const [path, item] of Object.entries(ownPaths(schemas)))
    paths[path] = { ...paths[path], ...item };
  return {
    openapi: "3.1.1",
    info: {
      title: "Cadre",
      version: facts.version,
      summary: "Runs a team of AI agents: durable, supervised, under your policy.",
      description:
        "Every operation of a hub. Errors are problem documents (RFC 9457). Every write takes an `Idempotency-Key`; lists are read page by page; `Prefer: wait=N` waits for a task.",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/" }],
    security: [{ bearer: [] }],
    tags: [...rooms, "hub"].map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer", description: "The token of this hub." },
      },
      schemas: Object.fromEntries([...schemas].sort(([a], [b]) => (a < b ? -1 : 1))) as Part,
    },
  };
}

const roomOf = (op: Operation): string => op.name.split(".")[0] ?? op.name;
const openPath = (path: string): string => path.replace(/:(\w+)/g, "{$1}");
const pathFields = (op: Operation): string[] =>
  [...pathOf(op).matchAll(/:(\w+)/g)].map((match) => match[1] ?? "");

function describe(op: Operation, schemas: Schemas, known: Map<z.ZodType, string>): Part {
  const prefix = pascal(op.name);
  const input = schemaOf(op.input, "input", `${prefix}Input`, schemas);
  const body = hasBody(op) ? requestBody(op, input, `${prefix}Input`, schemas) : undefined;
  return {
    operationId: op.name,
    tags: [roomOf(op)],
    summary: op.summary,
    description: `Needs the permission \`${op.permission}\`.`,
    "x-cadre-permission": op.permission,
    "x-cadre-effect": op.effect,
    parameters: [...inputParameters(op, input), ...headerParameters(op)],
    ...(body === undefined ? {} : { requestBody: body }),
    responses: {
      ...success(op, prefix, schemas, known),
      ...problems([...ALWAYS, ...op.refusals, ...(hasBody(op) ? BODY_CODES : [])]),
    },
  };
}

const BODY_CODES: readonly ErrorCode[] = ["payload_too_large", "unsupported_media_type"];

function inputParameters(op: Operation, input: JsonSchema): Part[] {
  const inPath = new Set(pathFields(op));
  const required = new Set((input["required"] as readonly string[] | undefined) ?? []);
  const fields = Object.entries((input["properties"] ?? {}) as { [name: string]: JsonSchema });
  return fields
    .filter(([name]) => inPath.has(name) || !hasBody(op))
    .map(([name, schema]) => ({
      name,
      in: inPath.has(name) ? "path" : "query",
      required: inPath.has(name) || required.has(name),
      schema: schema as Part,
      ...(inPath.has(name) ? { example: exampleOf(schema) } : {}),
    }));
}

function headerParameters(op: Operation): Part[] {
  const header = (name: string, description: string, schema: Part): Part => ({
    name,
    in: "header",
    required: false,
    description,
    schema,
  });
  const parameters: Part[] = [];
  if (op.effect === "write") {
    parameters.push(
      header(
        "Idempotency-Key",
        `Your name for this intent: for ${IDEMPOTENCY_KEPT_MS / 86_400_000} days the same key returns the first answer.`,
        {
          type: "string",
          minLength: 1,
          maxLength: 200,
        },
      ),
    );
  }
  if (op.name === "tasks.submit" || op.name === "tasks.get") {
    parameters.push(
      header(
        "Prefer",
        `\`wait=N\` waits up to N seconds (at most ${WAIT_MS_MAX / 1_000}) for the task to end, else answers 202.`,
        { type: "string", examples: ["wait=30"] },
      ),
    );
  }
  return parameters;
}

function requestBody(
  op: Operation,
  input: JsonSchema,
  name: string,
  schemas: Schemas,
): Part | undefined {
  const inPath = new Set(pathFields(op));
  const properties = Object.fromEntries(
    Object.entries((input["properties"] ?? {}) as Part).filter(([field]) => !inPath.has(field)),
  );
  const required = ((input["required"] ?? []) as readonly string[]).filter(
    (field) => !inPath.has(field),
  );
  const isEmpty = Object.keys(properties).length === 0 && input["properties"] !== undefined;
  if (isEmpty) return undefined;
  const { required: _, ...rest } = input;
  const schema =
    input["properties"] === undefined
      ? input
      : { ...rest, properties, ...(required.length > 0 ? { required } : {}) };
  schemas.set(name, schema);
  const example = exampleOf(schema);
  const path = Object.fromEntries(
    Object.entries((input["properties"] ?? {}) as { [field: string]: JsonSchema })
      .filter(([field]) => inPath.has(field))
      .map(([field, shape]) => [field, exampleOf(shape)]),
  );
  // An example that its own operation would refuse is worse than none.
  const isAccepted = op.input.safeParse({ ...(example as object), ...path }).success;
  return {
    required: required.length > 0,
    content: {
      "application/json": { schema: refTo(name), ...(isAccepted ? { example } : {}) },
    },
  };
}

function success(
  op: Operation,
  prefix: string,
  schemas: Schemas,
  known: Map<z.ZodType, string>,
): Part {
  const existing = known.get(op.output);
  const name = existing ?? `${prefix}Output`;
  if (existing === undefined) {
    known.set(op.output, name);
    schemas.set(name, schemaOf(op.output, "output", name, schemas));
  }
  const answer = (description: string): Part => ({
    description,
    content: { "application/json": { schema: refTo(name) } },
  });
  const canWait = op.name === "tasks.submit" || op.name === "tasks.get";
  return {
    "200": answer("Done."),
    ...(canWait ? { "202": answer("The wait is over; the task is not.") } : {}),
    ...(canWait && op.effect === "read"
      ? { "304": { description: "Unchanged (If-None-Match)." } }
      : {}),
  };
}

function problems(codes: readonly ErrorCode[]): Part {
  const byStatus = new Map<number, Set<ErrorCode>>();
  for (const code of codes) {
    const { status } = ERROR_CODES[code];
    byStatus.set(status, (byStatus.get(status) ?? new Set()).add(code));
  }
  return Object.fromEntries(
    [...byStatus]
      .sort(([a], [b]) => a - b)
      .map(([status, members]) => [
        String(status),
        {
          description: [...members]
            .map((code) => `\`${code}\`: ${ERROR_CODES[code].title}.`)
            .join(" "),
          content: { "application/problem+json": { schema: refTo("Problem") } },
          "x-cadre-codes": [...members],
        },
      ]),
  );
}

/** What the face itself serves: streams and the questions of a supervisor. */
function ownPaths(schemas: Schemas): Record<string, Record<string, Part>> {
  const query = schemaOf(streamQuery, "input", "EventsStreamInput", schemas);
  const parameters = Object.entries(
    (query["properties"] ?? {}) as { [name: string]: JsonSchema },
  ).map(([name, schema]) => ({ name, in: "query", required: false, schema: schema as Part }));
  const open = (operationId: string, summary: string, codes: readonly ErrorCode[]): Part => ({
    operationId,
    summary,
    tags: ["hub"],
    security: [],
    responses: {
      "200": {
        description: "Yes.",
        content: { "application/json": { schema: { type: "object" } } },
      },
      ...problems(codes),
    },
  });
  return {
    [`${API}/events/stream`]: {
      get: {
        operationId: "events.stream",
        tags: ["events"],
        summary: "Follow the journal as server-sent events, from a cursor on.",
        description:
          "Each event's id is its position: send it back as Last-Event-ID to resume. The same over WebSocket, as JSON-RPC 2.0 (`events.subscribe`, and every operation as a method), at `/api/v2/ws`.",
        "x-cadre-permission": "read",
        "x-cadre-effect": "read",
        parameters: [
          ...parameters,
          {
            name: "Last-Event-ID",
            in: "header",
            required: false,
            description: "The last position you have; wins over `after`.",
            schema: { type: "string", pattern: "^[0-9]+$" },
          },
        ],
        responses: {
          "200": {
            description: "Events, until you leave.",
            content: { "text/event-stream": { schema: { type: "string" } } },
          },
          ...problems(ALWAYS),
        },
      },
    },
    "/health": { get: open("hub.health", "Is the process alive?", ["rate_limited"]) },
    "/ready": { get: open("hub.ready", "Does the store answer?", ["not_ready", "rate_limited"]) },
  };
}

function problemSchema(): JsonSchema {
  return {
    type: "object",
    description: "An error, as RFC 9457 has it.",
    required: ["type", "title", "status", "detail", "instance", "code", "retry", "next", "details"],
    properties: {
      type: { type: "string", format: "uri-reference" },
      title: { type: "string" },
      status: { type: "integer" },
      detail: { type: "string", description: "What is wrong and what to do, as a sentence." },
      instance: { type: "string", format: "uri-reference" },
      code: { type: "string", enum: Object.keys(ERROR_CODES) },
      retry: { type: "string", enum: ["never", "later"] },
      next: { type: "array", items: { type: "string" } },
      details: { type: "object", additionalProperties: true },
    },
  };
}

const refTo = (name: string): Part => ({ $ref: `#/components/schemas/${name}` });
const pascal = (name: string): string =>
  name.replace(/(?:^|\.)(\w)/g, (_, letter: string) => letter.toUpperCase());

/** A schema whose inner definitions stand among the document's, where its references point. */
function schemaOf(
  type: z.ZodType,
  io: "input" | "output",
  name: string,
  schemas: Schemas,
): JsonSchema {
  const {
    $schema: _,
    $defs,
    ...root
  } = z.toJSONSchema(type, {
    io,
    unrepresentable: "any",
    target: "draft-2020-12",
  }) as JsonSchema & { $defs?: { [name: string]: JsonSchema } };
  const places = new Map<string, string>();
  for (const [inner, definition] of Object.entries($defs ?? {})) {
    places.set(inner, placeOf(inner, definition, name, schemas));
  }
  for (const [inner, definition] of Object.entries($defs ?? {})) {
    schemas.set(places.get(inner) ?? inner, rewrite(definition, places));
  }
  return rewrite(root as JsonSchema, places);
}

/** Any JSON value is one definition however many operations take one. */
function placeOf(inner: string, definition: JsonSchema, name: string, schemas: Schemas): string {
  const shape = JSON.stringify(definition).replaceAll(`#/$defs/${inner}`, "#");
  if (shape === anyJsonShape()) return "Json";
  const place = `${name}${inner.replace(/^_+/, "_")}`;
  return schemas.has(place) ? `${place}_` : place;
}

let anyJson: string | undefined;
function anyJsonShape(): string {
  if (anyJson === undefined) {
    const { $defs } = z.toJSONSchema(z.object({ value: z.json() })) as {
      $defs?: { [name: string]: JsonSchema };
    };
    const [inner, definition] = Object.entries($defs ?? {})[0] ?? ["", {}];
    anyJson = JSON.stringify(definition).replaceAll(`#/$defs/${inner}`, "#");
  }
  return anyJson;
}

function rewrite(schema: JsonSchema, places: ReadonlyMap<string, string>): JsonSchema {
  const text = JSON.stringify(schema).replace(
    /"#\/\$defs\/([^"]+)"/g,
    (_, inner: string) => `"#/components/schemas/${places.get(inner) ?? inner}"`,
  );
  return JSON.parse(text) as JsonSchema;
}
