// Where answers, notes and errors go: stdout is the answer, stderr is everything else.
import { type CadreError, ERROR_CODES } from "../../platform/index.ts";
import { type CommandContext, kebab } from "./command.ts";
import { type Look, mark } from "./look.ts";
import type { Terminal } from "./terminal.ts";
import { cleanLines, padEnd, widthOf, wrap } from "./text.ts";

export function printLines(terminal: Terminal, lines: readonly string[]): void {
  if (lines.length > 0) terminal.out(`${lines.join("\n")}\n`);
}

/** A remark that is not the answer; silent with `--quiet`. */
export function note(context: CommandContext, line: string): void {
  if (!context.isQuiet && !context.isJson) context.terminal.err(`${line}\n`);
}

/** One document, as an operation's output has it; a list with the cursor of its next page. */
export function printJson(terminal: Terminal, output: unknown): void {
  if (isList(output)) {
    terminal.out(`${JSON.stringify({ data: output.items, next: output.next ?? null })}\n`);
  } else {
    terminal.out(`${JSON.stringify({ data: output })}\n`);
  }
}

function isList(
  output: unknown,
): output is { readonly items: readonly unknown[]; readonly next?: unknown } {
  return (
    typeof output === "object" &&
    output !== null &&
    Array.isArray((output as { items?: unknown }).items)
  );
}

/** A first line under a symbol, what follows set in to it. */
export function hanging(look: Look, symbol: string, text: string): string[] {
  const lines = wrap(text, look.columns - 2);
  return lines.map((line, i) => (i === 0 ? `${symbol} ${line}` : `  ${line}`.trimEnd()));
}

type Problem = { readonly path?: unknown; readonly message?: unknown };

/** For input that a schema refused: one line for each option. */
function messageFor(error: CadreError): string {
  const issues = error.details["issues"];
  if (error.code !== "invalid_input" || !Array.isArray(issues) || issues.length === 0)
    return error.message;
  const problems = issues as readonly Problem[];
  return problems
    .map(({ path, message }) => {
      const field = String(path ?? "").split(".")[0] ?? "";
      const text = String(message ?? "").replace(/\.?$/, ".");
      return field === "" ? text : `--${kebab(field)}: ${text}`;
    })
    .join("\n");
}

/** An error as a person reads it, for stderr. */
export function errorLines(
  look: Look,
  error: CadreError,
  options: { readonly stack: boolean; typed(command: string): string },
): string[] {
  const message = cleanLines(messageFor(error)).trimEnd();
  const lines = hanging(look, mark(look, "failed"), message === "" ? error.code : message);
  for (const next of error.next) lines.push(...stepLines(look, cleanLines(options.typed(next))));
  if (options.stack) {
    for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
      lines.push(cleanLines(cause.stack ?? cause.message));
    }
  }
  return lines;
}

const COMMAND = /^(?:cadre|npx|npm|git|apt|cd|export|[A-Z_]+=)\b/;

/**
 * One thing to do: a command, or a sentence, with a remark set off by spaces. A command is never
 * broken, for it is to be copied; where it fills the line the remark stands below.
 */
export function stepLines(look: Look, step: string): string[] {
  const arrow = `  ${mark(look, "next")}`;
  const [command = "", remark] = step.split(/\s{2,}/);
  if (remark === undefined) {
    return COMMAND.test(command) ? [`${arrow} ${command}`] : hanging(look, arrow, command);
  }
  const line = `${arrow} ${padEnd(command, REMARK_AT)}  ${remark}`;
  return widthOf(cleanLines(line)) <= look.columns
    ? [line]
    : [`${arrow} ${command}`, `      ${remark}`];
}

const REMARK_AT = 34;

/** The same for a program: one line of JSON on stderr. */
export function errorJson(error: CadreError): string {
  return JSON.stringify({
    error: {
      code: error.code,
      message: error.message,
      next: error.next,
      retry: ERROR_CODES[error.code].retry,
      ...(Object.keys(error.details).length === 0 ? {} : { details: error.details }),
    },
  });
}
