// grep: lines by pattern, in all files of a folder.
import { z } from "zod";
import { messageOf } from "../../platform/index.ts";
import type { Outcome } from "../../tasks/index.ts";
import { type FoundFile, filesBelow, type Located, openToRead } from "../paths.ts";
import { defineTool, type ToolContext } from "../tool.ts";
import { binaryKind, done, refuse, withLocated } from "./files.ts";
import { globMatcher, type PathMatcher } from "./glob-pattern.ts";
import { type Search, startSearch } from "./grep-search.ts";

const SEARCHED_BYTES_MAX = 4 * 1024 * 1024;
const FILES_MAX = 50_000;

export const grepTool = defineTool({
  name: "grep",
  description:
    "Finds lines in files of the workspace by a JavaScript regular expression, a line at a time. " +
    "Returns `path:line: text`. Skips .git, node_modules and binary files.",
  input: z.strictObject({
    pattern: z.string().min(1).max(1_000).describe("Regular expression, as `function \\w+\\(`."),
    path: z.string().min(1).max(4_096).default(".").describe("Folder or file to look in."),
    include: z.string().min(1).max(1_000).optional().describe("Only files like this glob: `*.ts`."),
    ignoreCase: z.boolean().default(false),
    limit: z.int().min(1).max(1_000).default(200).describe("Matches at most."),
  }),
  kind: "file",
  effect: "pure",
  timeoutMs: 30_000,
  paths: (input) => [{ path: input.path, access: "read" }],
  run: (context, input) =>
    withLocated(context, input.path, "read", async (located) => {
      const pattern = compile(input.pattern, input.ignoreCase ? "iu" : "u");
      if (typeof pattern === "string") {
        return refuse(
          `\`${input.pattern}\` is no regular expression: ${pattern}. Escape (, [, {, . with \\.`,
        );
      }
      const matches = input.include === undefined ? () => true : globMatcher(input.include);
      if (matches === undefined) return refuse("The braces of `include` mean too many patterns.");
      const search = startSearch(pattern, context.signal);
      try {
        return await searchAll(context, located, { search, matches, limit: input.limit });
      } finally {
        await search.close();
      }
    }),
});

/** With `u` when the pattern allows it; models also write escapes that only work without. */
function compile(source: string, flags: string): RegExp | string {
  try {
    return new RegExp(source, flags);
  } catch {
    try {
      return new RegExp(source, flags.replace("u", ""));
    } catch (error) {
      return messageOf(error).replace(/^Invalid regular expression: /, "");
    }
  }
}

type Wanted = { readonly search: Search; readonly matches: PathMatcher; readonly limit: number };

async function searchAll(context: ToolContext, located: Located, wanted: Wanted): Promise<Outcome> {
  const lines: string[] = [];
  let looked = 0;
  let skipped = 0;
  let isCut = false;
  for await (const file of filesOf(located, context.hidden)) {
    context.signal.throwIfAborted();
    if (!wanted.matches(file.path)) continue;
    looked += 1;
    isCut = looked > FILES_MAX;
    if (isCut) break;
    const text = await textOf(file);
    if (text === undefined) {
      skipped += 1;
      continue;
    }
    const shown = shownPath(located, file);
    for (const match of await wanted.search.matchesOf(text)) {
      isCut = lines.length === wanted.limit;
      if (isCut) break;
      lines.push(`${shown}:${match.line}: ${match.text}`);
    }
    if (isCut) break;
  }
  const facts = { matches: lines.length, files: looked, skipped, isCut };
  if (lines.length === 0) return done(`No line matches in ${looked - skipped} files.`, facts);
  const more = isCut ? "\n[There are more. Narrow the pattern, `path` or `include`.]" : "";
  return done(lines.join("\n") + more, facts);
}

function shownPath(located: Located, file: FoundFile): string {
  if (file.path === "") return located.shown;
  return located.shown === "." ? file.path : `${located.shown}/${file.path}`;
}

/** The files below a folder, or the one file a path names. */
async function* filesOf(located: Located, hidden: readonly string[]): AsyncGenerator<FoundFile> {
  const handle = await openToRead(located);
  const isFolder = await handle
    .stat()
    .then((status) => status.isDirectory())
    .finally(() => handle.close());
  if (isFolder) yield* filesBelow(located, hidden);
  else yield { path: "", open: () => openToRead(located) };
}

/** Undefined for what is not searched: binary, large or unreadable files. */
async function textOf(file: FoundFile): Promise<string | undefined> {
  const handle = await file.open().catch(() => undefined);
  if (handle === undefined) return undefined;
  try {
    const status = await handle.stat();
    if (!status.isFile() || status.size > SEARCHED_BYTES_MAX) return undefined;
    const bytes = await handle.readFile();
    return binaryKind(bytes) === undefined ? bytes.toString("utf8") : undefined;
  } finally {
    await handle.close();
  }
}
