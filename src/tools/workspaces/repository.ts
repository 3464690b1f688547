// The user's repository: found, checked, and given refs of ours without touching theirs.
import { readFile, realpath, rm, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { CadreError, messageOf } from "../../platform/index.ts";
import {
  type Git,
  type GitWorld,
  gitAt,
  hashOf,
  isGitNewEnough,
  parseGitVersion,
  wordsOf,
} from "./git.ts";
import { baseRef, branchRef, rootBranch } from "./names.ts";

export type Repository = {
  /** As the user sees it: its work tree, or the folder itself when it is bare. */
  readonly path: string;
  readonly isBare: boolean;
  /** The folder all its work trees share: objects, refs, configuration. */
  readonly common: string;
  /** Works on refs and objects only; no work tree, no index. */
  readonly shared: Git;
  /** In the user's own folder, with their settings: to read, and for what the user asked for. */
  readonly users: Git;
};

/** The repository at `path`. Throws `workspace_failed` with the next step when it can't be used. */
export async function openRepository(world: GitWorld, path: string): Promise<Repository> {
  const folder = await existingFolder(path, "repository");
  const users = gitAt(world, { cwd: folder, settings: "users" });
  await requireVersion(users);
  const exit = await users.attempt([
    "rev-parse",
    "--path-format=absolute",
    "--git-common-dir",
    "--is-bare-repository",
  ]);
  if (exit.code !== 0) throw await notUsable(folder, wordsOf(exit));
  const [common = "", bare = ""] = exit.stdout.trimEnd().split("\n");
  const isBare = bare === "true";
  const top = isBare ? folder : (await users.run(["rev-parse", "--show-toplevel"])).trimEnd();
  const shared = gitAt(world, { cwd: common, gitDir: common });
  return { path: top, isBare, common: await realpath(common), shared, users };
}

async function requireVersion(git: Git): Promise<void> {
  const text = (await git.run(["version"])).trim();
  const version = parseGitVersion(text);
  if (version !== undefined && isGitNewEnough(version)) return;
  throw new CadreError(
    "workspace_failed",
    `This machine has ${text}; Cadre needs 2.38 or newer, which can merge branches without touching a work tree.`,
    { next: ["Install a newer git", "cadre doctor"] },
  );
}

async function notUsable(folder: string, words: string): Promise<CadreError> {
  const owner = (await stat(folder)).uid;
  const mine = process.getuid?.();
  if (mine !== undefined && owner !== mine) {
    return new CadreError(
      "workspace_failed",
      `git refuses to work in ${folder}, which belongs to another user (uid ${owner}): ${words}`,
      {
        next: [
          "Run Cadre as the user who owns the repository",
          `git config --global --add safe.directory ${quoted(folder)}`,
        ],
      },
    );
  }
  return new CadreError(
    "workspace_failed",
    `${folder} is not a git repository that can be used: ${words}`,
    { next: [`git -C ${quoted(folder)} init`, "Name another folder with --repo"] },
  );
}

/** Real path of a folder that is there. */
export async function existingFolder(path: string, what: string): Promise<string> {
  let found: string;
  try {
    found = await realpath(path);
  } catch (error) {
    throw new CadreError(
      "workspace_failed",
      `The ${what} ${path} can't be opened: ${messageOf(error)}`,
      { next: ["Check the path; it must be absolute and exist on this machine"], cause: error },
    );
  }
  if ((await stat(found)).isDirectory()) return found;
  throw new CadreError("workspace_failed", `The ${what} ${path} is a file, not a folder.`, {
    next: ["Name the folder"],
  });
}

/** The user's HEAD, attached or not. */
async function headOf(repository: Repository): Promise<string> {
  const head = await hashOf(repository.users, "HEAD^{commit}");
  if (head !== undefined) return head;
  const at = quoted(repository.path);
  throw new CadreError(
    "workspace_failed",
    `${repository.path} has no commit yet: agents need one to start from.`,
    { next: [`git -C ${at} add -A && git -C ${at} commit -m "First commit"`] },
  );
}

export type RootBranch = {
  readonly branch: string;
  readonly tip: string;
  /** True for the one call that made it. */
  readonly isNew: boolean;
};

/**
 * The branch all tasks of a root merge into, made once from the user's HEAD. Two that come at
 * once agree: both refs are created in one transaction of git's, and the loser reads the winner's.
 */
export async function ensureRootBranch(repository: Repository, root: string): Promise<RootBranch> {
  const branch = rootBranch(root);
  const { shared } = repository;
  const known = await hashOf(shared, branchRef(branch));
  if (known !== undefined) return { branch, tip: known, isNew: false };
  // Someone deleted the branch: it starts again where it started before.
  const base = await hashOf(shared, baseRef(root));
  const tip = base ?? (await headOf(repository));
  const lines = [
    "start",
    `create ${branchRef(branch)} ${tip}`,
    ...(base === undefined ? [`create ${baseRef(root)} ${tip}`] : []),
    "commit",
    "",
  ];
  const made = await shared.attempt(["update-ref", "--stdin"], { stdin: lines.join("\n") });
  if (made.code === 0) return { branch, tip, isNew: true };
  const others = await hashOf(shared, branchRef(branch));
  if (others !== undefined) return { branch, tip: others, isNew: false };
  throw new CadreError(
    "workspace_failed",
    `The branch ${branch} can't be made in ${repository.path}: ${wordsOf(made)}`,
    { next: [`Check that ${repository.common} can be written`] },
  );
}

const STALE_LOCK_MS = 10_000;

/**
 * Moves a branch from one commit to another, only if it still stands there; undefined makes it.
 * Answers whether it moved. Throws when nobody else moved it and git still refuses.
 */
export async function moveBranch(
  world: GitWorld,
  repository: Repository,
  move: { readonly branch: string; readonly from: string | undefined; readonly to: string },
): Promise<boolean> {
  const ref = branchRef(move.branch);
  // An empty old value means: only if the ref is not there.
  const args = ["update-ref", ref, move.to, move.from ?? ""];
  const first = await repository.shared.attempt(args);
  if (first.code === 0) return true;
  if ((await hashOf(repository.shared, ref)) !== move.from) return false;
  // A process that was killed while it moved the branch leaves its lock behind for ever.
  const lock = join(repository.common, `${ref}.lock`);
  if (await isOlder(world, lock, STALE_LOCK_MS)) await rm(lock, { force: true });
  const second = await repository.shared.attempt(args);
  if (second.code === 0) return true;
  if ((await hashOf(repository.shared, ref)) !== move.from) return false;
  throw new CadreError(
    "workspace_failed",
    `The branch ${move.branch} can't be moved in ${repository.path}: ${wordsOf(second)}`,
    { next: [`Check that ${repository.common} can be written and has space`] },
  );
}

async function isOlder(world: GitWorld, path: string, ageMs: number): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found !== undefined && world.clock.now() - found.mtimeMs > ageMs;
}

/** What a sandboxed git must read: the common folder, and object stores borrowed from others. */
export async function readableOf(repository: Repository): Promise<readonly string[]> {
  const objects = join(repository.common, "objects");
  const borrowed = await readFile(join(objects, "info", "alternates"), "utf8").catch(() => "");
  const stores = borrowed.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return [repository.common, ...stores.map((store) => resolve(objects, store))];
}

/** A path as it can be pasted into a shell. */
export const quoted = (path: string): string =>
  /^[\w./@%+=:,-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
