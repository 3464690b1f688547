// From the first event of an objective to what stays on the screen after its last.
import { relative } from "node:path";
import { CadreError, ERROR_CODES, type Millis } from "../../../platform/index.ts";
import type { Outcome, RunView, TaskView } from "../../../tasks/index.ts";
import type { CommandContext } from "../command.ts";
import type { CadreClient, DiffStat, Hub } from "../host.ts";
import { counted, mark, shortId } from "../look.ts";
import { note, printLines } from "../print.ts";
import { stepsOf, treeOf } from "../reading.ts";
import { exitCodeOf } from "../views/transcript.ts";
import { follow } from "./follow.ts";
import { type Interrupts, stopCounted } from "./interrupts.ts";
import { type Checked, renderSummary, type Summary } from "./summary.ts";
import { isEnded } from "./view.ts";

export type Watched = {
  readonly root: TaskView;
  readonly after: number;
  readonly budgetUsd: number | undefined;
  readonly waitMs: Millis | undefined;
  readonly isStrict: boolean;
};

/** Shows an objective to its end and answers the exit code. */
export async function watch(
  context: CommandContext,
  hub: Hub,
  interrupts: Interrupts,
  watched: Watched,
): Promise<number> {
  const { root } = watched;
  const isLive =
    context.terminal.isInteractive && !context.isPlain && !context.isJson && !context.isQuiet;
  const ending = isEnded(root)
    ? "ended"
    : await follow(
        context,
        hub.client,
        {
          root,
          after: watched.after,
          budgetUsd: watched.budgetUsd,
          waitMs: watched.waitMs,
          interrupted: interrupts.first,
          keys: `p pause   t tasks   q ${hub.kind === "hosted" ? "stop (it can go on later)" : "leave (work goes on)"}`,
        },
        modeOf(context, isLive),
      );
  switch (ending) {
    case "ended":
      return await finish(context, hub, interrupts, watched, isLive);
    case "timed_out":
      await leave(context, hub, interrupts, root);
      return ERROR_CODES.timed_out.exit;
    case "left":
    case "interrupted":
      await leave(context, hub, interrupts, root);
      return hub.kind === "hosted" || ending === "interrupted" ? ERROR_CODES.stopped.exit : 0;
  }
}

function modeOf(context: CommandContext, isLive: boolean): "frame" | "lines" | "json" | "silent" {
  if (context.isJson) return "json";
  if (context.isQuiet) return "silent";
  return isLive ? "frame" : "lines";
}

/** The view ends before the work: a hub of our own stops, another one works on. */
async function leave(
  context: CommandContext,
  hub: Hub,
  interrupts: Interrupts,
  root: TaskView,
): Promise<void> {
  const typed = commandsFor(context, hub);
  const id = shortId(root.id);
  if (hub.kind !== "hosted") {
    note(context, `The work goes on. Look again: ${typed(`cadre tasks watch ${id}`)}`);
    return;
  }
  await stopCounted(context, hub, interrupts);
  const next = mark(context.look, "next");
  note(context, "Stopped; all that was done is recorded. To go on:");
  note(context, `  ${next} ${typed(`cadre run --resume ${id}`)}`);
  note(context, `  ${next} ${typed("cadre up")}`);
}

/** Commands that reach this hub's state from the same folder: an example has a home of its own. */
function commandsFor(context: CommandContext, hub: Hub): (command: string) => string {
  const { program, cwd } = context.host;
  const isOwn = hub.home === undefined || hub.isDefaultHome || context.home !== undefined;
  if (isOwn) return context.typed;
  const where = ` --home ${relative(cwd, hub.home) || "."}`;
  return (command) => command.replace(/^cadre\b/, `${program}${where}`);
}

// ---- The end ------------------------------------------------------------------------------

async function finish(
  context: CommandContext,
  hub: Hub,
  interrupts: Interrupts,
  watched: Watched,
  isLive: boolean,
): Promise<number> {
  const root = await hub.client.call("tasks.get", { id: watched.root.id });
  const tree = await treeOf(hub.client, root.root);
  const diff = await diffOf(context, root);
  const summary: Summary = {
    root,
    plan: tree.filter((task) => task.id !== root.id).toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    diff,
    checks: await checksOf(hub.client, root),
    budgetUsd: watched.budgetUsd,
    next: nextSteps(context, hub, root, diff),
  };
  // In a pipe the facts were told line by line; the summary is for people to read.
  if (!context.isJson) {
    if (!isLive && !context.isQuiet) context.terminal.out("\n");
    printLines(context.terminal, renderSummary(context.look, summary));
  }
  if (hub.kind === "hosted") await finishOthers(context, hub, interrupts);
  return exitOf(root, watched.isStrict);
}

