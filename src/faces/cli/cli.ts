// The command line: finds the command, reads its words, runs it, and says how it went wrong.
import { asCadreError, CadreError, ERROR_CODES, nearest } from "../../platform/index.ts";
import { badUsage, type CommandContext, type CommandSpec, lastValue, nameOf } from "./command.ts";
import { completionCommand } from "./commands/completion.ts";
import { listEvents } from "./commands/events.ts";
import { clearModel, listModels } from "./commands/models.ts";
import { run } from "./commands/run.ts";
import { mergeRun, showRun, undoRun } from "./commands/runs.ts";
import { doctor, status } from "./commands/status.ts";
import { init, up } from "./commands/up.ts";
import { watchTask } from "./commands/watch.ts";
import { commandPage, exitPage, frontPage, roomPage } from "./help.ts";
import type { CliHost } from "./host.ts";
import { lookOf } from "./look.ts";
import { globalValue, hasSwitch, parse, strangeOption, wordsOf } from "./parse.ts";
import { errorJson, errorLines, printLines } from "./print.ts";
import type { Terminal } from "./terminal.ts";

/** Rooms whose commands are projected: known without loading a single operation. */
const ROOMS = ["tasks", "runs", "agents", "models"] as const;

/** Commands made by hand. In a room they take the place of a projected one of the same name. */
const byHand = (host: CliHost): readonly CommandSpec[] => [
  run,
  up,
  init,
  watchTask,
  showRun,
  mergeRun,
  undoRun,
  listModels,
  clearModel,
  listEvents,
  status,
  doctor,
  completionCommand(() => allCommands(host)),
];

/** Every command there is. */
export async function allCommands(host: CliHost): Promise<readonly CommandSpec[]> {
  const hand = byHand(host);
  const taken = new Set(hand.map(nameOf));
  const [{ projected }, operations] = await Promise.all([
    import("./commands/rooms.ts"),
    host.operations(),
  ]);
  const fromRegistry = operations
    .filter((operation) => operation.command !== null)
    .map(projected)
    .filter((spec) => !taken.has(nameOf(spec)));
  return [
    ...hand.filter(({ path }) => path.length === 1),
    ...fromRegistry,
    ...hand.filter(({ path }) => path.length > 1),
  ];
}

/** Runs one command line and answers the exit code. Never throws. */
export async function runCli(
  argv: readonly string[],
  host: CliHost,
  terminal: Terminal,
): Promise<number> {
  const isJson = hasSwitch(argv, "json");
  const isVerbose = hasSwitch(argv, "verbose", "v");
  const look = lookOf(terminal, host.world.env, { noColor: hasSwitch(argv, "no-color") });
  const typed = (command: string): string => asTyped(command, host, argv);
  try {
    return await dispatch(argv, { host, terminal, look, typed });
  } catch (thrown) {
    const error = await withReport(asCadreError(thrown), host);
    if (isJson) terminal.err(`${errorJson(error)}\n`);
    else terminal.err(`${errorLines(look, error, { stack: isVerbose, typed }).join("\n")}\n`);
    return ERROR_CODES[error.code].exit;
  }
}

/** A bug says that it is one, and where to find what is known of it. */
async function withReport(error: CadreError, host: CliHost): Promise<CadreError> {
  if (error.code !== "internal") return error;
  const path = await host.reportBug(error);
  return new CadreError("internal", `This is a bug in Cadre: ${error.message}`, {
    details: error.details,
    next: [...error.next, ...(path === undefined ? [] : [`report written to ${path}`])],
    cause: error.cause ?? error,
  });
}

type Stage = Pick<CommandContext, "host" | "terminal" | "look" | "typed">;

