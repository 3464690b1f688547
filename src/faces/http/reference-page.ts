// The browsable reference: one page of plain HTML, made from the OpenAPI document. No script.
import { ERROR_CODES, type Json } from "../../platform/index.ts";
import type { JsonSchema, OpenApiDocument } from "./openapi.ts";
import { type Answers, type Field, fieldsOf, fieldTable } from "./reference-fields.ts";
import { html, linkTo, prose } from "./reference-html.ts";
import { REFERENCE_STYLE } from "./reference-style.ts";

export { REFERENCE_STYLE } from "./reference-style.ts";

type Entry = {
  readonly method: string;
  readonly path: string;
  readonly id: string;
  readonly room: string;
  readonly spec: { readonly [key: string]: Json };
};
/** What the page is made of. */
type Sheet = { readonly document: OpenApiDocument; readonly answers: Answers };

/** An output of fewer fields is shown again rather than linked. */
const SHARED_FIELDS_MIN = 5;

/** The page, complete: styles inside, nothing loaded. */
export function referencePage(document: OpenApiDocument): string {
  const entries = entriesOf(document);
  const sheet = { document, answers: answersOf(entries, document) };
  const rooms = [...new Set(entries.map((entry) => entry.room))];
  const info = document["info"] as { version: string; description: string };
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Cadre API reference</title>
<style>${REFERENCE_STYLE}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the operations</a>
<header class="top">
<h1>Cadre API <span class="version">${html(info.version)}</span></h1>
<p>${prose(info.description)}</p>
<p>Send <code>Authorization: Bearer TOKEN</code>; the token stands in the file <code>token</code> of the hub's home folder. The input of <code>GET</code> and <code>DELETE</code> goes into the query, any other is the JSON body.</p>
<p><a href="openapi.json">OpenAPI document</a></p>
</header>
<nav aria-label="Operations">
${rooms.map((room) => navRoom(room, entries)).join("\n")}
<section><h2><a href="#errors">errors</a></h2></section>
</nav>
<main id="main">
${rooms.map((room) => roomSection(room, entries, sheet)).join("\n")}
${errorSection()}
</main>
</body>
</html>
`;
}

function entriesOf(document: OpenApiDocument): Entry[] {
  const entries: Entry[] = [];
  for (const [path, item] of Object.entries(document.paths)) {
    for (const [method, spec] of Object.entries(item)) {
      const tags = spec["tags"] as readonly string[];
      const room = tags[0] ?? "hub";
      entries.push({
        method: method.toUpperCase(),
        path,
        room,
        spec,
        id: String(spec["operationId"]),
      });
    }
  }
  return entries;
}

function navRoom(room: string, entries: readonly Entry[]): string {
  const links = entries
    .filter((entry) => entry.room === room)
    .map((entry) => `<li><a href="#${html(entry.id)}">${html(verbOf(entry))}</a></li>`);
  return `<section><h2><a href="#room-${html(room)}">${html(room)}</a></h2><ul>${links.join("")}</ul></section>`;
}

const verbOf = (entry: Entry): string => entry.id.split(".").slice(1).join(".") || entry.id;

function roomSection(room: string, entries: readonly Entry[], sheet: Sheet): string {
  const own = entries.filter((entry) => entry.room === room);
  return `<section class="room" aria-labelledby="room-${html(room)}">
<h2 id="room-${html(room)}">${html(room)}</h2>
${own.map((entry) => article(entry, sheet)).join("\n")}
</section>`;
}

function article(entry: Entry, sheet: Sheet): string {
  const { spec, method, path, id } = entry;
  const permission = spec["x-cadre-permission"];
  // Of an operation it only repeats the permission, which stands below.
  const about = id === "events.stream" ? spec["description"] : undefined;
  return `<article id="${html(id)}">
<h3><a href="#${html(id)}">${html(id)}</a></h3>
<p class="route"><span class="method ${method.toLowerCase()}">${method}</span> <code>${breakable(path)}</code></p>
<p>${prose(String(spec["summary"]))}</p>
${about === undefined ? "" : `<p>${prose(String(about))}</p>`}
<p class="meta">${permission === undefined ? "No token is asked." : `Permission <b>${html(String(permission))}</b> · ${spec["x-cadre-effect"] === "write" ? "writes" : "reads"}`}</p>
${fieldTable("Input", inputFields(spec, sheet.document), sheet.answers)}
${exampleBlock(spec)}
${outputBlock(entry, sheet)}
${errorList(spec)}
</article>`;
}

function inputFields(spec: Entry["spec"], document: OpenApiDocument): Field[] {
  const parameters = (spec["parameters"] ?? []) as readonly {
    name: string;
    in: string;
    required: boolean;
    description?: string;
    schema: JsonSchema;
  }[];
  const fields = parameters
    // Every write takes one: said once, at the top.
    .filter(({ name }) => name !== "Idempotency-Key")
    .map(({ name, in: place, required, description, schema }) => ({
      name,
      place,
      isRequired: required,
      schema: description === undefined ? schema : { ...schema, description },
    }));
  const body = resolve(bodySchema(spec["requestBody"]), document);
  return [...fields, ...fieldsOf(body)];
}

function outputBlock(entry: Entry, { document, answers }: Sheet): string {
  const responses = entry.spec["responses"] as { readonly [status: string]: Json };
  const schema = resolve(bodySchema(responses["200"]), document);
  const like = answers.get(JSON.stringify(schema));
  if (like !== undefined && like !== entry.id) {
    return `<h4>Output</h4><p class="same">What ${linkTo(like)} answers.</p>`;
  }
  return fieldTable("Output", fieldsOf(schema), answers);
}

/** Large outputs by their shape, each with the first operation that answers it. */
function answersOf(entries: readonly Entry[], document: OpenApiDocument): Answers {
  const answers = new Map<string, string>();
  for (const { spec, id } of entries) {
    const responses = spec["responses"] as { readonly [status: string]: Json };
    const schema = resolve(bodySchema(responses["200"]), document);
    const shape = JSON.stringify(schema);
    if (fieldsOf(schema).length >= SHARED_FIELDS_MIN && !answers.has(shape)) answers.set(shape, id);
  }
  return answers;
}

function bodySchema(holder: Json | undefined): JsonSchema | undefined {
  const content = (holder as { content?: { [type: string]: { schema: JsonSchema } } } | undefined)
    ?.content;
  return content?.["application/json"]?.schema;
}

function resolve(
  schema: JsonSchema | undefined,
  document: OpenApiDocument,
): JsonSchema | undefined {
  const name = /^#\/components\/schemas\/(.+)$/.exec(String(schema?.["$ref"] ?? ""))?.[1];
  if (name === undefined) return schema;
  const schemas = document.components["schemas"] as { readonly [name: string]: JsonSchema };
  return schemas[name] ?? schema;
}

function exampleBlock(spec: Entry["spec"]): string {
  const body = spec["requestBody"] as
    | { content: { "application/json": { example?: Json } } }
    | undefined;
  const example = body?.content["application/json"].example;
  if (example === undefined) return "";
  return `<h4>Example</h4><pre tabindex="0">${html(JSON.stringify(example, null, 2))}</pre>`;
}

function errorList(spec: Entry["spec"]): string {
  const responses = spec["responses"] as {
    readonly [status: string]: { readonly [key: string]: Json };
  };
  const links = Object.entries(responses).flatMap(([status, response]) =>
    ((response["x-cadre-codes"] ?? []) as readonly string[]).map(
      (code) => `<a href="#error-${html(code)}">${status} ${html(code)}</a>`,
    ),
  );
  return links.length === 0
    ? ""
    : `<details><summary>Errors</summary><p class="codes">${links.join(" ")}</p></details>`;
}

function errorSection(): string {
  const rows = Object.entries(ERROR_CODES).map(
    ([code, { status, title, retry, exit }]) =>
      `<tr id="error-${code}"><td><code>${code}</code></td><td>${status}</td><td>${html(title)}</td><td>${retry}</td><td>${exit}</td></tr>`,
  );
  return `<section class="room" aria-labelledby="errors">
<h2 id="errors">errors</h2>
<p>Every error is a problem document (RFC 9457): <code>code</code> says which, <code>detail</code> what to do, <code>next</code> how. <code>retry: later</code> means the same call may succeed another time.</p>
<div class="wide" tabindex="0" role="region" aria-label="Error codes"><table><thead><tr><th scope="col">Code</th><th scope="col">Status</th><th scope="col">Meaning</th><th scope="col">Retry</th><th scope="col">Exit</th></tr></thead><tbody>${rows.join("")}</tbody></table></div>
</section>`;
}

/** A path that may break at its slashes on a narrow screen. */
const breakable = (path: string): string => html(path).replaceAll("/", "<wbr>/");