/** 0 done, also with something missing unless that was forbidden; else 1. */
export function exitOf(root: Pick<TaskView, "state" | "degraded">, isStrict: boolean): number {
  if (root.state !== "completed") return 1;
  return root.degraded && isStrict ? 1 : 0;
}

async function diffOf(context: CommandContext, root: TaskView): Promise<DiffStat | undefined> {
  if (root.workspace.kind !== "worktree") return undefined;
  try {
    return await context.host.diffstat({ repository: root.workspace.repository, root: root.root });
  } catch (error) {
    // Nothing was committed: there is no branch, and so nothing to count.
    if (error instanceof CadreError && error.code === "not_found") return undefined;
    throw error;
  }
}

const isTester = (run: RunView): boolean => run.agent.includes("test");
const CHECKS_MAX = 3;

/** The last command of each tester, as it really ended. */
async function checksOf(client: CadreClient, root: TaskView): Promise<readonly Checked[]> {
  const { items } = await client.call("runs.list", { root: root.root, limit: 100 });
  const checks: Checked[] = [];
  for (const run of items.filter(isTester).slice(0, CHECKS_MAX)) {
    const checked = lastCommand(run, await stepsOf(client, run.id));
    if (checked !== undefined) checks.push(checked);
  }
  return checks;
}

function lastCommand(
  run: RunView,
  steps: Awaited<ReturnType<typeof stepsOf>>,
): Checked | undefined {
  const commands = new Map<string, string>();
  let last: { readonly command: string; readonly outcome: Outcome } | undefined;
  for (const { step } of steps) {
    if (step.kind === "tool_began" && step.tool === "shell")
      commands.set(step.call, commandOf(step.arguments));
    if (step.kind !== "tool_settled") continue;
    const command = commands.get(step.call);
    if (command !== undefined) last = { command, outcome: step.outcome };
  }
  return last === undefined
    ? undefined
    : { command: last.command, exitCode: exitCodeOf(last.outcome), agent: run.agent };
}

function commandOf(args: unknown): string {
  const command = (args as { readonly command?: unknown } | null)?.command;
  return typeof command === "string" ? command : "shell";
}

function nextSteps(
  context: CommandContext,
  hub: Hub,
  root: TaskView,
  diff: DiffStat | undefined,
): Summary["next"] {
  const typed = commandsFor(context, hub);
  const id = shortId(root.id);
  const show = [typed(`cadre runs show ${id}`), "what was said and done"] as const;
  if (root.state === "failed") return [[typed(`cadre tasks why ${id}`), "what went wrong"], show];
  if (diff === undefined || diff.files === 0 || root.workspace.kind !== "worktree") return [show];
  const path = relative(context.host.cwd, root.workspace.repository);
  const git = path === "" ? "git" : `git -C ${path}`;
  return [
    [`${git} diff HEAD...cadre/${root.root}`, "look at it"],
    [typed(`cadre runs merge ${id}`), "merge it into your branch"],
    [typed(`cadre runs undo ${id}`), "take that back"],
    show,
  ];
}

/** A hub of ours may have got work from others meanwhile: it is not dropped. */
async function finishOthers(
  context: CommandContext,
  hub: Hub,
  interrupts: Interrupts,
): Promise<void> {
  const open = async (): Promise<number> => {
    const { items } = await hub.client.call("tasks.list", { open: true, limit: 500 });
    return items.filter((task) => !task.paused).length;
  };
  const count = await open();
  if (count === 0) return;
  note(
    context,
    `\n${counted(count, "other task")} ${count === 1 ? "is" : "are"} still open here; this hub goes on until they are done. Ctrl C stops it.`,
  );
  const types = ["task.completed", "task.failed", "task.cancelled", "task.skipped", "task.paused"];
  const { position } = await hub.client.call("system.status", {});
  if (interrupts.first.aborted || (await open()) === 0) return;
  for await (const _ of hub.client.follow(
    { types },
    { after: position, signal: interrupts.first },
  )) {
    if ((await open()) === 0) return;
  }
}
