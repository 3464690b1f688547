// Every operation as a command, made from its declaration: nothing here knows a single one.
import type { Operation } from "../../operations/index.ts";
import type { Json } from "../../platform/index.ts";
import { badUsage, kebab, type OptionSpec, type Parsed } from "./command.ts";

/** The part of JSON Schema that inputs of operations use. */
export type FieldSchema = {
  readonly type?: string | readonly string[];
  readonly enum?: readonly Json[];
  readonly const?: Json;
  readonly default?: Json;
  readonly pattern?: string;
  readonly description?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly items?: FieldSchema;
  readonly properties?: { readonly [name: string]: FieldSchema };
  readonly additionalProperties?: FieldSchema | boolean;
  readonly required?: readonly string[];
  readonly anyOf?: readonly FieldSchema[];
  readonly oneOf?: readonly FieldSchema[];
};

/** `tasks.submitGraph` is `["tasks", "submit-graph"]`; a `get` shows one thing. */
export function commandPath(operation: Pick<Operation, "name">): readonly [string, string] {
  const [room = operation.name, verb = "do"] = operation.name.split(".");
  return [room, verb === "get" ? "show" : kebab(verb)];
}

/** The fields of an operation's input, as a caller writes them. */
export function fieldsOf(operation: Operation): Readonly<Record<string, FieldSchema>> {
  const schema: FieldSchema = operation.input.toJSONSchema({
    io: "input",
    unrepresentable: "any",
  }) as FieldSchema;
  return schema.properties ?? {};
}

export function isRequired(operation: Operation, field: string): boolean {
  const schema = operation.input.toJSONSchema({
    io: "input",
    unrepresentable: "any",
  }) as FieldSchema;
  return schema.required?.includes(field) === true;
}

type Shape = "text" | "number" | "switch" | "list" | "pairs" | "json";

/** How a field is written on a command line. */
function shapeOf(field: FieldSchema): Shape {
  const variants = field.anyOf ?? field.oneOf;
  if (variants !== undefined) {
    // A list that may also be one comma-separated text is easiest given one by one.
    if (variants.some((variant) => variant.type === "array")) return "list";
    const plain = variants.find((variant) => variant.type !== "null");
    return plain === undefined || variants.some((variant) => variant.type === "object")
      ? "json"
      : shapeOf(plain);
  }
  const types = typeof field.type === "string" ? [field.type] : (field.type ?? []);
  if (types.includes("boolean")) return "switch";
  if (types.includes("array")) return "list";
  if (types.includes("object")) return "pairs";
  if (types.includes("number") || types.includes("integer")) return "number";
  if (types.includes("string") || field.enum !== undefined) return "text";
  return "json";
}

const VALUE_NAMES: Readonly<Record<Exclude<Shape, "switch">, string>> = {
  text: "TEXT",
  number: "N",
  list: "VALUE",
  pairs: "KEY=VALUE",
  json: "JSON",
};

/** A longer name would only say the option again. */
const NAME_CHARACTERS_MAX = 8;

function valueName(name: string, field: FieldSchema, shape: Exclude<Shape, "switch">): string {
  if (field.pattern?.startsWith("^task_") === true) return "TASK";
  if (field.pattern?.startsWith("^run_") === true) return "RUN";
  const hasTime = [field, ...(field.anyOf ?? [])].some(
    (one) => one.pattern?.includes("T(?:") === true,
  );
  if (hasTime) return "TIME";
  if (shape === "text" && name.length <= NAME_CHARACTERS_MAX) return kebab(name).toUpperCase();
  return VALUE_NAMES[shape];
}

/** The option of a field. What can be said of it follows from its schema. */
export function optionOf(name: string, field: FieldSchema): OptionSpec {
  const shape = shapeOf(field);
  const choices = field.enum?.map(String);
  const parts = [
    phraseOf(field.description ?? ""),
    boundsOf(field),
    choices?.join(", ") ?? "",
    defaultOf(field),
  ];
  if (shape === "list" || shape === "pairs") parts.push("repeatable");
  const summary = parts.filter((part) => part !== "").join("; ");
  if (shape === "switch") return { name: kebab(name), summary };
  return {
    name: kebab(name),
    value: valueName(name, field, shape),
    summary,
    ...(choices === undefined ? {} : { choices }),
    ...(shape === "list" || shape === "pairs" ? { isRepeatable: true } : {}),
  };
}

