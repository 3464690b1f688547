// The hub in the foreground, and the first files of a project.
import { relative } from "node:path";
import { CadreError } from "../../../platform/index.ts";
import {
  type CommandContext,
  type CommandSpec,
  lastValue,
  numberOf,
  type Parsed,
} from "../command.ts";
import type { HostOptions, Hub } from "../host.ts";
import { counted, mark } from "../look.ts";
import { hanging, note, printJson, printLines, stepLines } from "../print.ts";
import { aborted, countInterrupts, stopCounted } from "../run/interrupts.ts";
import { clean } from "../text.ts";
import { factLines } from "../views/lists.ts";
import { noteUnfinished, whereOf } from "./where.ts";

export const up: CommandSpec = {
  path: ["up"],
  summary: "Start the hub on this machine; open tasks go on where they were.",
  args: [],
  options: [
    { name: "port", value: "N", summary: "port to listen on, 0 for any free one; default 4141" },
    { name: "host", value: "NAME", summary: "address to listen on; default 127.0.0.1" },
    {
      name: "team",
      value: "NAME",
      summary: "a team of the library instead of the configured agents",
    },
    { name: "store", value: "URL", summary: "sqlite, or postgres://… to run several hubs" },
  ],
  examples: ["cadre up", "cadre up --port 4142"],
  async run(context, parsed) {
    // Listened to from the start: a signal while it starts must also end in a clean stop.
    const interrupts = countInterrupts(context.terminal);
    try {
      const options = { ...hostOptions(parsed), ...whereOf(context) };
      const hub = await context.host.host({ ...options, log: "stderr" });
      try {
        await announce(context, hub);
        await warnOfModels(context, options);
        await noteUnfinished(context);
        note(context, "Ctrl C stops it; again, at once.");
        await aborted(interrupts.first);
      } finally {
        await stopCounted(context, hub, interrupts);
      }
      return 0;
    } finally {
      interrupts.close();
    }
  },
};

function hostOptions(parsed: Parsed): {
  port?: number;
  host?: string;
  team?: string;
  store?: string;
} {
  const port = lastValue(parsed, "port") === "0" ? 0 : numberOf(parsed, "port");
  const host = lastValue(parsed, "host");
  const team = lastValue(parsed, "team");
  const store = lastValue(parsed, "store");
  return {
    ...(port === undefined ? {} : { port }),
    ...(host === undefined ? {} : { host }),
    ...(team === undefined ? {} : { team }),
    ...(store === undefined ? {} : { store }),
  };
}

async function announce(context: CommandContext, hub: Hub): Promise<void> {
  const system = await hub.client.call("system.status", {});
  const { items: agents } = await hub.client.call("agents.list", {});
  const { open } = await hub.client.call("tasks.counts", {});
  const tasks = Object.values(open).reduce((sum, count) => sum + (count ?? 0), 0);
  if (context.isJson) {
    printJson(context.terminal, { ...system, url: hub.url, tasks });
    return;
  }
  printLines(context.terminal, [
    `${mark(context.look, "completed")} Cadre ${system.version} is up at ${hub.url ?? "no address"}`,
    ...factLines(context.look, [
      ["State", `${system.home} (${system.engine})`],
      [
        "Agents",
        agents.length === 0
          ? "none: cadre init writes a team"
          : agents.map((agent) => clean(agent.name)).join(", "),
      ],
      [
        "Sandbox",
        system.sandbox === "refused"
          ? "none works here: commands of agents are refused; see cadre doctor"
          : system.sandbox,
      ],
      ["API", hub.url === undefined ? undefined : `${hub.url}/api/v2/docs`],
    ]),
    ...(tasks > 0
      ? [
          `  ${counted(tasks, "task")} ${tasks === 1 ? "goes" : "go"} on where ${tasks === 1 ? "it was" : "they were"}.`,
        ]
      : []),
  ]);
}

/** A hub without a model still keeps tasks, but each one given to an agent would fail. */
async function warnOfModels(
  context: CommandContext,
  options: Omit<HostOptions, "log">,
): Promise<void> {
  try {
    await context.host.requireModel(options);
  } catch (error) {
    if (!(error instanceof CadreError) || error.code !== "no_model") throw error;
    const { look } = context;
    const said = hanging(look, mark(look, "warning"), error.message);
    const steps = error.next.flatMap((next) => stepLines(look, context.typed(next)));
    note(context, [...said, ...steps].join("\n"));
  }
}

export const init: CommandSpec = {
  path: ["init"],
  summary: "Write cadre.yaml and a team of agents into this folder; what is there is kept.",
  args: [],
  options: [{ name: "team", value: "NAME", summary: "a team of the library; default software" }],
  examples: ["cadre init", "cadre init --team software"],
  async run(context, parsed) {
    const { host, look, terminal } = context;
    const done = await host.initialise({
      folder: host.cwd,
      team: lastValue(parsed, "team") ?? "software",
    });
    if (context.isJson) {
      printJson(terminal, done);
      return 0;
    }
    const shown = (path: string): string => relative(host.cwd, path) || path;
    printLines(terminal, [
      ...done.wrote.map((path) => `${mark(look, "completed")} ${shown(path)}`),
      ...done.kept.map((path) => `${mark(look, "idle")} ${shown(path)} (kept as it was)`),
    ]);
    note(context, `Next  ${host.program} doctor\n      ${host.program} run "OBJECTIVE"`);
    return 0;
  },
};
