import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, readFile, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import {
  type Fixture,
  fixture,
  pathOf,
  ROOT,
  work,
  world,
  writeFiles,
} from "./repository.testing.ts";

const show = (f: Fixture, path: string) => f.git("show", `cadre/${ROOT}:${path}`);

test("the user's branch, index, files and status are as before after a whole team's work", async (t) => {
  const f = await fixture(t, { "a.txt": "one\ntwo\nthree\n", "same.txt": "same\n" });
  await writeFiles(f.repository, { "a.txt": "my unfinished change\n", "mine.txt": "untracked\n" });
  await writeFiles(f.repository, { "staged.txt": "staged\n" });
  await f.git("add", "staged.txt");
  const before = await f.userState();
  // A newer time on a file that is the same: git would note it in the index as it looks.
  const later = world.clock.now() / 1_000 + 60;
  await utimes(join(f.repository, "same.txt"), later, later);
  const index = await readFile(join(f.repository, ".git/index"));

  await f.workspaces.open(f.request(ROOT));
  await work(f, "task_a", { "b.txt": "b\n" });
  await work(f, "task_b", { "c.txt": "c\n", "a.txt": "one\ntwo\nthree\nfour\n" });
  await f.workspaces.reset(f.request("task_b"));
  await f.workspaces.collect([f.request("task_a"), f.request("task_b"), f.request(ROOT)]);

  assert.ok(isDeepStrictEqual(await readFile(join(f.repository, ".git/index")), index));
  assert.deepEqual(await f.userState(), before);
  assert.equal(await show(f, "c.txt"), "c");
});

test("a commit says whose work it is, and counts what changed", async (t) => {
  const f = await fixture(t);

  const { change } = await work(f, "task_a", { "a.txt": "one\n2\nthree\n", "new.txt": "x\ny\n" });

  const head = await f.git("rev-parse", "cadre/task_a");
  assert.deepEqual(change, {
    branch: "cadre/task_a",
    commit: head,
    files: 2,
    insertions: 3,
    deletions: 1,
  });
  assert.equal(
    await f.git("log", "-1", "--format=%an <%ae>|%s|%(trailers)", "cadre/task_a"),
    "Cadre coder <coder@cadre.invalid>|Work of task_a|Cadre-Task: task_a\nCadre-Run: run_1\nCadre-Agent: coder",
  );
});

test("repeating commit and merge changes nothing and answers the same", async (t) => {
  const f = await fixture(t);
  const { workspace, change, merged } = await work(f, "task_a", { "b.txt": "b\n" });
  await work(f, "task_b", { "c.txt": "c\n" });
  const refs = await f.git("for-each-ref");

  const again = await f.workspaces.open(f.request("task_a", { run: "run_2" }));

  assert.deepEqual(await again.commit(), change);
  assert.equal((await again.merge()).kind, merged.kind);
  assert.equal((await workspace.merge()).kind, "merged");
  assert.equal(await f.git("for-each-ref"), refs);
});

test("work that changed nothing has no commit and nothing to merge", async (t) => {
  const f = await fixture(t);

  const { change, merged } = await work(f, "task_a", {});

  assert.deepEqual(change, { branch: "cadre/task_a", files: 0, insertions: 0, deletions: 0 });
  assert.deepEqual(merged, { kind: "nothing" });
});

