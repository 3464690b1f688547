// What the user asks for at the end: look at the work, merge it into the own branch, take it back.
//
// DESIGN. This is the only file that touches the user's branch, index and work tree, and it leaves
// that to git's own commands, which refuse to write over changes that are not committed. What would
// conflict is found out first, in the object store, so that a refused merge has touched nothing.
import { CadreError } from "../../platform/index.ts";
import { commitTree, type FileChange, numstat, totalOf } from "./commit.ts";
import { type Author, CADRE, type Git, type GitWorld, hashOf, isAncestor, wordsOf } from "./git.ts";
import { joinTrees } from "./merge.ts";
import { afterRef, baseRef, beforeRef, branchRef, rootBranch } from "./names.ts";
import { openRepository, quoted, type Repository } from "./repository.ts";

type Parts = { readonly world: GitWorld };
type At = { readonly repository: string; readonly root: string };

export type Integration = {
  /** already: the branch held all of it before. */
  readonly kind: "merged" | "already";
  /** The user's branch, and the commit it stands at now. */
  readonly branch: string;
  readonly commit: string;
  /** The branch of the work: `cadre/<root>`. */
  readonly from: string;
  readonly isFastForward: boolean;
};

export type Undoing =
  /** reset: the branch stands where it stood. reverted: later commits stay, a new one takes it back. */
  | { readonly kind: "reset" | "reverted"; readonly branch: string; readonly commit: string }
  | { readonly kind: "nothing"; readonly why: string; readonly next: readonly string[] };

export type Diffstat = {
  readonly branch: string;
  readonly base: string;
  readonly commit: string;
  readonly commits: number;
  readonly files: readonly FileChange[];
  readonly insertions: number;
  readonly deletions: number;
};

/**
 * Merges `cadre/<root>` into the branch the user is on. Throws `not_found` without such a branch
 * and `illegal_transition`, with nothing touched, on a detached head, a conflict, an operation
 * under way, or uncommitted changes in the files that would change.
 */
export async function integrate(parts: Parts, at: At): Promise<Integration> {
  const repository = await openRepository(parts.world, at.repository);
  const git = repository.users;
  const from = rootBranch(at.root);
  const tip = await workTip(repository, from);
  const branch = await usersBranch(repository);
  const before = await requiredHash(git, "HEAD");
  if (await isAncestor(git, tip, before)) {
    return { kind: "already", branch, commit: before, from, isFastForward: false };
  }
  await refuseConflict(git, before, tip, {
    sentence: `${from} can't be merged into ${branch} by itself`,
    next: [`git merge ${from}`],
  });
  const author = await usersIdentity(git);
  await git.run(["update-ref", beforeRef(at.root), before]);
  const message = `Merge ${from}`;
  const exit = await git.attempt(["merge", "--quiet", "--no-edit", "-m", message, tip], { author });
  if (exit.code !== 0) {
    await abort(git, "MERGE_HEAD", ["merge", "--abort"]);
    throw refused(repository, `git would not merge ${from} into ${branch}`, wordsOf(exit));
  }
  const commit = await requiredHash(git, "HEAD");
  await git.run(["update-ref", afterRef(at.root), commit]);
  return { kind: "merged", branch, commit, from, isFastForward: commit === tip };
}

/**
 * Takes the last `integrate` of this root back. While nothing came after it the branch is set back;
 * later a new commit reverts it. Refusals as for `integrate`.
 */
export async function undo(parts: Parts, at: At): Promise<Undoing> {
  const repository = await openRepository(parts.world, at.repository);
  const git = repository.users;
  const from = rootBranch(at.root);
  const before = await hashOf(git, beforeRef(at.root));
  const after = await hashOf(git, afterRef(at.root));
  if (before === undefined || after === undefined) {
    return {
      kind: "nothing",
      why: `${from} was not merged, so there is nothing to take back.`,
      next: [`git -C ${quoted(repository.path)} branch -D ${from}`],
    };
  }
  const branch = await usersBranch(repository);
  const head = await requiredHash(git, "HEAD");
  if (!(await isAncestor(git, after, head))) {
    const why = `The merge of ${from}, ${after.slice(0, 12)}, is not part of ${branch}.`;
    return { kind: "nothing", why, next: ["git switch BRANCH, the one it was merged into"] };
  }
  const commit =
    head === after
      ? await setBack(repository, before)
      : await revert(repository, { before, after, head, from });
  for (const ref of [beforeRef(at.root), afterRef(at.root)]) {
    await git.run(["update-ref", "-d", ref]);
  }
  return { kind: head === after ? "reset" : "reverted", branch, commit };
}

async function setBack(repository: Repository, before: string): Promise<string> {
  const exit = await repository.users.attempt(["reset", "--quiet", "--keep", before]);
  if (exit.code === 0) return before;
  throw refused(repository, `git would not go back to ${before.slice(0, 12)}`, wordsOf(exit));
}

