// What a run did, readable; and its work taken into the user's branch, or back out of it.
import { resolve } from "node:path";
import { CadreError } from "../../../platform/index.ts";
import type { TaskView } from "../../../tasks/index.ts";
import { type CommandContext, type CommandSpec, lastValue, type Parsed } from "../command.ts";
import type { Integration } from "../host.ts";
import { mark } from "../look.ts";
import { printJson, printLines } from "../print.ts";
import { stepsOf } from "../reading.ts";
import { transcriptPage } from "../views/transcript.ts";
import { wholeRunId, wholeTaskId, withHub } from "./hub.ts";

export const showRun: CommandSpec = {
  path: ["runs", "show"],
  summary: "Show a run's transcript: what was said, which tools were called, what came of it.",
  args: [{ name: "id", isRequired: true }],
  options: [{ name: "full", summary: "every line of every output" }],
  examples: ["cadre runs show run_x7p2qa", "cadre runs show task_x7p2qa     the task's newest run"],
  run: (context, parsed) =>
    withHub(context, async ({ client }) => {
      const id = await wholeRunId(client, parsed.args["id"] ?? "");
      const run = await client.call("runs.get", { id });
      const steps = await stepsOf(client, id);
      if (context.isJson) {
        printJson(context.terminal, { ...run, transcript: steps });
        return 0;
      }
      const task = await client.call("tasks.get", { id: run.task });
      const options = { isFull: parsed.switches.has("full") };
      printLines(context.terminal, transcriptPage(context.look, run, task, steps, options));
      return 0;
    }),
};

const anyway = {
  name: "anyway",
  summary: "also when the objective has failed, or is not done yet",
} as const;

const repositoryOption = {
  name: "repo",
  value: "PATH",
  summary: "the repository, when it is not the task's own",
} as const;

/** Which repository and which root task are meant. */
async function changeOf(
  context: CommandContext,
  parsed: Parsed,
): Promise<{ readonly repository: string; readonly root: TaskView }> {
  const given = parsed.args["id"] ?? "";
  const asked = lastValue(parsed, "repo");
  return await withHub(context, async ({ client }) => {
    const task = await client.call("tasks.get", { id: await wholeTaskId(client, given) });
    const repository =
      asked === undefined ? repositoryOfTask(task) : resolve(context.host.cwd, asked);
    if (repository !== undefined) {
      const root = await client.call("tasks.get", { id: task.root });
      return { repository, root };
    }
    throw new CadreError(
      "illegal_transition",
      `${task.id} did not work in a git repository: there is nothing to merge.`,
    );
  });
}

type WithWorkspace = {
  readonly workspace: { readonly kind: string; readonly repository?: string };
};

const repositoryOfTask = (task: WithWorkspace): string | undefined =>
  task.workspace.kind === "worktree" ? task.workspace.repository : undefined;

function printIntegration(context: CommandContext, done: Integration): number {
  const { look, terminal } = context;
  if (context.isJson) printJson(terminal, done);
  else
    printLines(terminal, [
      `${mark(look, "completed")} ${done.sentence}`,
      ...done.next.map((next) => `  ${mark(look, "next")} ${context.typed(next)}`),
    ]);
  return 0;
}

function notDone(root: TaskView): CadreError {
  const how = root.state === "failed" ? "has failed" : `is ${root.state}`;
  return new CadreError(
    "illegal_transition",
    `${root.id} ${how}: what it did so far may be half done.`,
    {
      next: [
        `cadre tasks why ${root.id}`,
        `cadre runs merge ${root.id} --anyway     merge it as it is`,
      ],
    },
  );
}

export const mergeRun: CommandSpec = {
  path: ["runs", "merge"],
  summary: "Merge an objective's work, the branch cadre/<task>, into the branch you are on.",
  args: [{ name: "id", isRequired: true }],
  options: [repositoryOption, anyway],
  examples: ["cadre runs merge task_x7p2qa"],
  async run(context, parsed) {
    const { repository, root } = await changeOf(context, parsed);
    if (root.state !== "completed" && !parsed.switches.has("anyway")) throw notDone(root);
    return printIntegration(context, await context.host.merge({ repository, root: root.id }));
  },
};

export const undoRun: CommandSpec = {
  path: ["runs", "undo"],
  summary: "Take back what `cadre runs merge` brought into your branch.",
  args: [{ name: "id", isRequired: true }],
  options: [repositoryOption],
  examples: ["cadre runs undo task_x7p2qa"],
  async run(context, parsed) {
    const { repository, root } = await changeOf(context, parsed);
    return printIntegration(context, await context.host.undo({ repository, root: root.id }));
  },
};
