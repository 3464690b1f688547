// What the hub is, what it has to do, and whether this machine is fit for it.
import { CadreError, type Check } from "../../../platform/index.ts";
import type { CommandContext, CommandSpec } from "../command.ts";
import { counted, type Look, mark, span } from "../look.ts";
import { printJson, printLines } from "../print.ts";
import { clean, padEnd, wrap } from "../text.ts";
import { countsLine, factLines } from "../views/lists.ts";
import { noteUnfinished, unfinishedSteps, whereOf } from "./where.ts";

export const status: CommandSpec = {
  path: ["status"],
  summary: "Say what the running hub is and what it has to do.",
  args: [],
  options: [],
  examples: ["cadre status", "cadre status --json"],
  async run(context) {
    const hub = await context.host.attach(whereOf(context));
    if (hub === undefined) throw await notRunning(context);
    try {
      const system = await hub.client.call("system.status", {});
      const counts = await hub.client.call("tasks.counts", {});
      if (context.isJson) {
        printJson(context.terminal, { ...system, tasks: counts });
        return 0;
      }
      const { items } = await hub.client.call("agents.list", {});
      const up = context.host.world.clock.now() - Date.parse(system.startedAt);
      printLines(context.terminal, [
        ...factLines(context.look, [
          ["Hub", `Cadre ${system.version}, pid ${system.pid}, up ${span(up)}`],
          ["Address", hub.url ?? ""],
          ["State", `${system.home} (${system.engine})`],
          ["Agents", items.length === 0 ? "none" : items.map((agent) => agent.name).join(", ")],
          ["Sandbox", system.sandbox],
          ["Tasks", countsLine(counts)],
        ]),
      ]);
      await noteUnfinished(context);
      return 0;
    } finally {
      await hub.stop("graceful");
    }
  },
};

async function notRunning(context: CommandContext): Promise<CadreError> {
  const { home } = await context.host.settings(whereOf(context));
  return new CadreError("not_ready", `No hub runs for ${home}.`, {
    next: [...(await unfinishedSteps(context)), "cadre up", "cadre status --hub URL"],
  });
}

const CHECK_MARKS = { ok: "completed", warn: "warning", fail: "failed" } as const;
const NAME_WIDTH = 13;

export function checkLines(look: Look, checks: readonly Check[]): string[] {
  const problems = checks.filter((check) => check.level === "fail").length;
  const warnings = checks.filter((check) => check.level === "warn").length;
  const found = [
    ...(problems > 0 ? [counted(problems, "problem")] : []),
    ...(warnings > 0 ? [counted(warnings, "warning")] : []),
  ];
  const verdict = problems > 0 ? "Agents can't run." : fitFor(checks);
  return [
    ...checks.flatMap((check) => oneCheck(look, check)),
    "",
    found.length === 0 ? `No problems. ${verdict}` : `${found.join(", ")}. ${verdict}`,
  ];
}

/** Without any key nothing is broken, but no real agent has a model to ask. */
function fitFor(checks: readonly Check[]): string {
  const hasNoModel = checks.some((check) => check.name === "Models" && check.level === "warn");
  return hasNoModel ? "Only rehearsals can run: no model can be called." : "Agents can run.";
}

function oneCheck(look: Look, check: Check): string[] {
  const width = look.columns - 4 - NAME_WIDTH;
  const blank = " ".repeat(4 + NAME_WIDTH);
  const found = wrap(clean(check.found), width);
  return [
    ...found.map((line, i) =>
      i === 0
        ? `  ${mark(look, CHECK_MARKS[check.level])} ${padEnd(clean(check.name), NAME_WIDTH)}${line}`
        : blank + line,
    ),
    ...(check.level === "ok"
      ? []
      : check.mend.map((mend) => `${blank}${mark(look, "next")} ${clean(mend)}`)),
  ];
}

export const doctor: CommandSpec = {
  path: ["doctor"],
  summary: "Check this machine by trying what agents need, and say how to mend it.",
  args: [],
  options: [],
  examples: ["cadre doctor"],
  async run(context) {
    const checks = await context.host.checks(whereOf(context));
    if (context.isJson) printJson(context.terminal, { items: checks, next: null });
    else printLines(context.terminal, checkLines(context.look, checks));
    return checks.some((check) => check.level === "fail") ? 1 : 0;
  },
};
