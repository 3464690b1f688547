// A small example of what a schema accepts: required fields only, the plainest value for each.
import type { Json } from "../../platform/index.ts";

type Schema = { readonly [keyword: string]: Json | undefined };

/** The plainest value; null where the schema does not say enough. */
export function exampleOf(schema: Schema): Json {
  if (Array.isArray(schema["examples"])) return (schema["examples"][0] as Json | undefined) ?? null;
  if (schema["const"] !== undefined) return schema["const"];
  if (Array.isArray(schema["enum"])) return (schema["enum"][0] as Json | undefined) ?? null;
  if (schema["default"] !== undefined) return schema["default"];
  const choice = schema["anyOf"] ?? schema["oneOf"] ?? schema["allOf"];
  if (Array.isArray(choice)) return exampleOf((choice[0] ?? {}) as Schema);
  switch (schema["type"]) {
    case "object":
      return exampleObject(schema);
    case "array":
      return numberOf(schema, "minItems", 0) > 0
        ? [exampleOf((schema["items"] ?? {}) as Schema)]
        : [];
    case "string":
      return exampleString(schema);
    case "integer":
    case "number":
      return exampleNumber(schema);
    case "boolean":
      return true;
    default:
      return null;
  }
}

function exampleObject(schema: Schema): Json {
  const properties = (schema["properties"] ?? {}) as { readonly [name: string]: Schema };
  const required = (schema["required"] ?? []) as readonly string[];
  return Object.fromEntries(required.map((name) => [name, exampleOf(properties[name] ?? {})]));
}

function exampleString(schema: Schema): Json {
  if (schema["format"] === "date-time") return "2026-11-20T14:00:00.000Z";
  // Ids are a kind, an underscore and letters of the alphabet that ids are written in.
  const kind = /^\^([a-z]+)_/.exec(String(schema["pattern"] ?? ""))?.[1];
  if (kind !== undefined) return `${kind}_01k9rzv3m4x7p2qa`;
  return "example";
}

function exampleNumber(schema: Schema): number {
  const least = numberOf(schema, "minimum", numberOf(schema, "exclusiveMinimum", 0) + 1);
  // The smallest integer is how an unbounded one is written: nobody's example.
  return least === Number.MIN_SAFE_INTEGER ? 1 : least;
}

const numberOf = (schema: Schema, keyword: string, otherwise: number): number =>
  typeof schema[keyword] === "number" ? schema[keyword] : otherwise;