type Merged = {
  readonly before: string;
  readonly after: string;
  readonly head: string;
  readonly from: string;
};

/**
 * The merge may have been a fast-forward over many commits, which `git revert` takes one by one.
 * A commit on top of it that has the tree from before is the whole way back in one step; it is made
 * in the object store and then picked onto the branch.
 */
async function revert(repository: Repository, merged: Merged): Promise<string> {
  const git = repository.users;
  const tree = await requiredHash(git, `${merged.before}^{tree}`);
  const author = await usersIdentity(git);
  const message = `Revert the merge of ${merged.from}\n\nTakes back ${merged.after}.\n`;
  const back = await commitTree(git, tree, [merged.after], { message, author });
  await refuseConflict(git, merged.head, back, {
    sentence: `The merge of ${merged.from} can't be taken back by itself: later commits changed the same places`,
    next: [`git cherry-pick ${back}`],
  });
  const exit = await git.attempt(["cherry-pick", "--allow-empty", back], { author });
  if (exit.code === 0) return await requiredHash(git, "HEAD");
  await abort(git, "CHERRY_PICK_HEAD", ["cherry-pick", "--abort"]);
  throw refused(repository, `git would not take back the merge of ${merged.from}`, wordsOf(exit));
}

/** What the whole of a root's work changed since the user's commit it started from. */
export async function diffstat(parts: Parts, at: At): Promise<Diffstat> {
  const { shared, ...repository } = await openRepository(parts.world, at.repository);
  const branch = rootBranch(at.root);
  const commit = await workTip({ shared, ...repository }, branch);
  const base = await requiredHash(shared, baseRef(at.root));
  const files = await numstat(shared, base, commit);
  const commits = await shared.run(["rev-list", "--count", "--no-merges", `${base}..${commit}`]);
  const { insertions, deletions } = totalOf(files);
  return { branch, base, commit, commits: Number(commits), files, insertions, deletions };
}

// ---- Conditions -----------------------------------------------------------------------------------

async function workTip(repository: Repository, branch: string): Promise<string> {
  const tip = await hashOf(repository.shared, branchRef(branch));
  if (tip !== undefined) return tip;
  throw new CadreError(
    "not_found",
    `There is no branch ${branch} in ${repository.path}: this task changed nothing there.`,
    { next: [`git -C ${quoted(repository.path)} branch --list 'cadre/*'`] },
  );
}

async function usersBranch(repository: Repository): Promise<string> {
  const git = repository.users;
  if (repository.isBare) {
    throw refused(repository, "The repository is bare: it has no work tree to merge in", "none");
  }
  for (const mark of ["MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "REBASE_HEAD"]) {
    if ((await hashOf(git, mark)) === undefined) continue;
    throw new CadreError(
      "illegal_transition",
      `${repository.path} is in the middle of another operation of git (${mark}). Finish it or abort it first.`,
      { next: ["git status"] },
    );
  }
  const exit = await git.attempt(["symbolic-ref", "--quiet", "--short", "HEAD"]);
  if (exit.code === 0) return exit.stdout.trim();
  throw new CadreError(
    "illegal_transition",
    `${repository.path} is on no branch (detached head): a merge there would be lost at the next checkout.`,
    { next: ["git switch main", "git switch --create a-new-branch"] },
  );
}

async function refuseConflict(
  git: Git,
  ours: string,
  theirs: string,
  words: { readonly sentence: string; readonly next: readonly string[] },
): Promise<void> {
  const joined = await joinTrees(git, ours, theirs);
  if (joined.kind === "joined") return;
  throw new CadreError(
    "illegal_transition",
    `${words.sentence}: ${joined.files.join(", ")} ${joined.files.length === 1 ? "has" : "have"} changed on both sides. Nothing was touched.`,
    { details: { files: joined.files }, next: [...words.next] },
  );
}

function refused(repository: Repository, sentence: string, words: string): CadreError {
  return new CadreError(
    "illegal_transition",
    `${sentence} in ${repository.path}; nothing was touched. It said: ${words}`,
    { next: [`git -C ${quoted(repository.path)} status`, "Commit or stash what is in the way"] },
  );
}

async function abort(git: Git, mark: string, args: readonly string[]): Promise<void> {
  if ((await hashOf(git, mark)) !== undefined) await git.run(args);
}

async function requiredHash(git: Git, name: string): Promise<string> {
  return (await git.run(["rev-parse", "--verify", "--end-of-options", name])).trim();
}

/** A commit on the user's own branch is the user's: their name, where git knows it. */
async function usersIdentity(git: Git): Promise<Author> {
  const read = async (key: string): Promise<string> =>
    (await git.attempt(["config", "--get", key])).stdout.trim();
  const author = { name: await read("user.name"), email: await read("user.email") };
  return author.name === "" || author.email === "" ? CADRE : author;
}
