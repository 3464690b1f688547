// A12. Workspaces over the real git: a work tree for each task, one branch where all come together.
import { mkdir, readdir, realpath, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CadreError, type Log, messageOf, unreachable } from "../../platform/index.ts";
import { changeOf, commitAsItIs, commitWork, type Work } from "./commit.ts";
import { type GitWorld, hashOf } from "./git.ts";
import { mergeWork, startResolution } from "./merge.ts";
import { baseRef, branchRef, checked, taskBranch } from "./names.ts";
import {
  ensureRootBranch,
  existingFolder,
  moveBranch,
  openRepository,
  type Repository,
  type RootBranch,
  readableOf,
} from "./repository.ts";
import type { Workspace, WorkspaceRequest, Workspaces } from "./workspace.ts";
import {
  findWorkTree,
  moveForward,
  openWorkTree,
  removeWorkTree,
  type Turns,
  turnTaker,
} from "./worktree.ts";

type Options = {
  readonly world: GitWorld;
  /** Absolute path of the folder Cadre keeps its state in. */
  readonly home: string;
  readonly log: Log;
};
type Parts = Options & { readonly alone: Turns };

type TaskAt = Pick<WorkspaceRequest, "task" | "policy">;

/**
 * Errors: `workspace_failed` where the folder or repository can't be used (not a repository, no
 * commit yet, git missing or too old, disk full or read-only), with what to do next.
 */
export function gitWorkspaces(options: Options): Workspaces {
  const parts: Parts = { ...options, alone: turnTaker() };
  return {
    async open(request) {
      const { policy } = request;
      switch (policy.kind) {
        case "none":
          return unversioned(null);
        case "directory":
          return unversioned(await existingFolder(policy.path, "folder"));
        case "worktree":
          return await aloneWith(parts, request, () => openTask(parts, policy.repository, request));
        default:
          return unreachable(policy);
      }
    },
    reset: (request) => aloneWith(parts, request, () => resetTask(parts, request)),
    async collect(ended) {
      for (const request of ended) {
        // One repository that is gone must not keep the work trees of the others on the disk.
        await aloneWith(parts, request, () => collectTask(parts, request)).catch((error: unknown) =>
          parts.log.warn({ task: request.task, error: messageOf(error) }, "a work tree stays"),
        );
      }
    },
    list: () => tasksIn(join(options.home, "worktrees")),
  };
}

/**
 * What is done to one task's work tree is done in the order it was asked for: whoever opens one that
 * is just being taken away gets a new one.
 */
const aloneWith = <T>(parts: Parts, { task }: TaskAt, work: () => Promise<T>): Promise<T> =>
  parts.alone(`task ${task}`, work);

/** Folders that are named after a task; what was moved aside is not. */
async function tasksIn(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  return names.filter((name) => /^[A-Za-z0-9_-]+$/.test(name)).sort();
}

/** Without a repository nothing is committed or merged: files are where they are. */
const unversioned = (path: string | null): Workspace => ({
  path,
  readable: [],
  notes: [],
  commit: () => Promise.resolve(undefined),
  merge: () => Promise.resolve({ kind: "nothing" }),
  beginResolution: () => Promise.resolve([]),
});

async function openTask(parts: Parts, path: string, request: WorkspaceRequest): Promise<Workspace> {
  const { world } = parts;
  const { task, root } = request;
  const repository = await openRepository(world, path);
  const rootAt = await ensureRootBranch(repository, root);
  const tree = await openWorkTree(parts, repository, {
    folder: await folderOf(parts, task),
    branch: taskBranch(task, root),
    from: rootAt.tip,
  });
  // A planner that resumes sees what the others made of its plan.
  if (task === root) await moveForward(world, repository, tree, rootAt.tip);
  return {
    path: tree.folder,
    readable: await readableOf(repository),
    notes: rootAt.isNew ? await notesOn(repository, rootAt) : [],
    async commit() {
      const tip = await commitWork(world, repository, tree, request);
      return await changeOf(repository, tree.branch, root, tip);
    },
    merge: () => mergeWork(world, repository, tree.branch, request),
    beginResolution: () => startResolution(repository, tree, root),
  };
}

