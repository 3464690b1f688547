// The first run: a shipped example, played from start to end. Only the models' words are scripted.
import { relative } from "node:path";
import { CadreError } from "../../../platform/index.ts";
import { type CommandContext, durationOf, type Parsed } from "../command.ts";
import type { Hub } from "../host.ts";
import { shortId } from "../look.ts";
import { note } from "../print.ts";
import { countInterrupts } from "../run/interrupts.ts";
import { commandsFor, watch } from "../run/watch.ts";
import { logOf, submit } from "./objective.ts";
import { noteUnfinished, whereOf } from "./where.ts";

/** Plays an example in a home of its own, so that it never meets the person's own work. */
export async function playExample(
  context: CommandContext,
  parsed: Parsed,
  name: string,
): Promise<number> {
  const { host } = context;
  const waitMs = durationOf(parsed, "wait");
  const { home } = await host.settings(whereOf(context));
  await noteUnfinished(context);
  const example = await host.copyExample(name, home);
  const interrupts = countInterrupts(context.terminal);
  try {
    note(context, "A rehearsal: scripts speak, no model is called. Everything else is real.");
    note(context, `Its files: ${relative(host.cwd, example.home) || example.home}`);
    const hub = await host.host({ home: example.home, port: 0, log: logOf(context) });
    try {
      await requireSandbox(context, hub);
      const { position } = await hub.client.call("system.status", {});
      const root = await submit(hub, {
        objective: example.objective,
        workspace: { kind: "worktree", repository: example.project },
        budgetUsd: undefined,
        agent: undefined,
      });
      const typed = commandsFor(context, hub);
      note(context, `If it is cut off: ${typed(`cadre run --resume ${shortId(root.id)}`)}\n`);
      return await watch(context, hub, interrupts, {
        root,
        after: position,
        budgetUsd: undefined,
        waitMs,
        isStrict: parsed.switches.has("strict"),
      });
    } finally {
      await hub.stop("graceful");
    }
  } finally {
    interrupts.close();
  }
}

async function requireSandbox(context: CommandContext, hub: Hub): Promise<void> {
  const system = await hub.client.call("system.status", {});
  if (system.sandbox !== "refused") return;
  const checks = await context.host.checks(whereOf(context));
  const found = checks.find((check) => check.name === "Sandbox");
  throw new CadreError(
    "sandbox_unavailable",
    `No sandbox works on this machine, and the example runs its project's tests.${found === undefined ? "" : `\nTried: ${found.found}`}`,
    {
      next: [
        ...(found?.mend ?? []),
        "CADRE_SANDBOX=none npm start     accept commands without walls, for this example",
        "cadre doctor",
      ],
    },
  );
}
