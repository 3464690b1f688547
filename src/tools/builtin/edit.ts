// edit: one exact text for another.
import { z } from "zod";
import type { Outcome } from "../../tasks/index.ts";
import { defineTool } from "../tool.ts";
import { unifiedDiff } from "./diff.ts";
import {
  done,
  exclusively,
  FILE_BYTES_MAX,
  readText,
  refuse,
  replaceFile,
  withLocated,
} from "./files.ts";

const TEXT_CHARACTERS_MAX = 100 * 1024;

export const editTool = defineTool({
  name: "edit",
  description:
    "Replaces one exact text in a file of the workspace by another. `old` must be in the file " +
    "exactly once, with all its spaces and line breaks: take it from `read`, without the line " +
    "numbers, and take enough lines around it. With `all` every place is replaced.",
  input: z.strictObject({
    path: z.string().min(1).max(4_096).describe("Relative to the workspace."),
    old: z.string().min(1).max(TEXT_CHARACTERS_MAX).describe("The exact text to replace."),
    new: z.string().max(TEXT_CHARACTERS_MAX).describe("What stands there afterwards."),
    all: z.boolean().default(false).describe("Replace every place, not exactly one."),
  }),
  kind: "file",
  // After a crash the file itself says whether it was done.
  effect: "queryable",
  timeoutMs: 30_000,
  paths: (input) => [{ path: input.path, access: "write" }],
  run: (context, input) =>
    withLocated(context, input.path, "write", (located) =>
      exclusively(located.path, async () => {
        const file = await readText(located);
        if (file.kind === "not-text") return file.outcome;
        const edit = withLineEndsOf(file.text, input);
        if (context.isRepeat) {
          const told = ofRepeat(file.text, edit, located.shown);
          if (told !== undefined) return told;
        }
        const decided = decideEdit(file.text, edit, located.shown);
        if (decided.kind === "refused") return refuse(decided.why);
        await replaceFile(located, decided.text);
        const places = decided.places === 1 ? "1 place" : `${decided.places} places`;
        return done(`Changed ${places} in \`${located.shown}\`.`, {
          path: located.shown,
          places: decided.places,
          diff: unifiedDiff(located.shown, file.text, decided.text),
        });
      }),
    ),
});

type Edit = { readonly old: string; readonly new: string; readonly all: boolean };

/** Models write plain line breaks; a file with CRLF is matched, and kept, in its own way. */
function withLineEndsOf(text: string, edit: Edit): Edit {
  if (text.includes(edit.old) || !text.includes("\r\n") || edit.old.includes("\r")) return edit;
  const crlf = (part: string) => part.replace(/\r?\n/g, "\r\n");
  return { ...edit, old: crlf(edit.old), new: crlf(edit.new) };
}

export type EditDecision =
  | { readonly kind: "edited"; readonly text: string; readonly places: number }
  | { readonly kind: "refused"; readonly why: string };

/** What the file becomes, or why not, with what helps the next try. Pure. */
export function decideEdit(text: string, edit: Edit, shown: string): EditDecision {
  const why = (reason: string): EditDecision => ({
    kind: "refused",
    why: `${reason} Nothing was changed.`,
  });
  if (edit.old === edit.new) return why("`old` and `new` are the same.");
  const places = placesOf(text, edit.old);
  if (places.length === 0)
    return why(`\`old\` is not in \`${shown}\`.${nearestHint(text, edit.old)}`);
  if (places.length > 1 && !edit.all) {
    const lines = places.slice(0, 10).map((at) => lineAt(text, at));
    return why(
      `\`old\` is ${places.length} times in \`${shown}\` (lines ${lines.join(", ")}). ` +
        "Take more lines around the one you mean, or say `all`.",
    );
  }
  const between = text.split(edit.old);
  const after = between.join(edit.new);
  if (after.length > FILE_BYTES_MAX) return why(`\`${shown}\` would become too large.`);
  return { kind: "edited", text: after, places: between.length - 1 };
}

/**
 * Whether an edit that was cut off happened; undefined when it surely did not. Where both texts are
 * there the file can't tell: the old one may have been there twice, or be part of the new. Pure.
 */
export function ofRepeat(text: string, edit: Edit, shown: string): Outcome | undefined {
  // An edit that happened leaves its new text, always.
  if (!text.includes(edit.new)) return undefined;
  if (!text.includes(edit.old)) {
    return done(`The change of \`${shown}\` was made before the interruption.`, {
      path: shown,
      repeated: true,
    });
  }
  return {
    kind: "unknown",
    text:
      `The process died while \`${shown}\` was changed, and the file does not tell whether it was ` +
      "done: both `old` and `new` are in it. Read the file before you repeat it.",
  };
}

/** Where a part begins, also where it overlaps itself: then it is not there exactly once. */
function placesOf(text: string, part: string): number[] {
  const places: number[] = [];
  for (let at = text.indexOf(part); at !== -1; at = text.indexOf(part, at + 1)) {
    places.push(at);
  }
  return places;
}

const lineAt = (text: string, at: number): number => text.slice(0, at).split("\n").length;

/** The line that is most like the first line of `old`, when there is one like it at all. */
function nearestHint(text: string, old: string): string {
  const wanted =
    old
      .split("\n")
      .find((line) => line.trim() !== "")
      ?.trim() ?? "";
  if (wanted === "") return "";
  let best = { number: 0, line: "", likeness: 0 };
  for (const [index, line] of text.split("\n").slice(0, 20_000).entries()) {
    const likeness = likenessOf(wanted, line.trim());
    if (likeness > best.likeness) best = { number: index + 1, line, likeness };
  }
  if (best.likeness < 0.5) return " Read the file again: it may have changed.";
  const shown = best.line.slice(0, 200);
  if (best.line.trim() === wanted) {
    return ` Line ${best.number} begins the same way, so spaces or a later line differ: \`${shown}\`.`;
  }
  return ` Nearest is line ${best.number}: \`${shown}\`.`;
}

/** Share of common pairs of letters, 0 to 1: cheap, and good enough to point at a line. */
function likenessOf(a: string, b: string): number {
  if (a === b) return 1;
  if (Math.min(a.length, b.length) * 3 < Math.max(a.length, b.length)) return 0;
  const pairs = pairsOf(a.slice(0, 400));
  const others = pairsOf(b.slice(0, 400));
  let common = 0;
  for (const pair of pairs) if (others.has(pair)) common += 1;
  return (2 * common) / Math.max(1, pairs.size + others.size);
}

const pairsOf = (line: string): Set<string> =>
  new Set(Array.from({ length: Math.max(0, line.length - 1) }, (_, at) => line.slice(at, at + 2)));
