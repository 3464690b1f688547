// How a run ends well: commit, merge, complete. A merge conflict becomes a task (A12).
import { CadreError } from "../../platform/index.ts";
import type { Change } from "../../tasks/index.ts";
import type { RunContext } from "./context.ts";
import { timesTold } from "./facts.ts";
import { RESOLVE_INPUT } from "./place.ts";
import type { RunEnd } from "./ports.ts";
import { conflictInstructions, conflictTitle, conflictTold, resolutionTold } from "./told.ts";
import { TELLERS } from "./transcript.ts";
import { completeWith, delegate, failWith } from "./write.ts";

/** How often one task may meet a conflict before it fails: others may merge as fast as it does. */
export const CONFLICT_ROUNDS_MAX = 3;

/** Undefined when the run goes on: its agent has a conflict to resolve first. */
export async function finish(run: RunContext, text: string): Promise<RunEnd | undefined> {
  if (run.claim.task.workspace.kind !== "worktree") {
    const change = await run.place.workspace.commit();
    return await complete(run, text, change);
  }
  const change = await commit(run);
  if (change === "unresolved") return await resolveAgain(run);
  // The answer is durable before others see what came of it.
  await run.record.flush();
  run.control.assertHeld();
  const merged = await run.place.workspace.merge();
  if (merged.kind !== "conflict") return await complete(run, text, change);
  if (run.place.isResolution) return await resolveAgain(run);
  return await delegateConflict(run, merged.files);
}

/** A conflict whose marks still stand is for the agent to finish, not a fault of the workspace. */
async function commit(run: RunContext): Promise<Change | undefined | "unresolved"> {
  try {
    return await run.place.workspace.commit();
  } catch (error) {
    const hasMarks = error instanceof CadreError && error.details["files"] !== undefined;
    if (run.place.isResolution && hasMarks) return "unresolved";
    throw error;
  }
}

async function complete(
  run: RunContext,
  text: string,
  change: Change | undefined,
): Promise<RunEnd> {
  await completeWith(run, { text, ...(change === undefined ? {} : { change }) });
  const { task } = run.claim;
  if (task.workspace.kind === "worktree" && !run.place.isResolution) {
    // The branch keeps the work. A tree that stays costs disk, no more: the task has ended well.
    await run.ports.workspaces
      .collect([{ task: task.id, policy: task.workspace }])
      .catch((error: unknown) =>
        run.ports.log.warn({ err: error, task: task.id }, "A work tree could not be removed."),
      );
  }
  return "completed";
}

/** Whoever resolves a conflict and meets the next one goes on in the same work tree. */
async function resolveAgain(run: RunContext): Promise<RunEnd | undefined> {
  if (timesTold(run.record.facts, TELLERS.workspace) >= CONFLICT_ROUNDS_MAX) {
    return await unresolved(run);
  }
  const files = await run.place.workspace.beginResolution();
  run.record.add({ kind: "told", from: TELLERS.workspace, text: resolutionTold(files) });
  return undefined;
}

async function delegateConflict(run: RunContext, files: readonly string[]): Promise<RunEnd> {
  const { task } = run.claim;
  if (timesTold(run.record.facts, TELLERS.conflict) >= CONFLICT_ROUNDS_MAX) {
    return await unresolved(run);
  }
  run.record.add({ kind: "told", from: TELLERS.conflict, text: conflictTold(files) });
  return await delegate(run, [
    {
      key: "conflict",
      title: conflictTitle(task.title, files),
      type: "conflict",
      instructions: conflictInstructions(task.title, files),
      agent: run.agent.name,
      priority: task.priority,
      inputs: { [RESOLVE_INPUT]: task.id },
    },
  ]);
}

const unresolved = (run: RunContext): Promise<RunEnd> =>
  failWith(run, {
    code: "workspace_failed",
    message: `The work conflicts with that of others, and ${CONFLICT_ROUNDS_MAX} rounds did not resolve it. It is kept on the task's branch: merge it by hand, or retry the task.`,
    retry: "never",
  });
