// What the file tools share: the place of a path, whole reads, whole writes, one writer at a time.
import { constants } from "node:fs";
import { lstat, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Outcome } from "../../tasks/index.ts";
import {
  type Access,
  codeOf,
  errorOf,
  inParent,
  type Located,
  locate,
  openToRead,
} from "../paths.ts";
import type { ToolContext } from "../tool.ts";

/** Bytes of a file that is read as a whole, to be changed. */
export const FILE_BYTES_MAX = 8 * 1024 * 1024;

export const done = (text: string, facts?: Outcome["facts"]): Outcome => ({
  kind: "done",
  text,
  ...(facts === undefined ? {} : { facts }),
});
export const refuse = (text: string): Outcome => ({ kind: "refused", text });

/** Locates a path again at its use: what was checked may have been changed since. */
export async function withLocated(
  context: ToolContext,
  path: string,
  access: Access,
  use: (located: Located) => Promise<Outcome>,
): Promise<Outcome> {
  const located = await locate(context, path, access);
  if (located.kind === "not-allowed") return refuse(`${located.why} Nothing was done.`);
  try {
    return await use(located);
  } catch (error) {
    const told = toldOf(codeOf(error), located.shown);
    if (told === undefined) throw error;
    return told;
  }
}

function toldOf(code: string | undefined, shown: string): Outcome | undefined {
  switch (code) {
    case "ENOENT":
      return refuse(`There is no file \`${shown}\`. \`glob\` finds files by name.`);
    case "EISDIR":
      return refuse(`\`${shown}\` is a folder. \`glob\` lists what is in it.`);
    case "ENOTDIR":
    case "ELOOP":
      return refuse(`\`${shown}\` leads through a file or a link where a folder was expected.`);
    case "EACCES":
    case "EPERM":
      return refuse(`\`${shown}\` may not be used by this user: its permissions forbid it.`);
    case "ENAMETOOLONG":
      return refuse(`\`${shown.slice(0, 100)}…\` is too long for a path.`);
    case "ENOSPC":
    case "EDQUOT":
      return { kind: "failed", text: `The disk is full: \`${shown}\` was left as it was.` };
    default:
      return undefined;
  }
}

export type FileText =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "not-text"; readonly outcome: Outcome };

/** The whole text of a file; binary, huge and special ones are refused. */
export async function readText(located: Located): Promise<FileText> {
  const file = await openToRead(located);
  try {
    const status = await file.stat();
    const notText = (text: string): FileText => ({ kind: "not-text", outcome: refuse(text) });
    if (status.isDirectory()) return notText(`\`${located.shown}\` is a folder, not a file.`);
    if (!status.isFile()) return notText(`\`${located.shown}\` is no plain file.`);
    if (status.size > FILE_BYTES_MAX) {
      return notText(
        `\`${located.shown}\` has ${status.size} bytes; at most ${FILE_BYTES_MAX} can be edited. ` +
          "Use `shell` for it.",
      );
    }
    const bytes = await file.readFile();
    const kind = binaryKind(bytes);
    if (kind !== undefined) {
      return notText(`\`${located.shown}\` is ${kind} of ${bytes.length} bytes, not text.`);
    }
    return { kind: "text", text: bytes.toString("utf8") };
  } finally {
    await file.close();
  }
}

const SIGNATURES: readonly (readonly [string, string])[] = [
  ["89504e47", "a PNG image"],
  ["ffd8ff", "a JPEG image"],
  ["47494638", "a GIF image"],
  ["25504446", "a PDF document"],
  ["504b0304", "a ZIP archive"],
  ["1f8b", "a gzip archive"],
  ["7f454c46", "a program (ELF)"],
  ["0061736d", "a WebAssembly module"],
  ["53514c69746520666f726d6174", "a SQLite database"],
];

/** What a file that is no text is; undefined for text. Looks at the beginning only. */
export function binaryKind(bytes: Buffer): string | undefined {
  const hex = bytes.toString("hex", 0, 16);
  const known = SIGNATURES.find(([signature]) => hex.startsWith(signature));
  if (known !== undefined) return known[1];
  return bytes.subarray(0, 8_192).includes(0) ? "a binary file" : undefined;
}

/**
 * Replaces a file as a whole: who reads it sees the old text or the new one, also after a crash.
 * Keeps its mode; makes the folders above it. Returns true when it was not there before.
 */
export function replaceFile(located: Located, text: string): Promise<boolean> {
  return inParent(located, async (folder, name) => {
    const target = join(folder, name);
    const before = await lstat(target).catch(unlessAbsent);
    if (before !== undefined && !before.isFile()) {
      throw errorOf("EISDIR", `${located.shown} is no plain file`);
    }
    // Always the same name: the repeat of a write that a crash cut off takes its remains away.
    const temporary = join(folder, `.${name.slice(0, 200)}.cadre-writing`);
    const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW } = constants;
    const file = await open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o666);
    try {
      await file.writeFile(text);
      if (before !== undefined) await file.chmod(before.mode & 0o7777);
      await file.close();
      await rename(temporary, target);
    } catch (error) {
      await file.close().catch(() => undefined);
      await rm(temporary, { force: true });
      throw error;
    }
    return before === undefined;
  });
}

function unlessAbsent(error: unknown): undefined {
  if (codeOf(error) !== "ENOENT") throw error;
}

const busy = new Map<string, Promise<unknown>>();

/** Lets one change of a file end before the next begins: a model may ask for several at once. */
export async function exclusively<T>(path: string, change: () => Promise<T>): Promise<T> {
  const before = busy.get(path) ?? Promise.resolve();
  const mine = before.then(change, change);
  busy.set(path, mine);
  try {
    return await mine;
  } finally {
    if (busy.get(path) === mine) busy.delete(path);
  }
}
