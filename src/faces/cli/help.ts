// Help: the front page, one page for each command, and what the exit codes mean.
import { type CommandSpec, GLOBAL_OPTIONS, nameOf, type OptionSpec } from "./command.ts";
import { padEnd, widthOf, wrap } from "./text.ts";

const COLUMN = 20;

/** What the front page says of each command; `rooms.test` holds it to the registry. */
export const FRONT_PAGE: readonly {
  readonly title: string;
  readonly rows: readonly (readonly [string, string])[];
}[] = [
  {
    title: "Start",
    rows: [
      ['run "OBJECTIVE"', "plan it, split it, work on it, show it live"],
      ["up", "start the hub on this machine"],
      ["init", "write cadre.yaml and a team of agents into this folder"],
    ],
  },
  {
    title: "See",
    rows: [
      ["tasks", "list, show, why, watch, retry, cancel"],
      ["runs", "list, show, merge, undo"],
      ["agents", "list, show"],
      ["models", "list, clear"],
      ["events", "what happened; --follow"],
      ["status", "what the hub is and what it has to do"],
    ],
  },
  {
    title: "Keep",
    rows: [
      ["doctor", "check this machine and say how to mend it"],
      ["completion", "completion for bash, zsh and fish"],
    ],
  },
];

export const EXIT_CODES: readonly (readonly [number, string, string])[] = [
  [0, "done as asked", "completed; also degraded, without --strict"],
  [1, "the work failed", "task failed, doctor found a blocker"],
  [2, "the command was wrong", "unknown option, bad value"],
  [3, "not allowed", "no token, missing role"],
  [4, "not found", "no such agent, task, run"],
  [5, "not ready", "no model key, no hub, no sandbox, an old Node"],
  [6, "needs a person", "not used yet"],
  [7, "conflict", "port taken, store locked, changed meanwhile"],
  [8, "timed out", "--wait 10m passed; the work goes on"],
  [70, "a bug in Cadre", "report written, path printed"],
  [130, "you pressed Ctrl C", "the work is recorded and can go on"],
];

const row = (left: string, right: string): string[] => {
  const lines = right === "" ? [] : wrap(right, 78 - COLUMN);
  // A left side that fills its column pushes the right one to the next line.
  const first =
    widthOf(left) < COLUMN - 1
      ? [padEnd(`  ${left}`, COLUMN + 2) + (lines[0] ?? "")]
      : [`  ${left}`];
  const rest = first.length === 1 && widthOf(left) < COLUMN - 1 ? lines.slice(1) : lines;
  return [...first, ...rest.map((line) => " ".repeat(COLUMN + 2) + line)].map((line) =>
    line.trimEnd(),
  );
};

function optionRow(option: OptionSpec): string[] {
  const short = option.short === undefined ? "" : `-${option.short}, `;
  const value = option.value === undefined ? "" : ` ${option.value}`;
  return row(`${short}--${option.name}${value}`, option.summary);
}

export function frontPage(): string[] {
  return [
    "Cadre runs a team of AI agents: durable, supervised, under your policy.",
    "",
    "Usage: cadre <command> [options]",
    "",
    ...FRONT_PAGE.flatMap(({ title, rows }) => [
      title,
      ...rows.flatMap(([left, right]) => row(left, right)),
      "",
    ]),
    "Options for every command",
    ...GLOBAL_OPTIONS.flatMap(optionRow),
    ...row("--version", "print the version"),
    "",
    "Examples",
    '  cadre run "Add rate limiting to the public API"',
    "  cadre run --example first-run",
    "  cadre tasks why task_x7p2qa",
    "",
    "Help on one command: cadre help tasks          Exit codes: cadre help exit",
  ];
}

export function usageOf(spec: CommandSpec): string {
  const args = spec.args.map(({ name, isRequired }) =>
    isRequired ? name.toUpperCase() : `[${name.toUpperCase()}]`,
  );
  return ["cadre", nameOf(spec), ...args, ...(spec.options.length > 0 ? ["[options]"] : [])].join(
    " ",
  );
}

/** One command: a sentence, usage, options with defaults, examples, neighbours. */
export function commandPage(spec: CommandSpec, neighbours: readonly CommandSpec[]): string[] {
  const near = neighbours.map(nameOf).filter((name) => name !== nameOf(spec));
  return [
    ...wrap(spec.summary, 80),
    "",
    `Usage: ${usageOf(spec)}`,
    ...(spec.options.length > 0 ? ["", "Options", ...spec.options.flatMap(optionRow)] : []),
    ...(spec.examples.length > 0
      ? ["", "Examples", ...spec.examples.map((line) => `  ${line}`)]
      : []),
    ...(near.length > 0 ? ["", ...wrap(`See also: ${near.join(", ")}`, 80)] : []),
    "",
    "Options for every command: cadre help",
  ];
}

/** A room: its commands, each with its sentence. */
export function roomPage(room: string, specs: readonly CommandSpec[]): string[] {
  return [
    `Usage: cadre ${room} <command> [options]`,
    "",
    ...specs.flatMap((spec) => row(usageWithinRoom(spec), spec.summary)),
    "",
    ...(specs.some((spec) => spec.path[1] === "list")
      ? [`cadre ${room} alone is cadre ${room} list.`]
      : []),
    `Help on one command: cadre help ${room} ${specs[0]?.path[1] ?? ""}`,
  ];
}

const usageWithinRoom = (spec: CommandSpec): string =>
  [
    ...spec.path.slice(1),
    ...spec.args.map(({ name, isRequired }) =>
      isRequired ? name.toUpperCase() : `[${name.toUpperCase()}]`,
    ),
  ].join(" ");

export function exitPage(): string[] {
  return [
    "Exit codes",
    ...EXIT_CODES.map(
      ([code, means, example]) => `  ${padEnd(String(code), 5)}${padEnd(means, 23)}${example}`,
    ),
  ];
}
