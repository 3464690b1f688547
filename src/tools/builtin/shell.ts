// shell: a command in the sandbox.
import { access } from "node:fs/promises";
import { z } from "zod";
import { CadreError, type Exit } from "../../platform/index.ts";
import type { Outcome } from "../../tasks/index.ts";
import { defineTool } from "../tool.ts";

/** Kept of a command's output; what is past it is counted. The pipeline bounds what a model sees. */
const OUTPUT_BYTES_MAX = 8 * 1024 * 1024;

export const shellTool = defineTool({
  name: "shell",
  description:
    "Runs a command with the shell, in the workspace: tests, builds, scripts. It runs in a sandbox " +
    "with no network and an empty home; only the workspace and /tmp can be written, and /tmp is " +
    "empty again the next time. Returns what it printed and its exit code. It gets no input and " +
    "must end by itself: what it leaves running is killed with it. To find and change files use " +
    "`grep`, `glob`, `read`, `edit` and `write`.",
  input: z.strictObject({
    command: z
      .string()
      .min(1)
      .max(64 * 1024)
      .describe("For the shell, as `npm test`."),
    timeoutSeconds: z.number().min(1).max(3_600).default(120).describe("Killed after so long."),
  }),
  kind: "shell",
  effect: "irreversible",
  timeoutMs: 600_000,
  async run(context, input): Promise<Outcome> {
    const { workspace, sandbox, profile, readable } = context;
    if (workspace === null) {
      return { kind: "refused", text: "`shell` needs a workspace, and this task has none." };
    }
    // Keeps A3. Nobody can say how far the command got, so it is not run a second time unasked.
    if (context.isRepeat) {
      return {
        kind: "unknown",
        text:
          "The process died while this command ran, so what it did and printed is not known. It " +
          "was not run again. Look at the workspace, then repeat it if that is harmless.",
        facts: { sandbox: sandbox.name },
      };
    }
    const timeoutMs = Math.min(input.timeoutSeconds * 1_000, context.timeoutMs);
    const command = {
      argv: await shellOf(input.command),
      profile,
      workspace,
      readable,
      timeoutMs,
      outputBytesMax: OUTPUT_BYTES_MAX,
      signal: context.signal,
    };
    try {
      return outcomeOf(await sandbox.run(command), sandbox.name, timeoutMs);
    } catch (error) {
      // Thrown before anything is run, so there is nothing to be unsure about.
      if (error instanceof CadreError && error.code === "sandbox_unavailable") {
        return { kind: "refused", text: error.message };
      }
      throw error;
    }
  },
});

/** Both outputs as one, in the order they were written; no start files of any user are read. */
async function shellOf(command: string): Promise<readonly [string, ...string[]]> {
  const hasBash = await access("/bin/bash").then(
    () => true,
    () => false,
  );
  const shell = hasBash ? "/bin/bash --noprofile --norc" : "/bin/sh";
  return ["/bin/sh", "-c", `exec ${shell} -c "$1" 2>&1`, "sh", command];
}

/** What a command's end means for the model: any code but 0 went wrong. */
function outcomeOf(exit: Exit, sandbox: string, timeoutMs: number): Outcome {
  const output = exit.stdout + exit.stderr;
  const facts: NonNullable<Outcome["facts"]> = {
    exitCode: exit.code,
    ...(exit.signal === null ? {} : { signal: exit.signal }),
    sandbox,
    tookMs: Math.round(exit.tookMs),
    outputBytes: exit.outputBytes,
    ...(exit.leftBehind === undefined ? {} : { leftBehind: true }),
  };
  const told = output === "" ? "(It printed nothing.)" : output.replace(/\n$/, "");
  switch (exit.ended) {
    case "timed_out": {
      const text = `${told}\n[Killed after ${timeoutMs / 1_000} s. What it did until then stands.]`;
      return { kind: "failed", text, facts };
    }
    case "stopped":
      return {
        kind: "failed",
        text: `${told}\n[Stopped before it ended. What it did stands.]`,
        facts,
      };
    case "exited": {
      const how = exit.signal === null ? `exit code ${exit.code}` : `killed by ${exit.signal}`;
      return { kind: exit.code === 0 ? "done" : "failed", text: `${told}\n[${how}]`, facts };
    }
  }
}
