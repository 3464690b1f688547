// What a command is: data for the parser, the help and the completion, and what it does.
import { CadreError } from "../../platform/index.ts";
import type { CliHost } from "./host.ts";
import type { Look } from "./look.ts";
import type { Terminal } from "./terminal.ts";

export type ArgSpec = {
  readonly name: string;
  readonly isRequired: boolean;
};

export type OptionSpec = {
  /** Long name without dashes: `attempts-max`. */
  readonly name: string;
  readonly short?: string;
  /** What its value stands for; absent: a switch. */
  readonly value?: string;
  /** May be given several times. */
  readonly isRepeatable?: boolean;
  readonly choices?: readonly string[];
  readonly summary: string;
};

export type Parsed = {
  /** By the names of the specification; absent when not given. */
  readonly args: { readonly [name: string]: string };
  readonly switches: ReadonlySet<string>;
  readonly values: { readonly [name: string]: readonly string[] };
};

export type CommandContext = {
  readonly host: CliHost;
  readonly terminal: Terminal;
  readonly look: Look;
  readonly isJson: boolean;
  readonly isQuiet: boolean;
  readonly isVerbose: boolean;
  /** Lines instead of redrawn frames, also in a terminal. */
  readonly isPlain: boolean;
  /** A command of ours as it must be typed here: with the program's name and the hub that is meant. */
  typed(command: string): string;
  readonly url: string | undefined;
  readonly home: string | undefined;
};

export type CommandSpec = {
  /** `["run"]`, `["tasks", "why"]`. */
  readonly path: readonly [string, ...string[]];
  /** One sentence, with a full stop. */
  readonly summary: string;
  readonly args: readonly ArgSpec[];
  readonly options: readonly OptionSpec[];
  readonly examples: readonly string[];
  /** The exit code. */
  run(context: CommandContext, parsed: Parsed): Promise<number>;
};

export const GLOBAL_OPTIONS: readonly OptionSpec[] = [
  { name: "json", summary: "one JSON document (or one per line for streams) on stdout" },
  { name: "hub", value: "URL", summary: "talk to another hub (CADRE_HUB, CADRE_TOKEN)" },
  { name: "home", value: "PATH", summary: "folder of the state (CADRE_HOME), else .cadre" },
  { name: "quiet", short: "q", summary: "only the answer" },
  { name: "verbose", short: "v", summary: "more, on stderr" },
  { name: "no-color", summary: "no colour (also NO_COLOR=1)" },
  { name: "plain", summary: "plain lines, nothing redrawn" },
  { name: "help", short: "h", summary: "help on this command" },
];

export const nameOf = (spec: Pick<CommandSpec, "path">): string => spec.path.join(" ");

/** The last value given for an option. */
export const lastValue = (parsed: Parsed, name: string): string | undefined =>
  parsed.values[name]?.at(-1);

/** Something is wrong with the command as it was written: exit code 2. */
export function badUsage(message: string, next: readonly string[] = []): CadreError {
  return new CadreError("invalid_input", message, { next });
}

/** A positive number of an option, or a refusal that names it. */
export function numberOf(parsed: Parsed, name: string): number | undefined {
  const text = lastValue(parsed, name);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw badUsage(`--${name} takes a number above 0, not "${text}".`);
}

const UNIT_MS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
};

/** A length of time of an option, as `90s`, `10m`, `2h`; in milliseconds. */
export function durationOf(parsed: Parsed, name: string): number | undefined {
  const text = lastValue(parsed, name);
  if (text === undefined) return undefined;
  const match = /^(\d+(?:\.\d+)?)(s|m|min|h)$/.exec(text);
  const unit = UNIT_MS[match?.[2] ?? ""];
  if (match !== null && unit !== undefined) return Math.round(Number(match[1]) * unit);
  throw badUsage(`--${name} takes a time as 90s, 10m or 2h, not "${text}".`);
}

export const kebab = (name: string): string =>
  name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
