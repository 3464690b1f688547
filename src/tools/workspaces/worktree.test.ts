import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile, rm, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { type Command, silentLog, type World } from "../../platform/index.ts";
import { gitWorkspaces } from "./git-workspaces.ts";
import { fixture, pathOf, ROOT, world, writeFiles } from "./repository.testing.ts";

test("after a crash the same work tree is there with its uncommitted work and stale locks gone", async (t) => {
  const f = await fixture(t);
  const first = await f.workspaces.open(f.request("task_a"));
  await writeFiles(pathOf(first), { "half.txt": "half\n" });
  const admin = join(f.repository, ".git/worktrees/task_a");
  await writeFile(join(admin, "index.lock"), "");
  await writeFile(join(admin, "HEAD.lock"), "");

  const second = await f.workspaces.open(f.request("task_a"));

  assert.equal(await readFile(join(pathOf(second), "half.txt"), "utf8"), "half\n");
  assert.equal((await second.commit())?.insertions, 1);
});

test("a work tree that was only half made is made again", async (t) => {
  const f = await fixture(t);
  const first = await f.workspaces.open(f.request("task_a"));
  const admin = join(f.repository, ".git/worktrees/task_a");
  // As a kill in the middle of the checkout leaves it.
  await rm(join(admin, "cadre-ready"));
  await rm(join(admin, "index"));
  await writeFile(join(admin, "locked"), "initializing");
  await rm(join(pathOf(first), "a.txt"));

  const second = await f.workspaces.open(f.request("task_a"));

  assert.equal(await readFile(join(pathOf(second), "a.txt"), "utf8"), "one\ntwo\nthree\n");
  assert.equal((await second.commit())?.files, 0);
});

test("a work tree deleted by hand is rebuilt from its branch", async (t) => {
  const f = await fixture(t);
  const first = await f.workspaces.open(f.request("task_a"));
  await writeFiles(pathOf(first), { "kept.txt": "kept\n" });
  await first.commit();
  await rm(pathOf(first), { recursive: true });

  const second = await f.workspaces.open(f.request("task_a"));

  assert.equal(await readFile(join(pathOf(second), "kept.txt"), "utf8"), "kept\n");
});

test("a folder the repository does not know is moved aside, not deleted", async (t) => {
  const f = await fixture(t);
  const first = await f.workspaces.open(f.request("task_a"));
  await writeFiles(pathOf(first), { "precious.txt": "p\n" });
  await rm(join(f.repository, ".git/worktrees/task_a"), { recursive: true });

  const second = await f.workspaces.open(f.request("task_a"));

  assert.ok(!existsSync(join(pathOf(second), "precious.txt")));
  assert.equal(await readFile(`${pathOf(second)}.stray-1/precious.txt`, "utf8"), "p\n");
});

test("the lock a killed process left on the root's branch does not stop merges for ever", async (t) => {
  const f = await fixture(t);
  const workspace = await f.workspaces.open(f.request("task_a"));
  await writeFiles(pathOf(workspace), { "b.txt": "b\n" });
  await workspace.commit();
  const lock = join(f.repository, `.git/refs/heads/cadre/${ROOT}.lock`);
  await writeFile(lock, "");
  const longAgo = world.clock.now() / 1_000 - 3_600;
  await utimes(lock, longAgo, longAgo);

  const outcome = await workspace.merge();

  assert.equal(outcome.kind, "merged");
});

/** The same world, whose git is lost to a kill after `calls` more commands. */
function dyingWorld(calls: number): World {
  let left = calls;
  return {
    ...world,
    processes: {
      run: (command: Command) => {
        if (left-- <= 0) throw new Error("killed");
        return world.processes.run(command);
      },
    },
  };
}

test("killed after any command of git, the work is taken up and arrives exactly once", async (t) => {
  const f = await fixture(t);
  let deaths = 0;
  for (let calls = 0; ; calls++) {
    const task = `task_${calls}`;
    const mortal = gitWorkspaces({ world: dyingWorld(calls), home: f.home, log: silentLog });
    const script = async (workspaces: typeof mortal) => {
      const workspace = await workspaces.open(f.request(task));
      await writeFiles(pathOf(workspace), { [`${task}.txt`]: "done\n" });
      const change = await workspace.commit();
      return { change, merged: await workspace.merge() };
    };

    const first = await script(mortal).then(
      () => "survived",
      () => "died",
    );
    const { change, merged } = await script(f.workspaces);

    assert.equal(merged.kind, "merged", `after ${calls} commands`);
    assert.equal(change?.insertions, 1, `after ${calls} commands`);
    const commits = ["rev-list", "--count", "--no-merges", `--grep=^Cadre-Task: ${task}$`];
    assert.equal(await f.git(...commits, `cadre/${ROOT}`), "1", `after ${calls} commands`);
    if (first === "survived") break;
    deaths++;
  }
  assert.ok(deaths > 10, `died ${deaths} times`);
});