/** A schema says it in a sentence, a line of help in a phrase. */
const phraseOf = (sentence: string): string =>
  sentence.charAt(0).toLowerCase() + sentence.slice(1).replace(/\.$/, "");

function boundsOf(field: FieldSchema): string {
  const { minimum, maximum } = field;
  if (minimum === undefined || maximum === undefined) return "";
  if (Math.abs(minimum) >= Number.MAX_SAFE_INTEGER) return "";
  return maximum >= Number.MAX_SAFE_INTEGER ? `${minimum} or more` : `${minimum} to ${maximum}`;
}

function defaultOf(field: FieldSchema): string {
  const value = field.default;
  if (value === undefined || value === "" || value === null) return "";
  if (typeof value === "object" && Object.keys(value).length === 0) return "";
  return `default ${typeof value === "object" ? JSON.stringify(value) : String(value)}`;
}

/** The operation's input from what was written. Throws `invalid_input` naming the option. */
export function inputOf(operation: Operation, parsed: Parsed): Record<string, unknown> {
  const input: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(fieldsOf(operation))) {
    const option = kebab(name);
    const arg = parsed.args[name];
    const values = arg === undefined ? parsed.values[option] : [arg];
    if (parsed.switches.has(option)) input[name] = true;
    else if (values !== undefined) input[name] = valueFor(option, field, values);
  }
  return input;
}

function valueFor(option: string, field: FieldSchema, values: readonly string[]): unknown {
  const text = values.at(-1) ?? "";
  const mayBeNull = (field.anyOf ?? []).some((variant) => variant.type === "null");
  if (mayBeNull && text === "none") return null;
  const shape = shapeOf(field);
  switch (shape) {
    case "text":
    case "switch":
      return text;
    case "number":
      return numberFrom(option, text);
    case "list":
      return listFrom(option, field, values);
    case "pairs":
      return Object.assign({}, ...values.map((value) => pairFrom(option, field, value)));
    case "json":
      return jsonFrom(option, text);
  }
}

function numberFrom(option: string, text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value)) return value;
  throw badUsage(`--${option} takes a number, not "${text}".`);
}

function jsonFrom(option: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw badUsage(
      `--${option} takes JSON, and this is none: ${error instanceof Error ? error.message : ""}`,
      [`cadre … --${option} '{"kind": "…"}'`],
    );
  }
}

function listFrom(option: string, field: FieldSchema, values: readonly string[]): unknown[] {
  const items = field.items ?? field.anyOf?.find((variant) => variant.type === "array")?.items;
  if (items?.type !== "object") return [...values];
  return values.flatMap((value) => {
    const one = jsonFrom(option, value);
    return Array.isArray(one) ? one : [one];
  });
}

/** `key=value`, or a whole JSON object. */
function pairFrom(option: string, field: FieldSchema, text: string): object {
  if (text.startsWith("{")) return jsonFrom(option, text) as object;
  const at = text.indexOf("=");
  if (at <= 0) throw badUsage(`--${option} takes KEY=VALUE or JSON, not "${text}".`);
  const key = text.slice(0, at);
  const value = text.slice(at + 1);
  return { [key]: pairValue(option, inner(field, key), value) };
}

function inner(field: FieldSchema, key: string): FieldSchema {
  const known = field.properties?.[key];
  if (known !== undefined) return known;
  return typeof field.additionalProperties === "object" ? field.additionalProperties : {};
}

function pairValue(option: string, field: FieldSchema, value: string): unknown {
  const shape = shapeOf(field);
  if (shape === "number") return numberFrom(option, value);
  if (shape === "text" && field.type === "string") return value;
  if (shape === "pairs") return jsonFrom(option, value);
  // Any JSON is welcome here: what does not read as JSON is meant as text.
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}
