// glob: files by name.
import { z } from "zod";
import { filesBelow } from "../paths.ts";
import { defineTool } from "../tool.ts";
import { done, refuse, withLocated } from "./files.ts";
import { globMatcher } from "./glob-pattern.ts";

const FOUND_MAX = 1_000;
const LOOKED_AT_MAX = 200_000;

export const globTool = defineTool({
  name: "glob",
  description:
    "Finds files of the workspace by name, sorted: `src/**/*.ts`, `*.{json,yaml}` (a pattern " +
    "without a slash means any folder), `**` for every file. Skips .git and node_modules. Returns " +
    `paths relative to the workspace, at most ${FOUND_MAX}.`,
  input: z.strictObject({
    pattern: z.string().min(1).max(1_000),
    path: z.string().min(1).max(4_096).default(".").describe("Folder to look in."),
  }),
  kind: "file",
  effect: "pure",
  timeoutMs: 30_000,
  paths: (input) => [{ path: input.path, access: "read" }],
  run: (context, input) =>
    withLocated(context, input.path, "read", async (located) => {
      const matches = globMatcher(input.pattern);
      if (matches === undefined) {
        return refuse("The braces of the pattern mean too many patterns. Ask for fewer at a time.");
      }
      const prefix = located.shown === "." ? "" : `${located.shown}/`;
      const found: string[] = [];
      let lookedAt = 0;
      let isCut = false;
      for await (const file of filesBelow(located, context.hidden)) {
        context.signal.throwIfAborted();
        lookedAt += 1;
        isCut = found.length === FOUND_MAX || lookedAt > LOOKED_AT_MAX;
        if (isCut) break;
        if (matches(file.path)) found.push(prefix + file.path);
      }
      const facts = { files: found.length, lookedAt, isCut };
      if (found.length === 0) {
        return done(`No file in \`${located.shown}\` is named like \`${input.pattern}\`.`, facts);
      }
      const more = isCut ? "\n[There are more. Narrow the pattern or name a folder.]" : "";
      return done(found.join("\n") + more, facts);
    }),
});