async function dispatch(argv: readonly string[], stage: Stage): Promise<number> {
  const { host, terminal } = stage;
  const [first, second, ...more] = wordsOf(argv);
  if (first === undefined) return frontDoor(argv, stage);
  if (first.word === "help") {
    const topic = [second, ...more].flatMap((word) => (word === undefined ? [] : [word.word]));
    return await help(topic, host, terminal);
  }
  const spec = await commandFor(first.word, second?.word, host);
  // A room alone lists: then the second word, if any, is no verb.
  const verb = spec.path.length === 2 && isVerbOf(second?.word, spec) ? second : undefined;
  if (hasSwitch(argv, "help", "h")) {
    return await help(verb === undefined ? [first.word] : spec.path, host, terminal);
  }
  const parsed = await parse(
    spec,
    argv.filter((_, at) => at !== first.at && at !== verb?.at),
  );
  const context: CommandContext = {
    ...stage,
    isJson: parsed.switches.has("json"),
    isQuiet: parsed.switches.has("quiet"),
    isVerbose: parsed.switches.has("verbose"),
    isPlain: parsed.switches.has("plain"),
    url: lastValue(parsed, "hub") ?? host.world.env("CADRE_HUB"),
    home: lastValue(parsed, "home"),
  };
  return await spec.run(context, parsed);
}

function frontDoor(argv: readonly string[], { host, terminal }: Stage): number {
  if (hasSwitch(argv, "version")) {
    terminal.out(`${host.version}\n`);
    return 0;
  }
  const strange = strangeOption(argv);
  if (strange !== undefined) throw badUsage(`There is no option ${strange}.`, ["cadre help"]);
  printLines(terminal, frontPage());
  return 0;
}

/** `cadre …` as it reaches the same hub from here. */
function asTyped(command: string, host: CliHost, argv: readonly string[]): string {
  if (!/^cadre\b/.test(command)) return command;
  // These work on this machine; another hub has no part in them.
  const names = /^cadre (?:up|init|doctor)\b/.test(command) ? ["home"] : ["home", "hub"];
  const where = names.flatMap((name) => {
    const value = globalValue(argv, name);
    return value === undefined ? [] : [` --${name} ${value}`];
  });
  return `${host.program}${where.join("")}${command.slice("cadre".length)}`;
}

/** `get` is how the API calls it; people show things. */
const isVerbOf = (word: string | undefined, spec: CommandSpec): boolean =>
  word !== undefined && (word === spec.path[1] || (word === "get" && spec.path[1] === "show"));

/** The command of these words; a room alone lists. Throws `invalid_input` naming the nearest. */
async function commandFor(
  first: string,
  second: string | undefined,
  host: CliHost,
): Promise<CommandSpec> {
  const alone = byHand(host).find(({ path }) => path.length === 1 && path[0] === first);
  if (alone !== undefined) return alone;
  if (!ROOMS.some((room) => room === first)) {
    const names = [
      ...byHand(host)
        .filter(({ path }) => path.length === 1)
        .map(nameOf),
      ...ROOMS,
      "help",
    ];
    const close = nearest(first, names);
    throw badUsage(
      `There is no command "${first}".${close === undefined ? "" : ` Did you mean ${close}?`}`,
      ["cadre help"],
    );
  }
  const specs = (await allCommands(host)).filter(({ path }) => path[0] === first);
  const verb = second === "get" ? "show" : (second ?? "list");
  const spec = specs.find(({ path }) => path[1] === verb);
  if (spec !== undefined) return spec;
  const verbs = specs.map(({ path }) => path[1] ?? "");
  const close = nearest(verb, verbs);
  const meant = close === undefined ? "" : ` Did you mean ${close}?`;
  throw badUsage(
    `There is no \`cadre ${first} ${verb}\`.${meant} There are: ${verbs.join(", ")}.`,
    [`cadre help ${first}`],
  );
}

async function help(topic: readonly string[], host: CliHost, terminal: Terminal): Promise<number> {
  const [first, second] = topic;
  if (first === undefined) {
    printLines(terminal, frontPage());
  } else if (first === "exit") {
    printLines(terminal, exitPage());
  } else if (second === undefined && ROOMS.some((room) => room === first)) {
    printLines(
      terminal,
      roomPage(
        first,
        (await allCommands(host)).filter(({ path }) => path[0] === first),
      ),
    );
  } else {
    const spec = await commandFor(first, second, host);
    const near = byHand(host).filter(
      ({ path }) => path.length === spec.path.length && (path.length === 1 || path[0] === first),
    );
    const neighbours =
      spec.path.length === 1
        ? near
        : (await allCommands(host)).filter(({ path }) => path[0] === first);
    printLines(terminal, commandPage(spec, neighbours));
  }
  return 0;
}
