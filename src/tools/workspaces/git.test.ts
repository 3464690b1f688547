import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { appendFile, mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { type Fixture, fixture, pathOf, work, writeFiles } from "./repository.testing.ts";

/** Writes a program that leaves a mark when git runs it, and a configuration that names it. */
async function trap(f: Fixture, folder: string): Promise<string> {
  const mark = join(f.folder, "trap-was-run");
  const program = join(f.folder, "trap.sh");
  await writeFile(program, `#!/bin/sh\ntouch '${mark}'\ncat\n`, { mode: 0o755 });
  await mkdir(folder, { recursive: true });
  const users = `[core]\n\tfsmonitor = ${program}\n[filter "evil"]\n\tclean = ${program}\n`;
  await f.git("init", "--quiet", folder);
  await f.git("-C", folder, "commit", "--quiet", "--allow-empty", "-m", "x");
  await appendFile(join(folder, ".git/config"), users);
  await writeFiles(folder, { ".gitattributes": "* filter=evil\n", "f.txt": "f\n" });
  return mark;
}

test("a .git of the agent's own is not obeyed, and set right for its next commands", async (t) => {
  const f = await fixture(t);
  const first = await f.workspaces.open(f.request("task_a"));
  const path = pathOf(first);
  await rm(join(path, ".git"));
  const mark = await trap(f, path);

  const change = await first.commit();
  const second = await f.workspaces.open(f.request("task_a"));
  const pointer = await readFile(join(path, ".git"), "utf8");

  assert.ok(!existsSync(mark), "the program an agent named was run");
  assert.equal(change?.files, 2);
  assert.equal(pointer, `gitdir: ${join(f.repository, ".git/worktrees/task_a")}\n`);
  assert.equal((await second.commit())?.commit, change?.commit);
});

test("a repository made inside the work tree is neither entered nor committed", async (t) => {
  const f = await fixture(t);
  const workspace = await f.workspaces.open(f.request("task_a"));
  const path = pathOf(workspace);
  const mark = await trap(f, join(path, "inner"));
  await writeFiles(path, { "b.txt": "b\n" });

  const change = await workspace.commit();
  await writeFiles(path, { "inner/g.txt": "g\n" });
  await workspace.commit();

  assert.ok(!existsSync(mark), "the program an agent named was run");
  assert.equal(change?.files, 1);
  assert.equal(await f.git("ls-tree", "-r", "--name-only", "cadre/task_a"), "a.txt\nb.txt");
});

test("a .git that links elsewhere is replaced, and what it leads to is not written", async (t) => {
  const f = await fixture(t);
  const first = await f.workspaces.open(f.request("task_a"));
  const victim = join(f.folder, "victim");
  await writeFile(victim, "untouched");
  await rm(join(pathOf(first), ".git"));
  await symlink(victim, join(pathOf(first), ".git"));

  await f.workspaces.open(f.request("task_a"));

  assert.equal(await readFile(victim, "utf8"), "untouched");
});

test("hooks of the repository do not run", async (t) => {
  const f = await fixture(t);
  const mark = join(f.folder, "hook-was-run");
  for (const hook of ["post-checkout", "pre-commit", "reference-transaction", "post-merge"]) {
    const path = join(f.repository, ".git/hooks", hook);
    await mkdir(join(f.repository, ".git/hooks"), { recursive: true });
    await writeFile(path, `#!/bin/sh\ntouch '${mark}'\n`, { mode: 0o755 });
  }

  await work(f, "task_a", { "b.txt": "b\n" });

  assert.ok(!existsSync(mark));
});
