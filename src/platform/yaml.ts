// Reads YAML people wrote: plainly (core schema, unique keys, no aliases), and with errors that
// name file, line and the nearest valid field.
import { createRequire } from "node:module";
import type { Node } from "yaml";
import type { z } from "zod";
import { CadreError } from "./errors.ts";
import { type Path, pathText, schemaProblems } from "./schema-problems.ts";

export const YAML_BYTES_MAX = 1024 * 1024;
// Loaded by the first text that is read: most commands of the command line read none.
type Library = typeof import("yaml");
let library: Library | undefined;
function yamlLibrary(): Library {
  library ??= createRequire(import.meta.url)("yaml") as Library;
  return library;
}

const DEPTH_MAX = 64;
const PROBLEMS_SHOWN_MAX = 20;

export type YamlOptions = {
  /** What errors call the text: a path as the person knows it. */
  readonly source: string;
  readonly code: "invalid_config" | "invalid_agent" | "invalid_input";
  /** Lines of the file before this text, so that errors name lines of the file. Default 0. */
  readonly lineOffset?: number;
};

export type YamlProblem = {
  readonly source: string;
  readonly line?: number;
  readonly path?: string;
  readonly message: string;
};

export type YamlText = {
  /** Null for an empty text. */
  readonly value: unknown;
  /** The line, counted from 1, of the deepest part of the path that stands in the text. */
  lineOf(path: Path): number;
};

/**
 * Parses and validates.
 *
 * Errors: `payload_too_large` above 1 MiB; else `options.code`, its message listing every problem
 * as `source:line: sentence`, and `details.problems` holding the same for programs.
 */
export function parseYaml<S extends z.ZodType>(
  text: string,
  schema: S,
  options: YamlOptions,
): z.output<S> {
  const yaml = readYaml(text, options);
  const parsed = schema.safeParse(yaml.value);
  if (parsed.success) return parsed.data;
  throw yamlError(
    options.code,
    options.source,
    schemaProblems(schema, yaml.value, parsed.error.issues).map((problem) => ({
      source: options.source,
      line: yaml.lineOf(problem.path),
      path: pathText(problem.path),
      message: problem.message,
    })),
  );
}

/** Parses without a schema. Errors as `parseYaml`, for syntax only. */
export function readYaml(text: string, options: YamlOptions): YamlText {
  const { source, code, lineOffset = 0 } = options;
  if (Buffer.byteLength(text) > YAML_BYTES_MAX) {
    throw new CadreError(
      "payload_too_large",
      `${source} is larger than ${YAML_BYTES_MAX / 1024} KiB; split it or make it smaller.`,
      { details: { source, bytesMax: YAML_BYTES_MAX } },
    );
  }
  const { LineCounter, parseAllDocuments } = yamlLibrary();
  const counter = new LineCounter();
  const lineAt = (offset: number): number => lineOffset + Math.max(1, counter.linePos(offset).line);

  // Uniqueness of keys is checked in `plainOf`: the parser's own check takes quadratic time.
  const documents = parseAllDocuments(text, {
    schema: "core",
    uniqueKeys: false,
    prettyErrors: false,
    lineCounter: counter,
  });
  const [document, second] = "empty" in documents ? [] : documents;
  if (document === undefined) return { value: null, lineOf: () => lineOffset + 1 };

  const found: Found[] = [...document.errors, ...document.warnings].map((error) => ({
    offset: error.pos[0],
    message: `${error.message.split("\n", 1)[0]}.`,
  }));
  if (second !== undefined && found.length === 0) {
    found.push({ offset: second.range[0], message: "Only one YAML document may stand here." });
  }
  const value = document.errors.length === 0 ? plainOf(document.contents, found, 0) : null;
  if (found.length > 0) {
    found.sort((a, b) => a.offset - b.offset);
    throw yamlError(
      code,
      source,
      found.map(({ offset, message }) => ({ source, line: lineAt(offset), message })),
    );
  }
  return { value, lineOf: (path) => lineAt(offsetOf(document.contents, path)) };
}

/** One error for problems of one or more sources. */
export function yamlError(
  code: YamlOptions["code"],
  source: string,
  problems: readonly YamlProblem[],
): CadreError {
  const shown = [...problems]
    .sort((a, b) => a.source.localeCompare(b.source) || (a.line ?? 0) - (b.line ?? 0))
    .slice(0, PROBLEMS_SHOWN_MAX);
  const lines = shown.map(
    (problem) =>
      `${problem.source}${problem.line === undefined ? "" : `:${problem.line}`}: ${problem.message}`,
  );
  const more = problems.length - shown.length;
  if (more > 0) lines.push(`… and ${more} more.`);
  const message =
    problems.length === 1
      ? (lines[0] ?? "")
      : [`${source} has ${problems.length} problems:`, ...lines].join("\n  ");
  return new CadreError(code, message, { details: { source, problems: shown } });
}

type Found = { readonly offset: number; readonly message: string };

/** The plain value of a node. What YAML allows and we don't is added to `found`. */
function plainOf(node: unknown, found: Found[], depth: number): unknown {
  const { isAlias, isMap, isScalar, isSeq } = yamlLibrary();
  if (node === null || node === undefined) return null;
  const offset = startOf(node as Node);
  if (depth > DEPTH_MAX) {
    found.push({ offset, message: `This is nested deeper than ${DEPTH_MAX} levels.` });
    return null;
  }
  if (isAlias(node)) {
    found.push({
      offset,
      message: `Aliases are not allowed: write out what *${node.source} means.`,
    });
    return null;
  }
  if (isScalar(node)) return node.value;
  if (isSeq(node)) return node.items.map((item) => plainOf(item, found, depth + 1));
  if (!isMap(node)) return null;

  const entries = new Map<string, unknown>();
  for (const { key, value } of node.items) {
    const keyOffset = key === null ? offset : startOf(key as Node);
    if (!isScalar(key)) {
      found.push({ offset: keyOffset, message: "A field's name must be plain text." });
      continue;
    }
    const name = String(key.value);
    if (entries.has(name)) {
      found.push({ offset: keyOffset, message: `The field "${name}" stands here twice.` });
    }
    entries.set(name, plainOf(value, found, depth + 1));
  }
  // `fromEntries` defines, never assigns: a field named __proto__ stays a field.
  return Object.fromEntries(entries);
}

function offsetOf(root: unknown, path: Path): number {
  const { isMap, isScalar, isSeq } = yamlLibrary();
  let node = root;
  let offset = node === null ? 0 : startOf(node as Node);
  for (const part of path) {
    if (isMap(node)) {
      const pair = node.items.find(
        ({ key }) => isScalar(key) && String(key.value) === String(part),
      );
      if (pair === undefined) break;
      offset = startOf(pair.key as Node);
      node = pair.value;
    } else if (isSeq(node) && node.items[Number(part)] !== undefined) {
      node = node.items[Number(part)];
      offset = startOf(node as Node);
    } else {
      break;
    }
  }
  return offset;
}

const startOf = (node: Node): number => node.range?.[0] ?? 0;
