// The browsable reference: one page of plain HTML, made from the OpenAPI document. No script.
import { ERROR_CODES, type Json } from "../../platform/index.ts";
import type { JsonSchema, OpenApiDocument } from "./openapi.ts";
import { REFERENCE_STYLE } from "./reference-style.ts";

export { REFERENCE_STYLE } from "./reference-style.ts";

type Entry = {
  readonly method: string;
  readonly path: string;
  readonly id: string;
  readonly room: string;
  readonly spec: { readonly [key: string]: Json };
};
type Field = {
  readonly name: string;
  readonly place: string;
  readonly isRequired: boolean;
  readonly schema: JsonSchema;
};

/** The page, complete: styles inside, nothing loaded. */
export function referencePage(document: OpenApiDocument): string {
  const entries = entriesOf(document);
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
<p><a href="openapi.json">OpenAPI document</a> · Send <code>Authorization: Bearer TOKEN</code>; the token stands in the file <code>token</code> of the hub's home folder.</p>
</header>
<nav aria-label="Operations">
${rooms.map((room) => navRoom(room, entries)).join("\n")}
<section><h2><a href="#errors">errors</a></h2></section>
</nav>
<main id="main">
${rooms.map((room) => roomSection(room, entries, document)).join("\n")}
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

function roomSection(room: string, entries: readonly Entry[], document: OpenApiDocument): string {
  const own = entries.filter((entry) => entry.room === room);
  return `<section class="room" aria-labelledby="room-${html(room)}">
<h2 id="room-${html(room)}">${html(room)}</h2>
${own.map((entry) => article(entry, document)).join("\n")}
</section>`;
}

function article(entry: Entry, document: OpenApiDocument): string {
  const { spec, method, path, id } = entry;
  const permission = spec["x-cadre-permission"];
  const details = spec["x-cadre-permission"] === undefined ? spec["description"] : undefined;
  const about = details ?? (entry.id === "events.stream" ? spec["description"] : undefined);
  return `<article id="${html(id)}">
<h3><a href="#${html(id)}">${html(id)}</a></h3>
<p class="route"><span class="method ${method.toLowerCase()}">${method}</span> <code>${breakable(path)}</code></p>
<p>${prose(String(spec["summary"]))}</p>
${about === undefined ? "" : `<p>${prose(String(about))}</p>`}
<p class="meta">${permission === undefined ? "No token is asked." : `Permission <b>${html(String(permission))}</b> · ${spec["x-cadre-effect"] === "write" ? "writes" : "reads"}`}</p>
${fieldTable("Input", inputFields(spec, document))}
${exampleBlock(spec)}
${fieldTable("Output", outputFields(spec, document))}
${errorList(spec)}
</article>`;
}

function inputFields(spec: Entry["spec"], document: OpenApiDocument): Field[] {
  const parameters = (spec["parameters"] ?? []) as readonly {
    name: string;
    in: string;
    required: boolean;
    schema: JsonSchema;
  }[];
  const fields = parameters.map(({ name, in: place, required, schema }) => ({
    name,
    place,
    isRequired: required,
    schema,
  }));
  const body = bodySchema(spec["requestBody"], document);
  return [...fields, ...fieldsOf(body, "body")];
}

function outputFields(spec: Entry["spec"], document: OpenApiDocument): Field[] {
  const responses = spec["responses"] as { readonly [status: string]: Json };
  return fieldsOf(bodySchema(responses["200"], document), "");
}

function bodySchema(holder: Json | undefined, document: OpenApiDocument): JsonSchema | undefined {
  const content = (holder as { content?: { [type: string]: { schema: JsonSchema } } } | undefined)
    ?.content;
  const schema = content?.["application/json"]?.schema;
  return schema === undefined ? undefined : resolve(schema, document);
}

function resolve(schema: JsonSchema, document: OpenApiDocument): JsonSchema {
  const name = /^#\/components\/schemas\/(.+)$/.exec(String(schema["$ref"] ?? ""))?.[1];
  if (name === undefined) return schema;
  const schemas = document.components["schemas"] as { readonly [name: string]: JsonSchema };
  return schemas[name] ?? schema;
}

function fieldsOf(schema: JsonSchema | undefined, place: string): Field[] {
  const required = new Set((schema?.["required"] ?? []) as readonly string[]);
  const properties = (schema?.["properties"] ?? {}) as { readonly [name: string]: JsonSchema };
  return Object.entries(properties).map(([name, field]) => ({
    name,
    place,
    isRequired: required.has(name),
    schema: field,
  }));
}

function fieldTable(title: "Input" | "Output", fields: readonly Field[]): string {
  if (fields.length === 0) return "";
  const rows = fields.map((field) => fieldRow(field, title === "Input" ? inputMark : outputMark));
  return `<h4>${title}</h4><dl>${rows.join("")}</dl>`;
}

// Most input is optional and most output is there: only the other case is worth a word.
const inputMark = (field: Field): string =>
  field.isRequired ? ' <span class="must">required</span>' : "";
const outputMark = (field: Field): string =>
  field.isRequired ? "" : ' <span class="place">may be absent</span>';

function fieldRow(field: Field, markOf: (field: Field) => string): string {
  const { name, place, schema } = field;
  const where =
    place === "" || place === "body" ? "" : ` <span class="place">${html(place)}</span>`;
  return `<div class="field"><dt><code>${html(name)}</code>${markOf(field)}</dt><dd><span class="type">${html(typeText(schema))}</span>${where}${bounds(schema)}</dd></div>`;
}

/** A type in a few words: `string`, `list of object`, `"a" or "b"`. */
function typeText(schema: JsonSchema): string {
  if (schema["$ref"] !== undefined) {
    const name = String(schema["$ref"]).split("/").at(-1) ?? "";
    return name === "Json" ? "any JSON" : name;
  }
  if (schema["const"] !== undefined) return JSON.stringify(schema["const"]);
  if (Array.isArray(schema["enum"]))
    return schema["enum"].map((one) => JSON.stringify(one)).join(" or ");
  const choice = (schema["anyOf"] ?? schema["oneOf"]) as readonly JsonSchema[] | undefined;
  if (choice !== undefined) return [...new Set(choice.map(typeText))].join(" or ");
  if (Array.isArray(schema["type"])) return schema["type"].join(" or ");
  switch (schema["type"]) {
    case "array":
      return `list of ${typeText((schema["items"] ?? {}) as JsonSchema)}`;
    case "object":
      return objectText(schema);
    case undefined:
      return "any JSON";
    default:
      return schema["format"] === "date-time" ? "time (RFC 3339)" : String(schema["type"]);
  }
}

function objectText(schema: JsonSchema): string {
  const properties = Object.keys((schema["properties"] ?? {}) as object);
  if (properties.length === 0) return "object";
  return `{ ${properties.join(", ")} }`;
}

function bounds(schema: JsonSchema): string {
  const said: string[] = [];
  if (schema["default"] !== undefined)
    said.push(`default <code>${html(JSON.stringify(schema["default"]))}</code>`);
  const { minimum, maximum, maxLength, maxItems, description } = schema;
  // The largest integer is how an unbounded one is written.
  if (minimum !== undefined && minimum !== Number.MIN_SAFE_INTEGER)
    said.push(`from ${html(String(minimum))}`);
  if (maximum !== undefined && maximum !== Number.MAX_SAFE_INTEGER)
    said.push(`to ${html(String(maximum))}`);
  if (maxLength !== undefined) said.push(`at most ${html(String(maxLength))} characters`);
  if (maxItems !== undefined) said.push(`at most ${html(String(maxItems))}`);
  if (description !== undefined) said.push(prose(String(description)));
  return said.length === 0 ? "" : ` <span class="bounds">${said.join(", ")}</span>`;
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

const ESCAPES: { readonly [character: string]: string } = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};
const html = (text: string): string => text.replace(/[&<>"']/g, (c) => ESCAPES[c] ?? c);
/** Text with `code` in it. */
const prose = (text: string): string => html(text).replace(/`([^`]+)`/g, "<code>$1</code>");
/** A path that may break at its slashes on a narrow screen. */
const breakable = (path: string): string => html(path).replaceAll("/", "<wbr>/");
