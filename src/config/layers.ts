// O1. The layers a configuration is made of, and how they are laid over each other.
import { isAbsolute, resolve } from "node:path";
import { CadreError, type Path, type World } from "../platform/index.ts";

export type Layer = {
  readonly kind: "project" | "user" | "environment" | "flags";
  /** What errors call it: the file's path, or "the environment", or "the command line". */
  readonly source: string;
  /** Of a file: its absolute path. */
  readonly file?: string;
  /** The folder its relative paths start from. */
  readonly folder: string;
  readonly value: Fields;
  /** Of a file: the line of a field. */
  readonly lineOf?: (path: Path) => number;
};

export type Fields = { readonly [field: string]: unknown };

/** Environment variables and the field each one sets. CADRE_STORE is read by `storeFrom`. */
export const VARIABLES: readonly (readonly [
  variable: string,
  path: readonly [string, ...string[]],
])[] = [
  ["CADRE_HOME", ["home"]],
  ["CADRE_STORE", ["store"]],
  ["CADRE_HOST", ["listen", "host"]],
  ["CADRE_PORT", ["listen", "port"]],
  ["CADRE_MODEL", ["models", "default"]],
  ["CADRE_SANDBOX", ["tools", "sandbox"]],
];

/** Fields that are paths: made absolute from the folder of the layer that sets them. */
const PATHS: readonly (readonly [string, ...string[]])[] = [
  ["home"],
  ["agents", "folder"],
  ["models", "rehearsal"],
  ["listen", "tls", "cert"],
  ["listen", "tls", "key"],
];

/** What the environment sets. Throws `invalid_config` for a store it can't name. */
export function environmentLayer(env: World["env"], folder: string): Layer {
  let value: Fields = {};
  for (const [variable, path] of VARIABLES) {
    const text = env(variable);
    if (text !== undefined) value = withField(value, path, fieldFrom(variable, text));
  }
  return { kind: "environment", source: "the environment", folder, value };
}

function fieldFrom(variable: string, text: string): unknown {
  if (variable === "CADRE_STORE") return storeFrom(text);
  // What is no number stays text, which the schema then refuses in its own words.
  if (variable === "CADRE_PORT" && /^\d{1,9}$/.test(text)) return Number(text);
  return text;
}

/** `sqlite`, or a Postgres URL: as CADRE_STORE and `--store` say it. */
export function storeFrom(text: string): Fields {
  if (text === "sqlite") return { engine: "sqlite" };
  if (/^postgres(ql)?:\/\//.test(text)) return { engine: "postgres", url: text };
  throw new CadreError(
    "invalid_config",
    "The store must be sqlite or a postgres:// URL (CADRE_STORE or --store).",
    {
      next: ["CADRE_STORE=sqlite", "CADRE_STORE=postgres://user@host/database"],
    },
  );
}

/** The layer with its paths made absolute. What is no text is left for the schema to refuse. */
export function withAbsolutePaths(layer: Layer): Layer {
  let value = layer.value;
  for (const path of PATHS) {
    const text = fieldAt(value, path);
    if (typeof text !== "string" || text === "" || isAbsolute(text)) continue;
    value = withField(value, path, resolve(layer.folder, text));
  }
  return { ...layer, value };
}

/**
 * The upper fields laid over the lower ones: maps are merged, anything else replaces. An empty
 * section (`tools:` with nothing below it) says nothing. A store of another engine replaces the
 * lower one whole: a URL of Postgres means nothing to SQLite.
 */
export function overlay(lower: Fields, upper: Fields): Fields {
  const merged = new Map(Object.entries(lower));
  for (const [field, above] of Object.entries(upper)) {
    if (above === null || above === undefined) continue;
    const below = merged.get(field);
    const isMerged = isFields(below) && isFields(above) && !isOtherEngine(below, above);
    merged.set(field, isMerged ? overlay(below, above) : above);
  }
  return Object.fromEntries(merged);
}

const isOtherEngine = (below: Fields, above: Fields): boolean =>
  Object.hasOwn(above, "engine") && above["engine"] !== below["engine"];

export const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The value at a path; undefined when there is none. */
export function fieldAt(value: unknown, path: Path): unknown {
  let at = value;
  for (const part of path) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, part)) return undefined;
    at = (at as { readonly [key: PropertyKey]: unknown })[part];
  }
  return at;
}

function withField(fields: Fields, path: readonly string[], value: unknown): Fields {
  const [first, ...rest] = path;
  if (first === undefined) return fields;
  const inner = fields[first];
  return {
    ...fields,
    [first]: rest.length === 0 ? value : withField(isFields(inner) ? inner : {}, rest, value),
  };
}
