// Joining a task's work with that of the others, and what happens when they disagree.
import { CadreError } from "../../platform/index.ts";
import { commitTree, messageFor, tipOf, unmergedPaths, type Work } from "./commit.ts";
import {
  authorOf,
  type Git,
  type GitWorld,
  gitFailed,
  hashOf,
  isAncestor,
  pathsOf,
} from "./git.ts";
import { rootBranch } from "./names.ts";
import { moveBranch, type Repository } from "./repository.ts";
import type { MergeOutcome } from "./workspace.ts";
import type { WorkTree } from "./worktree.ts";

/** Every lost race means that another task's merge won one, so this bounds the others, not us. */
const MERGE_TRIES_MAX = 100;

/**
 * Merges `branch` into the root's branch, without any work tree: many tasks do so at the same time,
 * and each moves the branch only from the commit it merged with.
 */
export async function mergeWork(
  world: GitWorld,
  repository: Repository,
  branch: string,
  work: Work,
): Promise<MergeOutcome> {
  const { shared } = repository;
  const into = rootBranch(work.root);
  const head = await tipOf(repository, branch);
  for (let tries = 0; tries < MERGE_TRIES_MAX; tries++) {
    const from = await tipOf(repository, into);
    if (await isAncestor(shared, head, from)) {
      const own = await isWorkOf(shared, head, work.task);
      return own ? { kind: "merged", commit: from } : { kind: "nothing" };
    }
    const joined = await joinTrees(shared, from, head);
    if (joined.kind === "conflict") return joined;
    const commit = await commitTree(shared, joined.tree, [from, head], {
      message: messageFor(work, "Merge: "),
      author: authorOf(work.agent),
    });
    if (await moveBranch(world, repository, { branch: into, from, to: commit })) {
      return { kind: "merged", commit };
    }
  }
  throw new CadreError(
    "workspace_failed",
    `${branch} lost ${MERGE_TRIES_MAX} races to merge into ${into}. Too much is merged at once; try again.`,
  );
}

async function isWorkOf(git: Git, commit: string, task: string): Promise<boolean> {
  const format = "--format=%(trailers:key=Cadre-Task,valueonly,separator=%x2C)";
  const tasks = await git.run(["log", "-1", format, commit]);
  return tasks.trim().split(",").includes(task);
}

export type Joined =
  | { readonly kind: "joined"; readonly tree: string }
  | { readonly kind: "conflict"; readonly files: readonly string[] };

/** The tree of both sides together, made in the object store alone. */
export async function joinTrees(git: Git, ours: string, theirs: string): Promise<Joined> {
  const args = ["merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", ours, theirs];
  const exit = await git.attempt(args);
  if (exit.code !== 0 && exit.code !== 1) throw gitFailed(args, git.place, exit);
  const [tree = "", ...files] = pathsOf(exit.stdout);
  if (exit.code === 0) return { kind: "joined", tree };
  return { kind: "conflict", files: [...new Set(files)].sort() };
}

/**
 * Starts to merge the root's branch into the task's work tree and leaves it there with marks:
 * whoever edits decides, the next commit concludes. Repeating it answers the same files.
 */
export async function startResolution(
  repository: Repository,
  tree: WorkTree,
  root: string,
): Promise<readonly string[]> {
  if ((await hashOf(tree.git, "MERGE_HEAD")) === undefined) {
    const tip = await tipOf(repository, rootBranch(root));
    const args = ["-c", "merge.conflictStyle=diff3", "merge", "--quiet", "--no-commit", "--no-ff"];
    const exit = await tree.git.attempt([...args, "--no-edit", tip]);
    const hasBegun = (await hashOf(tree.git, "MERGE_HEAD")) !== undefined;
    if (exit.code !== 0 && !hasBegun) throw gitFailed(["merge"], tree.git.place, exit);
  }
  return await unmergedPaths(tree.git);
}
