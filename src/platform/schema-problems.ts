// What a schema finds wrong, in sentences: with the field's path and the nearest valid name.
import type { z } from "zod";
import { nearest } from "./nearest.ts";

export type Path = readonly PropertyKey[];

export type SchemaProblem = {
  /** Where it is; of an unknown field, the field itself. */
  readonly path: Path;
  readonly message: string;
};

const NAMES_SHOWN_MAX = 16;

/** One sentence for each thing wrong; several unknown fields are several problems. */
export function schemaProblems(
  schema: z.ZodType,
  value: unknown,
  issues: readonly z.core.$ZodIssue[],
): SchemaProblem[] {
  return issues.flatMap((issue) => problemsOf(schema, value, issue, []));
}

function problemsOf(
  schema: z.ZodType,
  value: unknown,
  issue: z.core.$ZodIssue,
  prefix: Path,
): SchemaProblem[] {
  const path = [...prefix, ...issue.path];
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((key) => ({
        path: [...path, key],
        message: unknownField(key, path, fieldsAt(schema, path)),
      }));
    case "invalid_type":
      return [{ path, message: wrongType(issue.expected, path, valueAt(value, path)) }];
    case "invalid_value":
      return [{ path, message: notOneOf(issue.values.map(String), path, valueAt(value, path)) }];
    case "invalid_union": {
      if (issue.discriminator !== undefined && issue.errors.length === 0) {
        const options = "options" in issue && Array.isArray(issue.options) ? issue.options : [];
        return [{ path, message: notOneOf(options.map(String), path, valueAt(value, path)) }];
      }
      const branch = mostLikelyBranch(issue.errors);
      if (branch === undefined) break;
      return branch.flatMap((inner) => problemsOf(schema, value, inner, path));
    }
    case "invalid_key": {
      const reason = issue.issues[0]?.message ?? issue.message;
      return [{ path, message: `${quoted(path)} is not a valid name: ${reason}.` }];
    }
  }
  return [
    { path, message: path.length === 0 ? issue.message : `${quoted(path)}: ${issue.message}` },
  ];
}

function unknownField(key: string, path: Path, fields: readonly string[]): string {
  const where = path.length === 0 ? "" : ` in ${quoted(path)}`;
  const meant = nearest(key, fields);
  if (meant !== undefined) return `There is no field "${key}"${where}. Did you mean "${meant}"?`;
  if (fields.length === 0) return `There is no field "${key}"${where}.`;
  const shown = fields.slice(0, NAMES_SHOWN_MAX).join(", ");
  const rest = fields.length > NAMES_SHOWN_MAX ? ", …" : "";
  return `There is no field "${key}"${where}. The fields here are ${shown}${rest}.`;
}

function wrongType(expected: string, path: Path, found: unknown): string {
  const wanted = typeWords[expected] ?? expected;
  if (path.length === 0) return `Expected ${wanted}, found ${typeOf(found)}.`;
  if (found === undefined) return `${quoted(path)} is missing; it must be ${wanted}.`;
  return `${quoted(path)} must be ${wanted}, not ${typeOf(found)}.`;
}

function notOneOf(options: readonly string[], path: Path, found: unknown): string {
  const listed = options.slice(0, NAMES_SHOWN_MAX).join(", ");
  if (found === undefined) return `${quoted(path)} is missing; it must be one of: ${listed}.`;
  const said = typeof found === "string" ? `"${found.slice(0, 80)}"` : typeOf(found);
  const meant = typeof found === "string" ? nearest(found, options) : undefined;
  const hint = meant === undefined ? "" : ` Did you mean "${meant}"?`;
  return `${quoted(path)} must be one of: ${listed}; not ${said}.${hint}`;
}

const typeWords: { readonly [expected: string]: string } = {
  object: "a map of fields",
  record: "a map",
  array: "a list",
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
};

function typeOf(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "string") return "text";
  if (typeof value === "number") return Number.isInteger(value) ? "a whole number" : "a number";
  return typeof value === "object" ? "a map" : `the ${typeof value} ${String(value)}`;
}

// A union says what is wrong with each of its members. The one meant is the one whose outer shape
// fits: its issues lie deeper, or are about fields, where the others reject the value as a whole.
function mostLikelyBranch(
  branches: readonly (readonly z.core.$ZodIssue[])[],
): readonly z.core.$ZodIssue[] | undefined {
  const fitting = branches.filter((branch) =>
    branch.every((issue) => issue.path.length > 0 || issue.code !== "invalid_type"),
  );
  return fitting.sort((a, b) => a.length - b.length)[0];
}

/** `agents.list[0].name`. */
export function pathText(path: Path): string {
  return path
    .map((part, index) => {
      if (typeof part === "number") return `[${part}]`;
      return index === 0 ? String(part) : `.${String(part)}`;
    })
    .join("");
}

const quoted = (path: Path): string => (path.length === 0 ? "It" : `"${pathText(path)}"`);

function valueAt(value: unknown, path: Path): unknown {
  let at = value;
  for (const part of path) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, part)) return undefined;
    at = (at as { [key: PropertyKey]: unknown })[part];
  }
  return at;
}

type JsonSchema = { readonly [key: string]: unknown };

/** The names of the fields a schema knows at a path, through unions, lists and records. */
export function fieldsAt(schema: z.ZodType, path: Path): string[] {
  const root = schema.toJSONSchema({ io: "input", unrepresentable: "any" }) as JsonSchema;
  let at = members(root, root);
  for (const part of path) {
    at = at.flatMap((place) => childOf(place, part)).flatMap((place) => members(root, place));
  }
  return [...new Set(at.flatMap((place) => Object.keys(objectOf(place["properties"]))))];
}

function members(root: JsonSchema, place: JsonSchema): JsonSchema[] {
  const ref = place["$ref"];
  if (typeof ref === "string") {
    const target =
      ref === "#" ? root : objectOf(objectOf(root["$defs"])[ref.slice("#/$defs/".length)]);
    return ref === "#" && place === root ? [] : members(root, target as JsonSchema);
  }
  const options = [place["anyOf"], place["oneOf"], place["allOf"]].flatMap((list) =>
    Array.isArray(list) ? (list as JsonSchema[]) : [],
  );
  return [place, ...options.flatMap((option) => members(root, option))];
}

function childOf(place: JsonSchema, part: PropertyKey): JsonSchema[] {
  const properties = objectOf(place["properties"]);
  const inner =
    typeof part === "number"
      ? place["items"]
      : (properties[String(part)] ?? place["additionalProperties"]);
  return typeof inner === "object" && inner !== null ? [inner as JsonSchema] : [];
}

const objectOf = (value: unknown): { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null ? (value as { [key: string]: unknown }) : {};
