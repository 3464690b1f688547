// read: a file's text with line numbers, a range at a time.
import type { FileHandle } from "node:fs/promises";
import { z } from "zod";
import type { Outcome } from "../../tasks/index.ts";
import { openToRead } from "../paths.ts";
import { defineTool } from "../tool.ts";
import { binaryKind, done, refuse, withLocated } from "./files.ts";

const LINES_MAX = 2_000;
const LINE_CHARACTERS_MAX = 2_000;
/** Below the pipeline's bound on text, so that a read ends at a line and says how to go on. */
const TEXT_BYTES_MAX = 30 * 1024;

export const readTool = defineTool({
  name: "read",
  description:
    "Reads a text file of the workspace. Returns its lines, each after its number and a tab; the " +
    "numbers are not part of the file. Long files come in parts: the end of the answer names the " +
    "offset to go on from. Read a file before you edit it.",
  input: z.strictObject({
    path: z.string().min(1).max(4_096).describe("Relative to the workspace."),
    offset: z.int().min(1).default(1).describe("First line, counted from 1."),
    limit: z.int().min(1).max(LINES_MAX).default(LINES_MAX).describe("Lines at most."),
  }),
  kind: "file",
  effect: "pure",
  timeoutMs: 30_000,
  paths: (input) => [{ path: input.path, access: "read" }],
  run: (context, input) =>
    withLocated(context, input.path, "read", async (located) => {
      const file = await openToRead(located);
      try {
        return await readRange(file, located.shown, input, context.signal);
      } finally {
        await file.close();
      }
    }),
});

type Range = { readonly offset: number; readonly limit: number };

async function readRange(
  file: FileHandle,
  shown: string,
  range: Range,
  signal: AbortSignal,
): Promise<Outcome> {
  const status = await file.stat();
  if (status.isDirectory())
    return refuse(`\`${shown}\` is a folder. \`glob\` lists what is in it.`);
  if (!status.isFile()) return refuse(`\`${shown}\` is no plain file, it can't be read.`);
  if (status.size === 0) return done(`\`${shown}\` is empty.`);
  const beginning = Buffer.alloc(Math.min(8_192, status.size));
  await file.read(beginning, 0, beginning.length, 0);
  const kind = binaryKind(beginning);
  if (kind !== undefined) {
    return refuse(`\`${shown}\` is ${kind} of ${status.size} bytes, not text. It was not read.`);
  }
  const lines: string[] = [];
  let number = 0;
  let bytes = 0;
  for await (const line of linesOf(file, signal)) {
    number += 1;
    if (number < range.offset) continue;
    const numbered = `${number}\t${line}`;
    bytes += Buffer.byteLength(numbered) + 1;
    if (lines.length === range.limit || (bytes > TEXT_BYTES_MAX && lines.length > 0)) {
      const next = `[More lines follow: read on with offset ${number}. The file has ${status.size} bytes.]`;
      return done(`${lines.join("\n")}\n${next}`, { lines: lines.length, nextOffset: number });
    }
    lines.push(numbered);
  }
  if (lines.length === 0) {
    return refuse(`\`${shown}\` has ${number} lines; there is no line ${range.offset}.`);
  }
  return done(lines.join("\n"), { lines: lines.length });
}

/** Lines as they come. A very long one is cut, and never held in memory as a whole. */
async function* linesOf(file: FileHandle, signal: AbortSignal): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let line = "";
  let left = 0;
  const take = (part: string): void => {
    const room = Math.max(0, LINE_CHARACTERS_MAX - line.length);
    line += part.slice(0, room);
    left += Math.max(0, part.length - room);
  };
  const whole = (): string => {
    const text = left === 0 ? line.replace(/\r$/, "") : `${line}[... ${left} characters left out]`;
    line = "";
    left = 0;
    return text;
  };
  const buffer = Buffer.alloc(64 * 1024);
  let ends = true;
  for (let at = 0; ; ) {
    signal.throwIfAborted();
    const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) break;
    at += bytesRead;
    const parts = decoder.decode(buffer.subarray(0, bytesRead), { stream: true }).split("\n");
    for (const [index, part] of parts.entries()) {
      if (index > 0) yield whole();
      take(part);
    }
    ends = parts.at(-1) === "";
  }
  if (!ends || line !== "") yield whole();
}
