// The real git, as a subprocess.
//
// DESIGN. Whoever edits a work tree must not be able to make us run their program: an agent can
// write any file below its work tree, `.git` and `.gitattributes` included. So the repository is
// named by GIT_DIR and GIT_WORK_TREE and never found by looking for `.git`; hooks, file system
// monitors and signing are off; submodules, which carry a configuration of their own, are never
// entered. What the repository's own configuration says (filters, merge drivers) is the user's.
// In the user's own folder, where no agent writes, git works as the user has set it up.
import { CadreError, type Exit, messageOf, type World } from "../../platform/index.ts";

export type GitWorld = Pick<World, "clock" | "env" | "processes">;

export type GitPlace = {
  readonly cwd: string;
  /** Absent: git finds the repository from `cwd`. Only for folders no agent writes to. */
  readonly gitDir?: string;
  readonly workTree?: string;
  /** users: with the user's own configuration (filters, name, trusted folders). Default: none. */
  readonly settings?: "users";
};

type GitOptions = {
  readonly stdin?: string;
  /** Who the commit is by: `Cadre coder <coder@cadre.invalid>`. */
  readonly author?: Author;
};

export type Author = { readonly name: string; readonly email: string };

export interface Git {
  readonly place: GitPlace;
  /** Standard output of a command that must work; `workspace_failed` with git's words when not. */
  run(args: readonly string[], options?: GitOptions): Promise<string>;
  /** For commands whose exit code is an answer. */
  attempt(args: readonly string[], options?: GitOptions): Promise<Exit>;
}

const GIT_TIMEOUT_MS = 600_000;
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

const SETTINGS = [
  "core.hooksPath=/dev/null",
  "core.fsmonitor=false",
  "commit.gpgSign=false",
  "tag.gpgSign=false",
  "diff.ignoreSubmodules=all",
  "submodule.recurse=false",
  "gc.auto=0",
  "maintenance.auto=false",
  "advice.detachedHead=false",
  // Other tasks move refs at the same time: wait for their locks instead of failing.
  "core.filesRefLockTimeout=2000",
  "core.packedRefsTimeout=2000",
].flatMap((setting) => ["-c", setting]);

export const CADRE: Author = { name: "Cadre", email: "cadre@cadre.invalid" };

export const authorOf = (agent: string): Author => ({
  name: `Cadre ${agent}`,
  email: `${agent}@cadre.invalid`,
});

export function gitAt(world: GitWorld, place: GitPlace): Git {
  const attempt = async (args: readonly string[], options: GitOptions = {}): Promise<Exit> => {
    let exit: Exit;
    try {
      exit = await world.processes.run({
        argv: ["git", ...SETTINGS, ...args],
        cwd: place.cwd,
        env: environment(world, place, options.author ?? CADRE),
        ...(options.stdin === undefined ? {} : { stdin: options.stdin }),
        timeoutMs: GIT_TIMEOUT_MS,
        outputBytesMax: OUTPUT_BYTES_MAX,
      });
    } catch (error) {
      throw notStarted(place, error);
    }
    // An excerpt of a list of paths would be a wrong list.
    if (exit.outputBytes > OUTPUT_BYTES_MAX) throw tooMuch(args, place, exit.outputBytes);
    return exit;
  };
  const run = async (args: readonly string[], options?: GitOptions): Promise<string> => {
    const exit = await attempt(args, options);
    if (exit.code === 0) return exit.stdout;
    throw gitFailed(args, place, exit);
  };
  return { place, run, attempt };
}

