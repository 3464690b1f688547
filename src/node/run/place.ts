// Where a run works: its workspace, and what its tools may touch.
import type { TaskView } from "../../tasks/index.ts";
import type { ToolPlace, Workspace } from "../../tools/index.ts";
import type { RunPorts } from "./ports.ts";
import type { Claim } from "./record.ts";

export type Place = {
  readonly workspace: Workspace;
  readonly tools: ToolPlace;
  /** This task settles a merge conflict of another, in the work tree of that one. */
  readonly isResolution: boolean;
};

/** The input that names the task whose conflict is to be resolved: always the parent. */
export const RESOLVE_INPUT = "resolve";

export const isResolution = (task: Pick<TaskView, "inputs" | "parent">): boolean =>
  task.parent !== undefined && task.inputs[RESOLVE_INPUT] === task.parent;

/** The task whose work tree this one works in. */
export const treeOf = (task: Pick<TaskView, "id" | "inputs" | "parent">): TaskView["id"] =>
  isResolution(task) && task.parent !== undefined ? task.parent : task.id;

/**
 * Opens the workspace. `fresh`: an earlier run of this task was given up; what it left lies on a
 * branch of its own, and this one starts from a clean tree.
 */
export async function openPlace(
  ports: RunPorts,
  claim: Claim,
  agent: string,
  options: { readonly fresh: boolean },
): Promise<Place> {
  const { task } = claim;
  const resolves = isResolution(task);
  const owner = treeOf(task);
  // A parent's work tree holds its work: a second try at a resolution goes on in it.
  if (options.fresh && !resolves) {
    await ports.workspaces.reset({ task: owner, policy: task.workspace });
  }
  const workspace = await ports.workspaces.open({
    task: owner,
    title: task.title,
    root: task.root,
    run: claim.run,
    agent,
    policy: task.workspace,
  });
  return {
    workspace,
    isResolution: resolves,
    tools: {
      workspace: workspace.path,
      readable: workspace.readable,
      sandbox: ports.sandbox,
      profile: ports.sandbox.name === "none" ? "none" : "workspace",
      artifacts: ports.artifacts,
      task: task.id,
      run: claim.run,
    },
  };
}
