// For tests: a real repository of a user, in a folder of its own.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import { CadreError, type ErrorCode, realWorld, silentLog } from "../../platform/index.ts";
import { gitAt } from "./git.ts";
import { gitWorkspaces } from "./git-workspaces.ts";
import type { WorkspaceRequest, Workspaces } from "./workspace.ts";

export const world = realWorld();

/** The task all others belong to. */
export const ROOT = "task_root";

export type Fixture = {
  readonly folder: string;
  /** The user's repository; its name has a space and letters beyond ASCII. */
  readonly repository: string;
  readonly home: string;
  readonly workspaces: Workspaces;
  /** git in the user's repository. */
  git(...args: string[]): Promise<string>;
  request(task: string, changes?: Partial<WorkspaceRequest>): WorkspaceRequest;
  /** All that must not change: HEAD, branch, index, files, status. */
  userState(): Promise<unknown>;
};

export async function fixture(t: TestContext, files: Files = { "a.txt": "one\ntwo\nthree\n" }) {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "cadre-workspaces-")));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const repository = join(folder, "my proj\u00e9ct \u6f22");
  const home = join(repository, ".cadre");
  await mkdir(repository);
  const users = gitAt(world, { cwd: repository });
  const git = async (...args: string[]) => (await users.run(args)).trimEnd();
  await git("init", "--quiet", "--initial-branch", "main");
  await writeFiles(repository, files);
  await git("add", "-A");
  await git("commit", "--quiet", "--allow-empty", "-m", "First");
  const made: Fixture = {
    folder,
    repository,
    home,
    workspaces: gitWorkspaces({ world, home, log: silentLog }),
    git,
    request: (task, changes = {}) => ({
      task,
      title: `Work of ${task}`,
      root: ROOT,
      run: "run_1",
      agent: "coder",
      policy: { kind: "worktree", repository },
      ...changes,
    }),
    userState: async () => ({
      head: await git("rev-parse", "HEAD"),
      branch: await git("symbolic-ref", "-q", "HEAD").catch(() => "detached"),
      index: await git("ls-files", "--stage"),
      status: await git("status", "--porcelain"),
      diff: await git("diff"),
    }),
  };
  return made;
}

export type Files = { readonly [path: string]: string | Uint8Array };

export async function writeFiles(folder: string, files: Files): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
}

/** The folder of a workspace that must have one. */
export function pathOf(workspace: { readonly path: string | null }): string {
  if (workspace.path === null) throw new Error("This workspace has no folder.");
  return workspace.path;
}

/** One task's whole way: open, change, commit, merge. */
export async function work(f: Fixture, task: string, files: Files) {
  const workspace = await f.workspaces.open(f.request(task));
  await writeFiles(pathOf(workspace), files);
  const change = await workspace.commit();
  return { workspace, change, merged: await workspace.merge() };
}

/** What `assert.rejects` takes: this code, and words that fit. */
export function refusal(code: ErrorCode, pattern: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof CadreError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, pattern);
    return true;
  };
}