function environment(world: GitWorld, place: GitPlace, author: Author): Record<string, string> {
  const date = `@${Math.floor(world.clock.now() / 1_000)} +0000`;
  return {
    ...(place.settings === "users" ? usersSettings(world) : NO_SETTINGS),
    PATH: world.env("PATH") ?? "/usr/local/bin:/usr/bin:/bin",
    LC_ALL: "C",
    GIT_TERMINAL_PROMPT: "0",
    // Looking must not write: a refreshed index of the user's would be a change of it.
    GIT_OPTIONAL_LOCKS: "0",
    GIT_EDITOR: "true",
    GIT_AUTHOR_NAME: author.name,
    GIT_AUTHOR_EMAIL: author.email,
    GIT_AUTHOR_DATE: date,
    GIT_COMMITTER_NAME: author.name,
    GIT_COMMITTER_EMAIL: author.email,
    GIT_COMMITTER_DATE: date,
    ...(place.gitDir === undefined ? {} : { GIT_DIR: place.gitDir }),
    ...(place.workTree === undefined ? {} : { GIT_WORK_TREE: place.workTree }),
  };
}

const NO_SETTINGS = {
  HOME: "/nonexistent",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_ATTR_NOSYSTEM: "1",
};

function usersSettings(world: GitWorld): Record<string, string> {
  const xdg = world.env("XDG_CONFIG_HOME");
  return {
    HOME: world.env("HOME") ?? "/nonexistent",
    ...(xdg === undefined ? {} : { XDG_CONFIG_HOME: xdg }),
  };
}

/** What git said went wrong, short enough for a message. */
export function wordsOf(
  exit: Pick<Exit, "stdout" | "stderr" | "code" | "signal" | "ended">,
): string {
  if (exit.ended === "timed_out") return `it took longer than ${GIT_TIMEOUT_MS / 1_000} s`;
  const text = (exit.stderr.trim() || exit.stdout.trim()).replace(/\s*\n\s*/g, " ").slice(0, 600);
  return text || `it ended with ${exit.signal ?? `exit code ${exit.code}`}`;
}

export function gitFailed(args: readonly string[], place: GitPlace, exit: Exit): CadreError {
  return new CadreError(
    "workspace_failed",
    `git ${args[0]} failed in ${place.workTree ?? place.cwd}: ${wordsOf(exit)}`,
    { details: { command: args.slice(0, 8).join(" "), exitCode: exit.code } },
  );
}

function notStarted(place: GitPlace, error: unknown): CadreError {
  return new CadreError(
    "workspace_failed",
    `git can't be started in ${place.cwd}: ${messageOf(error)}. Cadre needs git 2.38 or newer in PATH to give agents work trees of their own.`,
    {
      next: ["apt install git, or brew install git", "cadre doctor"],
      cause: error,
    },
  );
}

function tooMuch(args: readonly string[], place: GitPlace, bytes: number): CadreError {
  return new CadreError(
    "workspace_failed",
    `git ${args[0]} in ${place.cwd} answered ${bytes} bytes, more than ${OUTPUT_BYTES_MAX}: too many files changed at once. Ignore what is generated in .gitignore.`,
  );
}

/** The object or ref as a full hash, undefined when there is none. */
export async function hashOf(git: Git, name: string): Promise<string | undefined> {
  const exit = await git.attempt(["rev-parse", "--verify", "--quiet", "--end-of-options", name]);
  return exit.code === 0 ? exit.stdout.trim() : undefined;
}

export async function isAncestor(git: Git, older: string, newer: string): Promise<boolean> {
  const args = ["merge-base", "--is-ancestor", older, newer];
  const exit = await git.attempt(args);
  if (exit.code === 0 || exit.code === 1) return exit.code === 0;
  throw gitFailed(args, git.place, exit);
}

/** Paths of a `-z` listing. */
export const pathsOf = (listing: string): string[] =>
  listing.split("\0").filter((path) => path !== "");

/** The parts of `git version 2.39.5 (Apple Git-154)` that count. */
export function parseGitVersion(text: string): readonly [number, number] | undefined {
  const match = /(\d+)\.(\d+)/.exec(text);
  return match === null ? undefined : [Number(match[1]), Number(match[2])];
}

/** `merge-tree --write-tree`, by which branches are joined without a work tree, came in 2.38. */
export const isGitNewEnough = ([major, minor]: readonly [number, number]): boolean =>
  major > 2 || (major === 2 && minor >= 38);
