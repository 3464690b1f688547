// A task's work becomes a commit, and the count of what it changed.
//
// Built from git's own small parts (index, tree, commit, ref) so that a kill between any two of
// them leaves either the old state or the new one, and repeating the whole is harmless.
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { CadreError } from "../../platform/index.ts";
import type { Change } from "../../tasks/index.ts";
import {
  type Author,
  authorOf,
  type Git,
  type GitWorld,
  hashOf,
  isAncestor,
  pathsOf,
} from "./git.ts";
import { baseRef, branchRef, rootBranch } from "./names.ts";
import { moveBranch, type Repository } from "./repository.ts";
import type { WorkTree } from "./worktree.ts";

export type Work = {
  readonly task: string;
  readonly title: string;
  readonly root: string;
  readonly run: string;
  readonly agent: string;
};

/**
 * Commits all that changed onto the task's branch, and answers the branch's tip. A merge that was
 * begun is concluded, unless marks of its conflict are left.
 */
export async function commitWork(
  world: GitWorld,
  repository: Repository,
  tree: WorkTree,
  work: Work,
): Promise<string> {
  await refuseLeftMarks(tree);
  return await commitAsItIs(world, repository, tree, work);
}

/** The same, marks and all: for work that is put away. */
export async function commitAsItIs(
  world: GitWorld,
  repository: Repository,
  tree: WorkTree,
  work: Work,
): Promise<string> {
  await stageAll(tree.git);
  const made = (await tree.git.run(["write-tree"])).trim();
  const head = await tipOf(repository, tree.branch);
  const merging = await mergeUnderWay(tree.git, head);
  if (merging === undefined && made === (await hashOf(tree.git, `${head}^{tree}`))) return head;
  const parents = merging === undefined ? [head] : [head, merging];
  const commit = await commitTree(tree.git, made, parents, {
    message: messageFor(work),
    author: authorOf(work.agent),
  });
  const moved = await moveBranch(world, repository, {
    branch: tree.branch,
    from: head,
    to: commit,
  });
  if (!moved) {
    throw new CadreError(
      "workspace_failed",
      `The branch ${tree.branch} was moved by someone else while task ${work.task} committed to it.`,
      { next: [`git log ${tree.branch}`] },
    );
  }
  for (const mark of ["MERGE_HEAD", "MERGE_MSG", "MERGE_MODE", "AUTO_MERGE"]) {
    await rm(join(tree.admin, mark), { force: true });
  }
  return commit;
}

/** The other side of a merge that is not concluded; a killed process may leave the mark behind. */
async function mergeUnderWay(git: Git, head: string): Promise<string | undefined> {
  const merging = await hashOf(git, "MERGE_HEAD");
  if (merging === undefined || (await isAncestor(git, merging, head))) return undefined;
  return merging;
}

/**
 * Brings the index to what lies in the work tree. Repositories an agent made inside it are left
 * out: git would run programs their configuration names.
 */
async function stageAll(git: Git): Promise<void> {
  const changed = await git.run(["diff-files", "-z", "--name-only", "--ignore-submodules=all"]);
  const added = await git.run(["ls-files", "-z", "--others", "--exclude-standard"]);
  const paths = new Set([...pathsOf(changed), ...pathsOf(added), ...(await unmergedPaths(git))]);
  const staged = [...paths].filter((path) => !path.endsWith("/"));
  const unreadable = staged.find((path) => path.includes("\uFFFD"));
  if (unreadable !== undefined) {
    throw new CadreError(
      "workspace_failed",
      `The name of the file ${unreadable} is not valid UTF-8, so it can't be committed. Rename it.`,
    );
  }
  if (staged.length === 0) return;
  const args = ["update-index", "--add", "--remove", "--replace", "-z", "--stdin"];
  await git.run(args, { stdin: `${staged.join("\0")}\0` });
}

