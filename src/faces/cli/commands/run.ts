// `cadre run`: an objective, from its words to what changed.
import { relative, resolve } from "node:path";
import { CadreError, ERROR_CODES } from "../../../platform/index.ts";
import type { TaskView } from "../../../tasks/index.ts";
import {
  badUsage,
  type CommandContext,
  type CommandSpec,
  durationOf,
  lastValue,
  numberOf,
  type Parsed,
} from "../command.ts";
import type { Hub } from "../host.ts";
import { note } from "../print.ts";
import { countInterrupts } from "../run/interrupts.ts";
import { watch } from "../run/watch.ts";
import { playExample } from "./example.ts";
import { wholeTaskId } from "./hub.ts";
import { logOf, submit } from "./objective.ts";
import { whereOf } from "./where.ts";

export const run: CommandSpec = {
  path: ["run"],
  summary: "Plan an objective, split it, work on it with the team, and show it live.",
  args: [{ name: "objective", isRequired: false }],
  options: [
    {
      name: "repo",
      value: "PATH",
      summary: "the git repository to work on; default: the one you are in",
    },
    { name: "no-git", summary: "work right in the folder, without git: nothing can be taken back" },
    {
      name: "team",
      value: "NAME",
      summary: "a team of the library instead of the configured agents",
    },
    {
      name: "agent",
      value: "NAME",
      summary: "who gets the objective; default: the planner, else main",
    },
    {
      name: "budget",
      value: "USD",
      summary:
        "stop the run of who gets the objective at this cost; tasks it makes are not counted",
    },
    {
      name: "wait",
      value: "TIME",
      summary: "look on for at most 90s, 10m, 2h (exit 8); default: to the end",
    },
    { name: "detach", summary: "hand it to the running hub and print its id" },
    { name: "strict", summary: "exit 1 when something of it is missing (degraded)" },
    { name: "resume", value: "TASK", summary: "go on with an objective instead of starting one" },
    {
      name: "example",
      value: "NAME",
      summary: "play a shipped example; no key, no model is called",
    },
  ],
  examples: [
    'cadre run "Add rate limiting to the public API" --budget 12',
    'cadre run "Mend the flaky test" --repo ~/src/shop --team software',
    "cadre run --resume task_x7p2qa",
    "cadre run --example first-run",
  ],
  async run(context, parsed) {
    const objective = parsed.args["objective"]?.trim();
    const example = lastValue(parsed, "example");
    const resumed = lastValue(parsed, "resume");
    if (resumed !== undefined) return await resume(context, parsed, resumed);
    if (objective !== undefined && objective !== "")
      return await runObjective(context, parsed, objective);
    if (example !== undefined) return await playExample(context, parsed, example);
    throw badUsage("`cadre run` needs an OBJECTIVE, in quotes.", [
      'cadre run "Add rate limiting to the public API"',
      "cadre run --example first-run",
    ]);
  },
};

async function runObjective(
  context: CommandContext,
  parsed: Parsed,
  objective: string,
): Promise<number> {
  const budgetUsd = numberOf(parsed, "budget");
  const waitMs = durationOf(parsed, "wait");
  const workspace = await workspaceOf(context, parsed);
  const interrupts = countInterrupts(context.terminal);
  try {
    const hub = await hubFor(context, parsed);
    try {
      if (interrupts.first.aborted) return ERROR_CODES.stopped.exit;
      const { position } = await hub.client.call("system.status", {});
      const root = await submit(hub, {
        objective,
        workspace,
        budgetUsd,
        agent: lastValue(parsed, "agent"),
      });
      if (parsed.switches.has("detach")) {
        context.terminal.out(
          context.isJson ? `${JSON.stringify({ data: root })}\n` : `${root.id}\n`,
        );
        note(context, `Follow it: ${context.typed(`cadre tasks watch ${root.id}`)}`);
        return 0;
      }
      return await watch(context, hub, interrupts, {
        root,
        after: position,
        budgetUsd,
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

async function resume(context: CommandContext, parsed: Parsed, given: string): Promise<number> {
  const interrupts = countInterrupts(context.terminal);
  try {
    const hub = await hubFor(context, parsed);
    try {
      const id = await wholeTaskId(hub.client, given);
      const { position } = await hub.client.call("system.status", {});
      const task = await hub.client.call("tasks.get", { id });
      const root = await hub.client.call("tasks.get", { id: task.root });
      return await watch(context, hub, interrupts, {
        root,
        after: position,
        budgetUsd: root.budget.costUsd,
        waitMs: durationOf(parsed, "wait"),
        isStrict: parsed.switches.has("strict"),
      });
    } finally {
      await hub.stop("graceful");
    }
  } finally {
    interrupts.close();
  }
}

/** The hub that runs, else one in this process. */
async function hubFor(context: CommandContext, parsed: Parsed): Promise<Hub> {
  const where = whereOf(context);
  const team = lastValue(parsed, "team");
  const running = await context.host.attach(where);
  if (running !== undefined) {
    if (team !== undefined) note(context, `A hub runs already: its own team works, not "${team}".`);
    return running;
  }
  if (parsed.switches.has("detach")) {
    throw new CadreError(
      "not_ready",
      "Nobody would work on it: no hub runs here, and --detach starts none.",
      {
        next: ["cadre up"],
      },
    );
  }
  const options = { ...where, ...(team === undefined ? {} : { team }) };
  await context.host.requireModel(options);
  return await hostOrJoin(context, options);
}

/** Two may start at the same moment: the one that comes second joins the first. */
async function hostOrJoin(
  context: CommandContext,
  options: { readonly team?: string; readonly home?: string },
): Promise<Hub> {
  try {
    // Any free port: this hub is here for one objective, and finds its own clients by its folder.
    return await context.host.host({ ...options, port: 0, log: logOf(context) });
  } catch (error) {
    if (!(error instanceof CadreError) || error.code !== "already_running") throw error;
    const running = await context.host.attach(whereOf(context));
    if (running === undefined) throw error;
    return running;
  }
}

type Workspace = TaskView["workspace"];

async function workspaceOf(context: CommandContext, parsed: Parsed): Promise<Workspace> {
  const path = resolve(context.host.cwd, lastValue(parsed, "repo") ?? ".");
  if (parsed.switches.has("no-git")) return { kind: "directory", path };
  const repository = await context.host.repositoryOf(path);
  if (repository !== undefined) {
    if (!(await context.host.hasCommit(repository))) throw withoutCommit(context, repository);
    return { kind: "worktree", repository };
  }
  throw new CadreError(
    "invalid_input",
    `${path} is not a git repository. Agents work in git worktrees, so that your own files are never touched and all can be taken back.`,
    {
      next: [
        `${path === context.host.cwd ? "" : `cd ${path} && `}git init && git add -A && git commit -m "Start"`,
        'cadre run "…" --repo PATH',
        'cadre run "…" --no-git     work right in the folder',
      ],
    },
  );
}

function withoutCommit(context: CommandContext, repository: string): CadreError {
  const folder = relative(context.host.cwd, repository);
  const message = `The repository ${repository} has no commit yet: agents need one to start from.`;
  return new CadreError("invalid_input", message, {
    next: [`${folder === "" ? "" : `cd ${folder} && `}git add -A && git commit -m "Start"`],
  });
}
