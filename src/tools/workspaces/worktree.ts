// One task's work tree: made, healed after a crash, moved aside, taken away.
//
// DESIGN. git keeps a folder of its own for each work tree, below the common folder, where no
// agent writes. It is found by the path it names, and it carries two marks of ours: `cadre-ready`
// is written when the checkout is complete, so that what lacks it is half made and holds nothing of
// an agent; `cadre-moving` is written before a clean tree is moved to another commit, so that a
// move that was cut short is done again instead of being taken for an agent's work.
import { lstat, mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Log } from "../../platform/index.ts";
import { type Git, type GitWorld, gitAt, gitFailed, hashOf, isAncestor } from "./git.ts";
import { branchRef } from "./names.ts";
import { moveBranch, type Repository } from "./repository.ts";

export type WorkTree = {
  /** Absolute real path of the files. */
  readonly folder: string;
  /** git's own folder for it: its index and its HEAD. */
  readonly admin: string;
  readonly branch: string;
  readonly git: Git;
};

const READY = "cadre-ready";
const MOVING = "cadre-moving";

type Place = { readonly folder: string; readonly branch: string };

type Parts = {
  readonly world: GitWorld;
  readonly log: Log;
  /** Runs work on one repository alone: see `turnTaker`. */
  readonly alone: Turns;
};

/** The work tree at `place`: the same one as before when it is whole, else made from its branch. */
export async function openWorkTree(
  parts: Parts,
  repository: Repository,
  place: Place & { readonly from: string },
): Promise<WorkTree> {
  const known = await findWorkTree(parts.world, repository, place);
  if (known !== undefined) {
    await heal(known);
    return known;
  }
  return await parts.alone(repository.common, async () => {
    await removeWorkTree(repository, place.folder);
    await moveStrayAside(parts.log, place.folder);
    return await makeWorkTree(parts.world, repository, place);
  });
}

export type Turns = <T>(key: string, work: () => Promise<T>) => Promise<T>;

/**
 * Work with the same key runs one after the other. `git worktree add` reads what another one is
 * just writing, and fails: in one process they take turns, between processes it is tried again.
 */
export function turnTaker(): Turns {
  const last = new Map<string, Promise<unknown>>();
  return (key, work) => {
    const before = last.get(key) ?? Promise.resolve();
    const mine = before.then(work, work);
    last.set(key, mine);
    const leave = () => {
      if (last.get(key) === mine) last.delete(key);
    };
    mine.then(leave, leave);
    return mine;
  };
}

const ADD_TRIES_MAX = 5;

/** The whole work tree at `place`, undefined when there is none or only a half-made one. */
export async function findWorkTree(
  world: GitWorld,
  repository: Repository,
  place: Place,
): Promise<WorkTree | undefined> {
  const [admin] = await adminFolders(repository, place.folder);
  if (admin === undefined || !(await isFolder(place.folder))) return undefined;
  const branch = await readFile(join(admin, READY), "utf8").catch(() => undefined);
  return branch === place.branch ? workTree(world, place, admin) : undefined;
}

function workTree(world: GitWorld, place: Place, admin: string): WorkTree {
  const at = { cwd: place.folder, gitDir: admin, workTree: place.folder };
  return { folder: place.folder, admin, branch: place.branch, git: gitAt(world, at) };
}

async function makeWorkTree(
  world: GitWorld,
  repository: Repository,
  place: Place & { readonly from: string },
): Promise<WorkTree> {
  const { folder, branch, from } = place;
  if ((await hashOf(repository.shared, branchRef(branch))) === undefined) {
    await moveBranch(world, repository, { branch, from: undefined, to: from });
  }
  await mkdir(dirname(folder), { recursive: true });
  // Forced: a registration that a crash left behind names the same branch.
  const add = ["worktree", "add", "--quiet", "--force", folder, branch];
  for (let tries = 1; ; tries++) {
    const exit = await repository.shared.attempt(add);
    if (exit.code === 0) break;
    await removeWorkTree(repository, folder);
    if (tries === ADD_TRIES_MAX) throw gitFailed(add, repository.shared.place, exit);
  }
  const [admin] = await adminFolders(repository, folder);
  if (admin === undefined) throw new Error(`git made ${folder} and does not know it.`);
  await writeFile(join(admin, READY), branch);
  return workTree(world, place, admin);
}

