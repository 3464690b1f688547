// An objective as a root task: who gets it, and where its hub writes its log.
import { CadreError } from "../../../platform/index.ts";
import type { TaskView } from "../../../tasks/index.ts";
import type { CommandContext } from "../command.ts";
import type { Hub } from "../host.ts";

/** Log lines would tear a frame apart. */
export const logOf = (context: CommandContext): "stderr" | "file" =>
  context.terminal.isInteractive && !context.isVerbose ? "file" : "stderr";

export type Asked = {
  readonly objective: string;
  readonly workspace: TaskView["workspace"];
  readonly budgetUsd: number | undefined;
  readonly agent: string | undefined;
};

const TITLE_CHARACTERS = 200;

/** Queues the objective for the planner, else for `main`, else for whoever is free. */
export async function submit(hub: Hub, asked: Asked): Promise<TaskView> {
  const { items: team } = await hub.client.call("agents.list", {});
  const chosen =
    asked.agent ??
    team.find((agent) => agent.roles.includes("planner"))?.name ??
    team.find((agent) => agent.name === "main")?.name;
  if (asked.agent !== undefined && !team.some((agent) => agent.name === asked.agent)) {
    throw new CadreError(
      "not_found",
      `There is no agent "${asked.agent}". There are: ${team.map((agent) => agent.name).join(", ") || "none"}.`,
      {
        next: ["cadre agents"],
      },
    );
  }
  const [firstLine = asked.objective] = asked.objective.split("\n");
  const isLong = firstLine !== asked.objective || firstLine.length > TITLE_CHARACTERS;
  return await hub.client.call("tasks.submit", {
    title: firstLine.slice(0, TITLE_CHARACTERS),
    ...(isLong ? { instructions: asked.objective } : {}),
    type: "objective",
    workspace: asked.workspace,
    ...(chosen === undefined ? {} : { agent: chosen }),
    ...(asked.budgetUsd === undefined ? {} : { budget: { costUsd: asked.budgetUsd } }),
  });
}