/** The folder of a task's work tree; its home is made, and kept out of the user's `git status`. */
async function folderOf(parts: Parts, task: string): Promise<string> {
  const { home } = parts;
  try {
    await mkdir(join(home, "worktrees"), { recursive: true });
    await writeFile(join(home, ".gitignore"), "*\n", { flag: "wx" }).catch(ignoreExisting);
  } catch (error) {
    throw new CadreError(
      "workspace_failed",
      `No work tree can be made below ${home}: ${messageOf(error)}`,
      {
        next: ["Check that the folder can be written, or set CADRE_HOME to one that can"],
        cause: error,
      },
    );
  }
  return join(await realpath(home), "worktrees", checked(task));
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== "EEXIST") throw error;
}

/** What a person should know of where the work starts. Said once, when the root's branch is made. */
async function notesOn(repository: Repository, root: RootBranch): Promise<readonly string[]> {
  const notes: string[] = [];
  const from = root.tip.slice(0, 12);
  if (!repository.isBare) {
    const args = ["status", "--porcelain", "-z", "--untracked-files=no", "--ignore-submodules=all"];
    if ((await repository.users.run(args)) !== "") {
      notes.push(
        `Your repository has uncommitted changes: the work starts from your last commit ${from}, without them.`,
      );
    }
  }
  if ((await hashOf(repository.shared, `${root.tip}:.gitmodules`)) !== undefined) {
    notes.push(
      "This repository has submodules: their folders are empty in the work trees of agents.",
    );
  }
  return notes;
}

// ---- Ending and starting again ------------------------------------------------------------------

type Found = {
  readonly repository: Repository;
  readonly folder: string;
  readonly work: Work;
  readonly branch: string;
};

/** What a request without its root says of a task: its branch tells whether it is a root. */
async function findTask(parts: Parts, request: TaskAt): Promise<Found | undefined> {
  if (request.policy.kind !== "worktree") return undefined;
  const { task } = request;
  const repository = await openRepository(parts.world, request.policy.repository);
  const isRoot = (await hashOf(repository.shared, baseRef(task))) !== undefined;
  const branch = isRoot ? taskBranch(task, task) : `cadre/${checked(task)}`;
  const work = {
    task,
    root: task,
    title: "What an attempt left behind",
    run: "none",
    agent: "cadre",
  };
  return { repository, branch, work, folder: await folderOf(parts, task) };
}

/** Uncommitted work goes onto the branch before its work tree goes away: nothing is thrown away. */
async function putAway(parts: Parts, found: Found): Promise<void> {
  const { repository, folder, branch } = found;
  const tree = await findWorkTree(parts.world, repository, { folder, branch });
  if (tree !== undefined) await commitAsItIs(parts.world, repository, tree, found.work);
  await parts.alone(repository.common, () => removeWorkTree(repository, folder));
}

async function resetTask(parts: Parts, request: TaskAt): Promise<void> {
  const found = await findTask(parts, request);
  if (found === undefined) return;
  await putAway(parts, found);
  const { repository, branch } = found;
  const tip = await hashOf(repository.shared, branchRef(branch));
  if (tip === undefined) return;
  for (let n = 1; ; n++) {
    const kept = `cadre/${checked(request.task)}-attempt-${n}`;
    const known = await hashOf(repository.shared, branchRef(kept));
    // The same commit: a reset that was cut short after it kept the branch.
    if (known !== undefined && known !== tip) continue;
    if (known === undefined) {
      await moveBranch(parts.world, repository, { branch: kept, from: undefined, to: tip });
    }
    await repository.shared.run(["update-ref", "-d", branchRef(branch), tip]);
    return;
  }
}

async function collectTask(parts: Parts, request: TaskAt): Promise<void> {
  const found = await findTask(parts, request);
  if (found !== undefined) await putAway(parts, found);
}