test("deletions, renames, modes, links, binary and huge files all come through", async (t) => {
  const f = await fixture(t, { "old.txt": "1\n2\n", "dir/x.txt": "x\n", "gone.txt": "gone\n" });
  const workspace = await f.workspaces.open(f.request("task_a"));
  const path = pathOf(workspace);
  const huge = Buffer.alloc(6 * 1024 * 1024, "0123456789abcdef\n");
  await rm(join(path, "gone.txt"));
  await rm(join(path, "dir"), { recursive: true });
  await writeFiles(path, { dir: "now a file\n", "bin.dat": new Uint8Array([0, 255, 1]) });
  await writeFiles(path, { "huge.log": huge, "sp ace/\u00fc \u6f22.txt": "u\n" });
  await writeFile(join(path, "run.sh"), "#!/bin/sh\n", { mode: 0o755 });
  await symlink("old.txt", join(path, "link"));

  const change = await workspace.commit();
  await workspace.merge();

  const listing = await f.git("-c", "core.quotePath=false", "ls-tree", "-r", `cadre/${ROOT}`);
  const entries = listing.split("\n").map((line) => line.replace(/ [0-9a-f]{40}\t/, "\t"));
  assert.deepEqual(entries, [
    "100644 blob\tbin.dat",
    "100644 blob\tdir",
    "100644 blob\thuge.log",
    "120000 blob\tlink",
    "100644 blob\told.txt",
    "100755 blob\trun.sh",
    "100644 blob\tsp ace/\u00fc \u6f22.txt",
  ]);
  assert.equal(change?.files, 8);
});

test("a child starts from what the others have merged, and keeps its start", async (t) => {
  const f = await fixture(t);
  const early = await f.workspaces.open(f.request("task_early"));
  await work(f, "task_a", { "b.txt": "b\n" });

  const late = await f.workspaces.open(f.request("task_late"));
  const earlyAgain = await f.workspaces.open(f.request("task_early"));

  assert.ok(existsSync(join(pathOf(late), "b.txt")));
  assert.equal(pathOf(earlyAgain), pathOf(early));
  assert.ok(!existsSync(join(pathOf(earlyAgain), "b.txt")));
});

test("twelve tasks that open, commit and merge at once all arrive", async (t) => {
  const f = await fixture(t);
  const tasks = Array.from({ length: 12 }, (_, n) => `task_${n}`);

  const ends = await Promise.all(tasks.map((task) => work(f, task, { [`${task}.txt`]: "x\n" })));

  assert.deepEqual(new Set(ends.map((end) => end.merged.kind)), new Set(["merged"]));
  const files = await f.git("ls-tree", "--name-only", `cadre/${ROOT}`);
  assert.deepEqual(files.split("\n").sort(), ["a.txt", ...tasks.map((x) => `${x}.txt`)].sort());
  assert.equal(
    await f.git("rev-list", "--count", "--first-parent", `main..cadre/${ROOT}`),
    "12",
    "each task is merged once",
  );
});

test("a root's own clean work tree moves to the merged result when it is opened again", async (t) => {
  const f = await fixture(t);
  const first = await f.workspaces.open(f.request(ROOT));
  await work(f, "task_a", { "b.txt": "b\n" });

  const second = await f.workspaces.open(f.request(ROOT));

  assert.equal(pathOf(second), pathOf(first));
  assert.equal(await readFile(join(pathOf(second), "b.txt"), "utf8"), "b\n");
  assert.equal((await second.commit())?.files, 0);
});

test("a root's uncommitted work is left alone when it is opened again", async (t) => {
  const f = await fixture(t);
  const first = await f.workspaces.open(f.request(ROOT));
  await writeFiles(pathOf(first), { "a.txt": "in the middle\n" });
  await work(f, "task_a", { "b.txt": "b\n" });

  const second = await f.workspaces.open(f.request(ROOT));

  assert.equal(await readFile(join(pathOf(second), "a.txt"), "utf8"), "in the middle\n");
  assert.ok(!existsSync(join(pathOf(second), "b.txt")));
});

test("a move of the root's work tree that was cut short is finished, not taken for work", async (t) => {
  const f = await fixture(t, { "a.txt": "old\n", "z.txt": "old\n" });
  const root = await f.workspaces.open(f.request(ROOT));
  await work(f, "task_a", { "a.txt": "new\n", "z.txt": "new\n" });
  const tip = await f.git("rev-parse", `cadre/${ROOT}`);
  // As a kill leaves it: the mark is there, the branch has moved, one file of two is written.
  const admin = join(f.repository, ".git/worktrees", ROOT);
  await writeFile(join(admin, "cadre-moving"), tip);
  await f.git("update-ref", `refs/heads/cadre/${ROOT}-root`, tip);
  await writeFiles(pathOf(root), { "a.txt": "new\n" });

  const again = await f.workspaces.open(f.request(ROOT));

  assert.equal(await readFile(join(pathOf(again), "z.txt"), "utf8"), "new\n");
  assert.equal((await again.commit())?.files, 0);
});