/** Undoes what a killed process or a careless agent left in a work tree's own administration. */
async function heal(tree: WorkTree): Promise<void> {
  // Nobody else writes here, so a lock at opening is a dead process's.
  for (const lock of ["index.lock", "HEAD.lock"]) await rm(join(tree.admin, lock), { force: true });
  await mendPointer(tree);
  const target = await readFile(join(tree.admin, MOVING), "utf8").catch(() => undefined);
  if (target !== undefined) await finishMove(tree, target);
}

/** The `.git` file is the agent's to write; commands in its sandbox go by it, so it must be right. */
async function mendPointer(tree: WorkTree): Promise<void> {
  const pointer = join(tree.folder, ".git");
  const right = `gitdir: ${tree.admin}\n`;
  const found = await lstat(pointer).catch(() => undefined);
  // Never read or written through a link: it may lead anywhere.
  if (found?.isFile() === true && (await readFile(pointer, "utf8")) === right) return;
  await rm(pointer, { recursive: true, force: true });
  await writeFile(pointer, right, { flag: "wx" });
}

/**
 * Moves a clean work tree forward to `target`. Whatever is uncommitted, or committed and not part
 * of `target` yet, stays as it is.
 */
export async function moveForward(
  world: GitWorld,
  repository: Repository,
  tree: WorkTree,
  target: string,
): Promise<void> {
  const head = await hashOf(repository.shared, branchRef(tree.branch));
  if (head === undefined || head === target) return;
  if (!(await isAncestor(repository.shared, head, target)) || !(await isClean(tree))) return;
  await writeFile(join(tree.admin, MOVING), target);
  await moveBranch(world, repository, { branch: tree.branch, from: head, to: target });
  await finishMove(tree, target);
}

async function finishMove(tree: WorkTree, target: string): Promise<void> {
  await tree.git.run(["reset", "--quiet", "--hard", target]);
  await rm(join(tree.admin, MOVING), { force: true });
}

/** Nothing changed, nothing new, no merge under way. */
async function isClean(tree: WorkTree): Promise<boolean> {
  const merging = await hashOf(tree.git, "MERGE_HEAD");
  if (merging !== undefined) return false;
  const args = ["status", "--porcelain", "-z", "--ignore-submodules=all"];
  return (await tree.git.run(args)) === "";
}

/** Takes the work tree away, registered or not, whole or not. The branch stays. */
export async function removeWorkTree(repository: Repository, folder: string): Promise<void> {
  const admins = await adminFolders(repository, folder);
  // A folder git knows nothing of is not ours to delete: it is moved aside when it is in the way.
  if (admins.length === 0) return;
  await rm(folder, { recursive: true, force: true });
  for (const admin of admins) await rm(admin, { recursive: true, force: true });
}

async function moveStrayAside(log: Log, folder: string): Promise<void> {
  if (!(await isFolder(folder))) return;
  for (let n = 1; ; n++) {
    const aside = `${folder}.stray-${n}`;
    if (await isFolder(aside)) continue;
    await rename(folder, aside);
    log.warn({ folder, aside }, "a work tree its repository does not know was moved aside");
    return;
  }
}

/** git's folders for the work tree at `folder`, as the repository itself says. */
async function adminFolders(repository: Repository, folder: string): Promise<string[]> {
  const all = join(repository.common, "worktrees");
  const names = await readdir(all).catch(() => []);
  const found: string[] = [];
  for (const name of names) {
    const pointer = await readFile(join(all, name, "gitdir"), "utf8").catch(() => "");
    if (pointer.trimEnd() === join(folder, ".git")) found.push(join(all, name));
  }
  return found;
}

async function isFolder(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isDirectory() === true;
}
