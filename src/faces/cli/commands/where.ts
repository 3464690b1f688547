// Which home is meant, and the examples below it whose process was killed: how they go on.
import { relative } from "node:path";
import type { CommandContext } from "../command.ts";
import type { Unfinished, Where } from "../host.ts";
import { mark, shortId } from "../look.ts";
import { note } from "../print.ts";
import { clean } from "../text.ts";

/** Which hub a command was told to use. */
export const whereOf = (context: CommandContext): Where => ({
  ...(context.url === undefined ? {} : { url: context.url }),
  ...(context.home === undefined ? {} : { home: context.home }),
});

/** Of the home that is meant by default: who names a home or a hub means no other. */
async function cutOff(context: CommandContext): Promise<readonly Unfinished[]> {
  if (context.home !== undefined || context.url !== undefined) return [];
  const { home } = await context.host.settings(whereOf(context));
  return await context.host.unfinished(home);
}

function resumeCommand(context: CommandContext, { home, root }: Unfinished): string {
  const where = relative(context.host.cwd, home) || ".";
  return `${context.host.program} --home ${where} run --resume ${shortId(root)}`;
}

/** Says on stderr which examples were cut off, each with the command that goes on with it. */
export async function noteUnfinished(context: CommandContext): Promise<void> {
  for (const one of await cutOff(context)) {
    const where = relative(context.host.cwd, one.home);
    note(
      context,
      `${mark(context.look, "warning")} An example was cut off: ${clean(one.title)}, in ${where}`,
    );
    note(context, `  ${mark(context.look, "next")} ${resumeCommand(context, one)}`);
  }
}

/** The same as steps of an error. */
export async function unfinishedSteps(context: CommandContext): Promise<readonly string[]> {
  const steps = (await cutOff(context)).map((one) => resumeCommand(context, one));
  return steps.map((step) => `${step}     an example was cut off`);
}
