// From words on the command line to a command and its options. Commander reads the words; what it
// has to say about wrong ones is said in our own way.
import type { Command, CommanderError, Option } from "commander";
import { type CadreError, nearest } from "../../platform/index.ts";
import {
  badUsage,
  type CommandSpec,
  GLOBAL_OPTIONS,
  nameOf,
  type OptionSpec,
  type Parsed,
} from "./command.ts";

const GLOBAL_WITH_VALUE = new Set(
  GLOBAL_OPTIONS.filter((option) => option.value !== undefined).map((option) => `--${option.name}`),
);
const GLOBAL_SWITCHES = new Set(
  GLOBAL_OPTIONS.filter((option) => option.value === undefined).flatMap((option) => [
    `--${option.name}`,
    ...(option.short === undefined ? [] : [`-${option.short}`]),
  ]),
);

export type Word = { readonly word: string; readonly at: number };

/**
 * The words a command line begins with, and their places: what may name the command. Options for
 * every command may stand among them; the first other one ends them, for its value could be a word.
 */
export function wordsOf(argv: readonly string[]): readonly Word[] {
  const words: Word[] = [];
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] ?? "";
    if (GLOBAL_WITH_VALUE.has(word)) at++;
    else if (!word.startsWith("-")) words.push({ word, at });
    else if (!isGlobal(word)) break;
  }
  return words;
}

const isGlobal = (word: string): boolean =>
  GLOBAL_SWITCHES.has(word) || GLOBAL_WITH_VALUE.has(word.split("=")[0] ?? word);

/** The first option among the words that is not one for every command. */
export const strangeOption = (argv: readonly string[]): string | undefined =>
  argv.find((word) => word.startsWith("-") && !isGlobal(word));

/** The value of an option for every command, asked before the command itself is known. */
export function globalValue(argv: readonly string[], name: string): string | undefined {
  const at = argv.lastIndexOf(`--${name}`);
  if (at !== -1) return argv[at + 1];
  return argv.findLast((word) => word.startsWith(`--${name}=`))?.slice(name.length + 3);
}

/** Was a switch given, wherever it stands? Asked before the command itself is known. */
export function hasSwitch(argv: readonly string[], name: string, short?: string): boolean {
  const end = argv.indexOf("--");
  const looked = end === -1 ? argv : argv.slice(0, end);
  return looked.includes(`--${name}`) || (short !== undefined && looked.includes(`-${short}`));
}

/** Reads `argv`, the words of the command's own path already taken out. Throws `invalid_input`. */
export async function parse(spec: CommandSpec, argv: readonly string[]): Promise<Parsed> {
  // Loaded here: help and version have no words to read.
  const { Command, CommanderError, Option } = await import("commander");
  const command = new Command(nameOf(spec))
    .exitOverride()
    .configureOutput({ writeOut: () => undefined, writeErr: () => undefined })
    .helpOption(false)
    .allowExcessArguments(false);
  for (const arg of spec.args) command.argument(arg.isRequired ? `<${arg.name}>` : `[${arg.name}]`);
  for (const option of [...spec.options, ...GLOBAL_OPTIONS])
    command.addOption(commanderOption(Option, option));

  try {
    command.parse([...argv], { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) throw wordError(spec, argv, error, command.args.length);
    throw error;
  }
  return parsedOf(spec, command);
}

// A value is always gathered in a list, so that a repeated option needs no case of its own.
function commanderOption(Kind: typeof Option, option: OptionSpec): Option {
  const short = option.short === undefined ? "" : `-${option.short}, `;
  if (option.value === undefined) return new Kind(`${short}--${option.name}`);
  return new Kind(`${short}--${option.name} <${option.value}>`).argParser<string[]>(
    (value, before) => [...(before ?? []), value],
  );
}

function parsedOf(spec: CommandSpec, command: Command): Parsed {
  const given: Readonly<Record<string, unknown>> = command.opts();
  const switches = new Set<string>();
  const values: Record<string, readonly string[]> = {};
  for (const option of [...spec.options, ...GLOBAL_OPTIONS]) {
    // Commander keeps `--no-color` as `color: false`, and other names in camel case.
    const isNegated = option.name.startsWith("no-");
    const key = (isNegated ? option.name.slice(3) : option.name).replace(
      /-([a-z0-9])/g,
      (_, letter: string) => letter.toUpperCase(),
    );
    const value = given[key];
    if (isNegated ? value === false : value === true) switches.add(option.name);
    if (Array.isArray(value)) values[option.name] = chosen(spec, option, value.map(String));
  }
  const args: Record<string, string> = {};
  for (const [i, arg] of spec.args.entries()) {
    const value = command.args[i];
    if (value !== undefined) args[arg.name] = value;
  }
  return { args, switches, values };
}

function chosen(
  spec: CommandSpec,
  option: OptionSpec,
  values: readonly string[],
): readonly string[] {
  if (option.choices === undefined) return values;
  for (const value of values) {
    if (option.choices.includes(value)) continue;
    const close = nearest(value, option.choices);
    throw badUsage(
      `--${option.name} can't be "${value}".${close === undefined ? "" : ` Did you mean ${close}?`} It is one of ${option.choices.join(", ")}.`,
      [`cadre help ${nameOf(spec)}`],
    );
  }
  return values;
}

/** One of our sentences for what Commander refused. */
function wordError(
  spec: CommandSpec,
  argv: readonly string[],
  error: CommanderError,
  given: number,
): CadreError {
  const called = `\`cadre ${nameOf(spec)}\``;
  const next = [`cadre help ${nameOf(spec)}`];
  switch (error.code) {
    case "commander.unknownOption": {
      const flag = unknownFlag(spec, argv);
      const all = [...spec.options, ...GLOBAL_OPTIONS].map((option) => option.name);
      const close = nearest(flag.replace(/^-+/, ""), all);
      const meant = close === undefined ? "" : ` Did you mean --${close}?`;
      return badUsage(`There is no option ${flag} for ${called}.${meant}`, next);
    }
    case "commander.missingArgument": {
      const missing = spec.args.filter((arg) => arg.isRequired)[given] ?? spec.args[0];
      return badUsage(`${called} needs ${(missing?.name ?? "more").toUpperCase()}.`, next);
    }
    case "commander.excessArguments": {
      const takes = spec.args.length === 0 ? "no argument" : `${spec.args.length}`;
      return badUsage(
        `${called} takes ${takes}; there is more. Put words that belong together in quotes.`,
        next,
      );
    }
    case "commander.optionMissingArgument":
      return badUsage(`${flagWithoutValue(spec, argv)} needs a value.`, next);
    default:
      return badUsage(error.message, next);
  }
}

function unknownFlag(spec: CommandSpec, argv: readonly string[]): string {
  const known = new Set(
    [...spec.options, ...GLOBAL_OPTIONS].flatMap((option) => [
      `--${option.name}`,
      ...(option.short === undefined ? [] : [`-${option.short}`]),
    ]),
  );
  const flag = argv.find((word) => word.startsWith("-") && !known.has(word.split("=")[0] ?? word));
  return (flag ?? "").split("=")[0] ?? "";
}

function flagWithoutValue(spec: CommandSpec, argv: readonly string[]): string {
  const taking = [...spec.options, ...GLOBAL_OPTIONS].filter(
    (option) => option.value !== undefined,
  );
  const last = argv.findLast((word) => taking.some((option) => `--${option.name}` === word));
  return last ?? "An option";
}
