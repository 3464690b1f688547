// From the first event of an objective to what stays on the screen after its last.
import { relative } from "node:path";
import { CadreError, ERROR_CODES, type Millis } from "../../../platform/index.ts";
import type { Outcome, TaskView } from "../../../tasks/index.ts";
import type { CommandContext } from "../command.ts";
import type { CadreClient, DiffStat, Hub } from "../host.ts";
import { counted, mark, shortId } from "../look.ts";
import { note, printLines } from "../print.ts";
import { stepsOf, treeOf } from "../reading.ts";
import { exitCodeOf } from "../views/transcript.ts";
import { follow } from "./follow.ts";
import { type Interrupts, stopCounted } from "./interrupts.ts";
import { endedWithoutHub, isOutage, withStore } from "./outage.ts";
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
        hub,
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
export function commandsFor(context: CommandContext, hub: Hub): (command: string) => string {
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
  const summary = await summaryWherever(context, hub, watched);
  // In a pipe the facts were told line by line; the summary is for people to read.
  if (!context.isJson) {
    if (!isLive && !context.isQuiet) context.terminal.out("\n");
    printLines(context.terminal, renderSummary(context.look, summary));
  }
  if (hub.kind === "hosted") await finishOthers(context, hub, interrupts);
  return exitOf(summary.root, watched.isStrict);
}

/** Of two `cadre run` the one that hosts may end first, in the midst of our questions. */
async function summaryWherever(
  context: CommandContext,
  hub: Hub,
  watched: Watched,
): Promise<Summary> {
  const { home } = hub;
  const asked = summaryOf(context, hub, watched);
  if (hub.kind !== "attached" || home === undefined) return await asked;
  const done = new AbortController();
  const stored = endedWithoutHub(context, hub, watched.root.id, done.signal).then(() =>
    withStore(context, home, ({ client }) => summaryOf(context, { ...hub, client }, watched)),
  );
  // Heard below or not at all: the one that comes second does not matter.
  stored.catch(() => undefined);
  const answered = asked.catch((error: unknown) => {
    if (isOutage(error)) return stored;
    throw error;
  });
  try {
    return await Promise.race([answered, stored]);
  } finally {
    done.abort();
    answered.catch(() => undefined);
  }
}

async function summaryOf(context: CommandContext, hub: Hub, watched: Watched): Promise<Summary> {
  const root = await hub.client.call("tasks.get", { id: watched.root.id });
  const tree = await treeOf(hub.client, root.root);
  const diff = await diffOf(context, root);
  return {
    root,
    plan: tree.filter((task) => task.id !== root.id).toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    diff,
    checks: await checksOf(hub.client, root, tree),
    budgetUsd: watched.budgetUsd,
    next: nextSteps(context, hub, root, diff),
  };
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

const CHECKS_MAX = 3;

/** Who tests is said by the team: an agent that can `test`. */
async function testersOf(client: CadreClient): Promise<ReadonlySet<string>> {
  const { items } = await client.call("agents.list", {});
  const able = items.filter((agent) => agent.capabilities.includes("test"));
  return new Set(able.map((agent) => agent.name));
}

/** The last command of each task a tester ran, as it really ended. */
async function checksOf(
  client: CadreClient,
  root: TaskView,
  tree: readonly TaskView[],
): Promise<readonly Checked[]> {
  const testers = await testersOf(client);
  const { items } = await client.call("runs.list", { root: root.root, limit: 100 });
  const checks = new Map<string, Checked>();
  // Newest first: of a task that ran twice, what its last run saw is what holds.
  for (const run of items.filter(({ agent }) => testers.has(agent))) {
    if (checks.size === CHECKS_MAX) break;
    if (checks.has(run.task)) continue;
    const last = lastCommand(await stepsOf(client, run.id));
    const title = tree.find((task) => task.id === run.task)?.title ?? "";
    if (last !== undefined) checks.set(run.task, { ...last, task: run.task, title });
  }
  return [...checks.values()];
}

function lastCommand(
  steps: Awaited<ReturnType<typeof stepsOf>>,
): Pick<Checked, "command" | "exitCode"> | undefined {
  const commands = new Map<string, string>();
  let last: { readonly command: string; readonly outcome: Outcome } | undefined;
  for (const { step } of steps) {
    if (step.kind === "tool_began" && step.tool === "shell")
      commands.set(step.call, commandOf(step.arguments));
    if (step.kind !== "tool_settled") continue;
    const command = commands.get(step.call);
    if (command !== undefined) last = { command, outcome: step.outcome };
  }
  if (last === undefined) return undefined;
  return { command: last.command, exitCode: exitCodeOf(last.outcome) };
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
  const why = [typed(`cadre tasks why ${id}`), "what went wrong"] as const;
  const hasFailed = root.state === "failed";
  if (diff === undefined || diff.files === 0 || root.workspace.kind !== "worktree") {
    return hasFailed ? [why, show] : [show];
  }
  const path = relative(context.host.cwd, root.workspace.repository);
  const git = path === "" ? "git" : `git -C ${path}`;
  const look = [`${git} diff HEAD...cadre/${root.root}`, "look at it"] as const;
  if (hasFailed) return [why, show, look];
  return [
    look,
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