/** A merge is concluded only when nobody left git's marks in a file that was in conflict. */
async function refuseLeftMarks(tree: WorkTree): Promise<void> {
  const left: string[] = [];
  for (const path of await unmergedPaths(tree.git)) {
    const text = await readFile(join(tree.folder, path), "utf8").catch(() => "");
    if (/^<{7} /m.test(text) && /^>{7} /m.test(text)) left.push(path);
  }
  if (left.length === 0) return;
  throw new CadreError(
    "workspace_failed",
    `The conflict is not resolved: ${left.join(", ")} still ${left.length === 1 ? "has" : "have"} lines starting with <<<<<<< and >>>>>>>. Decide what each place shall say and remove the marks.`,
    { details: { files: left } },
  );
}

/** Files the index holds in several versions: those in conflict. */
export async function unmergedPaths(git: Git): Promise<string[]> {
  const listing = await git.run(["ls-files", "-z", "--unmerged"]);
  return [...new Set(pathsOf(listing).map((entry) => entry.slice(entry.indexOf("\t") + 1)))].sort();
}

/** Makes a commit object; no ref moves. */
export async function commitTree(
  git: Git,
  tree: string,
  parents: readonly string[],
  words: { readonly message: string; readonly author: Author },
): Promise<string> {
  const args = ["commit-tree", tree, ...parents.flatMap((parent) => ["-p", parent]), "-F", "-"];
  return (await git.run(args, { stdin: words.message, author: words.author })).trim();
}

/** The trailers say whose work it is: `git log --grep` finds all of a task. */
export function messageFor(work: Work, prefix = ""): string {
  const subject = `${prefix}${work.title}`.replace(/[\s\p{Cc}]+/gu, " ").trim();
  return [
    subject.length > 100 ? `${subject.slice(0, 99)}…` : subject || `Work of ${work.task}`,
    "",
    `Cadre-Task: ${work.task}`,
    `Cadre-Run: ${work.run}`,
    `Cadre-Agent: ${work.agent}`,
    "",
  ].join("\n");
}

export async function tipOf(repository: Repository, branch: string): Promise<string> {
  const tip = await hashOf(repository.shared, branchRef(branch));
  if (tip !== undefined) return tip;
  throw new CadreError(
    "workspace_failed",
    `The branch ${branch} is gone from ${repository.path}. Submit the task again to start afresh.`,
  );
}

/** What the task's branch changed, counted from where it left the root's branch. */
export async function changeOf(
  repository: Repository,
  branch: string,
  root: string,
  tip: string,
): Promise<Change> {
  const base = await forkPoint(repository, root, tip);
  const files = await numstat(repository.shared, base, tip);
  if (files.length === 0) return { branch, files: 0, insertions: 0, deletions: 0 };
  return { branch, commit: tip, ...totalOf(files) };
}

/** Where `tip` left the root's branch; the same answer before and after it was merged there. */
async function forkPoint(repository: Repository, root: string, tip: string): Promise<string> {
  const { shared } = repository;
  const rootTip = await tipOf(repository, rootBranch(root));
  const range = ["--first-parent", "--merges", "--parents", rootTip, "--not", baseRef(root)];
  const merges = (await shared.run(["rev-list", ...range])).split("\n");
  const merged = merges.map((line) => line.split(" ")).find((line) => line[2] === tip);
  const other = merged?.[1] ?? rootTip;
  return (await shared.run(["merge-base", other, tip])).trim();
}

export type FileChange = {
  readonly path: string;
  readonly insertions: number;
  readonly deletions: number;
  readonly isBinary: boolean;
};

/** Per file, renames counted as a deletion and an addition. */
export async function numstat(git: Git, from: string, to: string): Promise<FileChange[]> {
  const flags = ["--numstat", "-z", "--no-renames", "--no-ext-diff", "--no-textconv"];
  const listing = await git.run(["diff-tree", "-r", ...flags, from, to]);
  return pathsOf(listing).map((line) => {
    const [insertions = "", deletions = "", ...path] = line.split("\t");
    return {
      path: path.join("\t"),
      insertions: Number(insertions) || 0,
      deletions: Number(deletions) || 0,
      isBinary: insertions === "-",
    };
  });
}

export const totalOf = (files: readonly FileChange[]) => ({
  files: files.length,
  insertions: files.reduce((sum, file) => sum + file.insertions, 0),
  deletions: files.reduce((sum, file) => sum + file.deletions, 0),
});
