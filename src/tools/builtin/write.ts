// write: a whole file, new or replaced.
import { z } from "zod";
import { defineTool } from "../tool.ts";
import { unifiedDiff } from "./diff.ts";
import { done, exclusively, readText, replaceFile, withLocated } from "./files.ts";

const CONTENT_CHARACTERS_MAX = 128 * 1024;

export const writeTool = defineTool({
  name: "write",
  description:
    "Writes a whole text file of the workspace: makes it, with the folders above it, or replaces " +
    "what was in it. To change a part of a file use `edit`.",
  input: z.strictObject({
    path: z.string().min(1).max(4_096).describe("Relative to the workspace."),
    content: z.string().max(CONTENT_CHARACTERS_MAX).describe("The whole new text."),
  }),
  kind: "file",
  // The same text written twice leaves the same file.
  effect: "keyed",
  timeoutMs: 30_000,
  paths: (input) => [{ path: input.path, access: "write" }],
  run: (context, input) =>
    withLocated(context, input.path, "write", (located) =>
      exclusively(located.path, async () => {
        const before = await readText(located).catch(() => undefined);
        const isNew = await replaceFile(located, input.content);
        const bytes = Buffer.byteLength(input.content);
        const lines =
          input.content === "" ? 0 : input.content.replace(/\n$/, "").split("\n").length;
        const was = before?.kind === "text" ? before.text : "";
        return done(
          `${isNew ? "Made" : "Replaced"} \`${located.shown}\`: ${lines} lines, ${bytes} bytes.`,
          { path: located.shown, bytes, diff: unifiedDiff(located.shown, was, input.content) },
        );
      }),
    ),
});
