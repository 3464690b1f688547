// The fields of an input or output as a table; what is inside a field unfolds below it.
import type { Json } from "../../platform/index.ts";
import type { JsonSchema } from "./openapi.ts";
import { code, html, linkTo, prose } from "./reference-html.ts";

export type Field = {
  readonly name: string;
  /** `path`, `query`, `header`; absent: in a body. */
  readonly place?: string;
  readonly isRequired: boolean;
  readonly schema: JsonSchema;
};

/** Shapes that have a table of their own, by their JSON, each with the operation it stands at. */
export type Answers = ReadonlyMap<string, string>;

type Title = "Input" | "Output";

/** How far a shape unfolds; what lies deeper is named only. */
const DEPTH_MAX = 3;
/** Field names that tell a shape at a glance; the others are seen when it unfolds. */
const NAMES_MAX = 6;

export function fieldsOf(schema: JsonSchema | undefined): Field[] {
  const required = new Set((schema?.["required"] ?? []) as readonly string[]);
  const properties = (schema?.["properties"] ?? {}) as { readonly [name: string]: JsonSchema };
  return Object.entries(properties).map(([name, field]) => ({
    name,
    isRequired: required.has(name),
    schema: field,
  }));
}

export function fieldTable(title: Title, fields: readonly Field[], answers: Answers): string {
  return fields.length === 0 ? "" : `<h4>${title}</h4>${rowsOf(fields, title, answers, 0)}`;
}

function rowsOf(fields: readonly Field[], title: Title, answers: Answers, depth: number): string {
  const rows = fields.map((field) => {
    const { name, schema } = field;
    return `<div class="field"><dt>${code(name)}${markOf(field, title)}</dt><dd><span class="type">${typeHtml(schema, answers, depth)}</span>${noteOf(schema)}${insideOf(schema, title, answers, depth)}</dd></div>`;
  });
  return `<dl>${rows.join("")}</dl>`;
}

// Most input is optional and most output is there: only the other case is worth a word.
function markOf({ isRequired, place }: Field, title: Title): string {
  const where =
    place === "path" || place === "header" ? ` <span class="place">${html(place)}</span>` : "";
  if (title === "Input") return isRequired ? `${where} <span class="must">required</span>` : where;
  return isRequired ? where : `${where} <span class="place">optional</span>`;
}

/** A type in a few words: `string`, `list of object`, `"a" or "b"`. */
function typeHtml(schema: JsonSchema, answers: Answers, depth: number): string {
  const like = answers.get(JSON.stringify(schema));
  if (like !== undefined) return `what ${linkTo(like)} answers`;
  if (schema["$ref"] !== undefined) {
    const name = String(schema["$ref"]).split("/").at(-1) ?? "";
    return name === "Json" ? "any JSON" : html(name);
  }
  if (schema["const"] !== undefined) return literal(schema["const"]);
  if (Array.isArray(schema["enum"])) return schema["enum"].map(literal).join(" or ");
  const choices = choicesOf(schema);
  if (choices !== undefined) {
    return [...new Set(choices.map((one) => typeHtml(one, answers, depth)))].join(" or ");
  }
  if (Array.isArray(schema["type"])) return html(schema["type"].join(" or "));
  switch (schema["type"]) {
    case "array":
      return `list of ${typeHtml((schema["items"] ?? {}) as JsonSchema, answers, depth)}`;
    case "object":
      return objectHtml(schema, answers, depth);
    case undefined:
      return "any JSON";
    default:
      return schema["format"] === "date-time" ? "time (RFC 3339)" : html(String(schema["type"]));
  }
}

const literal = (value: Json): string => code(JSON.stringify(value));

const choicesOf = (schema: JsonSchema): readonly JsonSchema[] | undefined =>
  (schema["anyOf"] ?? schema["oneOf"]) as readonly JsonSchema[] | undefined;

function objectHtml(schema: JsonSchema, answers: Answers, depth: number): string {
  // What unfolds below need not be said twice.
  if (fieldsOf(schema).length > 0) return depth < DEPTH_MAX ? "object" : shapeHtml(schema);
  const values = schema["additionalProperties"];
  return typeof values === "object" && values !== null
    ? `object of ${typeHtml(values as JsonSchema, answers, depth)}`
    : "object";
}

/** The names of the first fields; the word that tells it from its siblings, where there is one. */
function shapeHtml(schema: JsonSchema): string {
  const fields = fieldsOf(schema);
  const names = fields
    .slice(0, NAMES_MAX)
    .map(({ name, schema: { const: word } }) =>
      word === undefined ? html(name) : `${html(name)}: ${literal(word)}`,
    );
  return `{ ${names.join(", ")}${fields.length > NAMES_MAX ? ", …" : ""} }`;
}

/** The objects a field holds, each to be unfolded. */
function insideOf(schema: JsonSchema, title: Title, answers: Answers, depth: number): string {
  if (depth >= DEPTH_MAX) return "";
  return shapesOf(schema)
    .filter((shape) => !answers.has(JSON.stringify(shape)))
    .map((shape) => {
      const names = shapeHtml(shape);
      const fields = fieldsOf(shape);
      // A shape of nothing but its own word says no more when it unfolds.
      if (fields.every((field) => field.schema["const"] !== undefined)) {
        return `<p class="shape">${names}</p>`;
      }
      const rows = rowsOf(fields, title, answers, depth + 1);
      return `<details><summary>${names}</summary>${rows}</details>`;
    })
    .join("");
}

function shapesOf(schema: JsonSchema): readonly JsonSchema[] {
  const choices = choicesOf(schema);
  if (choices !== undefined) return choices.flatMap(shapesOf);
  if (schema["type"] === "array") return shapesOf((schema["items"] ?? {}) as JsonSchema);
  if (fieldsOf(schema).length > 0) return [schema];
  const values = schema["additionalProperties"];
  return typeof values === "object" && values !== null ? shapesOf(values as JsonSchema) : [];
}

/** Range, default and description, in small print. */
function noteOf(schema: JsonSchema): string {
  const { maxLength, maxItems, description } = schema;
  const said = [
    ...rangeOf(schema),
    ...(maxLength === undefined ? [] : [`at most ${html(String(maxLength))} characters`]),
    ...(maxItems === undefined ? [] : [`at most ${html(String(maxItems))}`]),
    ...(schema["default"] === undefined ? [] : [`default ${literal(schema["default"])}`]),
    ...(description === undefined ? [] : [prose(String(description))]),
  ];
  return said.length === 0 ? "" : ` <span class="bounds">${said.join(", ")}</span>`;
}

function rangeOf({ minimum, maximum }: JsonSchema): readonly string[] {
  // The largest integers are how an unbounded one is written.
  const from = minimum === Number.MIN_SAFE_INTEGER ? undefined : minimum;
  const to = maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum;
  if (from !== undefined && to !== undefined) return [html(`${String(from)} to ${String(to)}`)];
  if (from !== undefined) return [html(`from ${String(from)}`)];
  return to === undefined ? [] : [html(`up to ${String(to)}`)];
}