// ---- Starting again and putting away ---------------------------------------------------------

test("a reset keeps the old attempt on a branch and starts from the root's tip", async (t) => {
  const f = await fixture(t);
  const first = await f.workspaces.open(f.request("task_a"));
  await writeFiles(pathOf(first), { "wrong.txt": "committed\n" });
  await first.commit();
  await writeFiles(pathOf(first), { "left.txt": "not committed\n" });
  await work(f, "task_b", { "b.txt": "b\n" });

  await f.workspaces.reset(f.request("task_a"));
  const second = await f.workspaces.open(f.request("task_a"));

  assert.ok(!existsSync(join(pathOf(second), "wrong.txt")));
  assert.ok(existsSync(join(pathOf(second), "b.txt")));
  assert.equal(await f.git("show", "cadre/task_a-attempt-1:wrong.txt"), "committed");
  assert.equal(await f.git("show", "cadre/task_a-attempt-1:left.txt"), "not committed");
});

test("a reset of the root's own task leaves the branch all merge into", async (t) => {
  const f = await fixture(t);
  const first = await f.workspaces.open(f.request(ROOT));
  await writeFiles(pathOf(first), { "wrong.txt": "w\n" });
  await work(f, "task_a", { "b.txt": "b\n" });

  await f.workspaces.reset(f.request(ROOT));
  const second = await f.workspaces.open(f.request(ROOT));

  assert.ok(existsSync(join(pathOf(second), "b.txt")));
  assert.ok(!existsSync(join(pathOf(second), "wrong.txt")));
  assert.equal(await f.git("show", `cadre/${ROOT}-attempt-1:wrong.txt`), "w");
});

test("collecting takes work trees away and leaves branches, one broken repository or not", async (t) => {
  const f = await fixture(t);
  const { workspace } = await work(f, "task_a", { "b.txt": "b\n" });
  await writeFiles(pathOf(workspace), { "left.txt": "left\n" });
  const gone = { kind: "worktree", repository: join(f.folder, "gone") } as const;

  await f.workspaces.collect([f.request("task_x", { policy: gone }), f.request("task_a")]);

  assert.ok(!existsSync(pathOf(workspace)));
  assert.equal(await f.git("show", "cadre/task_a:left.txt"), "left");
  assert.equal(
    await f.git("worktree", "list", "--porcelain").then((x) => x.includes("task_a")),
    false,
  );
});

test("tasks with a work tree are listed, and what was moved aside is none", async (t) => {
  const f = await fixture(t);
  const before = await f.workspaces.list();
  await f.workspaces.open(f.request(ROOT));
  await work(f, "task_a", { "b.txt": "b\n" });
  await mkdir(join(f.home, "worktrees", "task_a.stray-1"));

  const open = await f.workspaces.list();
  await f.workspaces.collect([f.request("task_a")]);

  assert.deepEqual(before, []);
  assert.deepEqual(open, ["task_a", ROOT]);
  assert.deepEqual(await f.workspaces.list(), [ROOT]);
});

test("who opens a work tree that is being taken away gets a whole one, with what was in it", async (t) => {
  const f = await fixture(t);
  await writeFiles(pathOf(await f.workspaces.open(f.request("task_a"))), { "left.txt": "left\n" });

  const collecting = f.workspaces.collect([f.request("task_a")]);
  const again = await f.workspaces.open(f.request("task_a"));
  await collecting;

  assert.equal(await readFile(join(pathOf(again), "left.txt"), "utf8"), "left\n");
  await writeFiles(pathOf(again), { "more.txt": "more\n" });
  assert.equal((await again.commit())?.files, 2);
});
