import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { checkGit } from "./check.ts";
import { diffstat, integrate, undo } from "./integration.ts";
import {
  type Fixture,
  fixture,
  ROOT,
  refusal,
  work,
  world,
  writeFiles,
} from "./repository.testing.ts";

const root = ROOT;
const parts = { world };

async function usersCommit(f: Fixture, files: { [path: string]: string }) {
  await writeFiles(f.repository, files);
  await f.git("add", "-A");
  await f.git("commit", "--quiet", "-m", "The user's own");
}

test("the work is merged into the user's branch by a fast-forward while it stands still", async (t) => {
  const f = await fixture(t);
  await work(f, "task_a", { "b.txt": "b\n" });

  const done = await integrate(parts, { repository: f.repository, root });
  const again = await integrate(parts, { repository: f.repository, root });

  assert.deepEqual(done, {
    kind: "merged",
    branch: "main",
    commit: await f.git("rev-parse", "HEAD"),
    from: "cadre/task_root",
    isFastForward: true,
  });
  assert.equal(again.kind, "already");
  assert.equal(await readFile(join(f.repository, "b.txt"), "utf8"), "b\n");
  assert.equal(await f.git("status", "--porcelain"), "");
});

test("the work is merged by a commit when the user went on, and undo sets the branch back", async (t) => {
  const f = await fixture(t);
  await work(f, "task_a", { "b.txt": "b\n" });
  await usersCommit(f, { "mine.txt": "mine\n" });
  const before = await f.userState();

  const done = await integrate(parts, { repository: f.repository, root });
  const parents = await f.git("log", "-1", "--format=%P");
  const undone = await undo(parts, { repository: f.repository, root });

  assert.equal(done.isFastForward, false);
  assert.equal(parents.split(" ").length, 2);
  assert.equal(undone.kind, "reset");
  assert.deepEqual(await f.userState(), before);
  assert.ok(!existsSync(join(f.repository, "b.txt")));
});

test("uncommitted changes elsewhere survive a merge and its undo", async (t) => {
  const f = await fixture(t);
  await work(f, "task_a", { "b.txt": "b\n" });
  await writeFiles(f.repository, { "a.txt": "in the middle\n", "new.txt": "n\n" });
  const before = await f.userState();

  await integrate(parts, { repository: f.repository, root });
  const between = await readFile(join(f.repository, "a.txt"), "utf8");
  await undo(parts, { repository: f.repository, root });

  assert.equal(between, "in the middle\n");
  assert.deepEqual(await f.userState(), before);
});

test("a merge over uncommitted changes of the same file is refused and touches nothing", async (t) => {
  const f = await fixture(t);
  await work(f, "task_a", { "a.txt": "theirs\n" });
  await writeFiles(f.repository, { "a.txt": "mine, not committed\n" });
  const before = await f.userState();

  const merging = integrate(parts, { repository: f.repository, root });

  await assert.rejects(merging, refusal("illegal_transition", /nothing was touched/));
  assert.deepEqual(await f.userState(), before);
});

test("a conflict with the user's branch is refused by name and touches nothing", async (t) => {
  const f = await fixture(t);
  await work(f, "task_a", { "a.txt": "theirs\n" });
  await usersCommit(f, { "a.txt": "mine\n" });
  const before = await f.userState();

  const merging = integrate(parts, { repository: f.repository, root });

  await assert.rejects(merging, refusal("illegal_transition", /a\.txt has changed on both sides/));
  assert.deepEqual(await f.userState(), before);
});

test("undo after later commits reverts the whole work in one commit and keeps theirs", async (t) => {
  const f = await fixture(t);
  await work(f, "task_a", { "b.txt": "b\n", "a.txt": "changed\n" });
  await work(f, "task_c", { "c.txt": "c\n" });
  const { isFastForward } = await integrate(parts, { repository: f.repository, root });
  await usersCommit(f, { "later.txt": "later\n" });

  const undone = await undo(parts, { repository: f.repository, root });

  assert.equal(isFastForward, true);
  assert.equal(undone.kind, "reverted");
  assert.equal(await f.git("ls-tree", "--name-only", "HEAD"), "a.txt\nlater.txt");
  assert.equal(await readFile(join(f.repository, "a.txt"), "utf8"), "one\ntwo\nthree\n");
  assert.equal(await f.git("status", "--porcelain"), "");
});

test("an undo that later commits built upon is refused and touches nothing", async (t) => {
  const f = await fixture(t);
  await work(f, "task_a", { "a.txt": "work\n" });
  await integrate(parts, { repository: f.repository, root });
  await usersCommit(f, { "a.txt": "built on it\n" });
  const before = await f.userState();

  const undoing = undo(parts, { repository: f.repository, root });

  await assert.rejects(undoing, refusal("illegal_transition", /later commits changed/));
  assert.deepEqual(await f.userState(), before);
});

test("undo of what was never merged, or already taken back, says so", async (t) => {
  const f = await fixture(t);
  await work(f, "task_a", { "b.txt": "b\n" });

  const never = await undo(parts, { repository: f.repository, root });
  await integrate(parts, { repository: f.repository, root });
  await undo(parts, { repository: f.repository, root });
  const twice = await undo(parts, { repository: f.repository, root });

  assert.ok(never.kind === "nothing" && never.next.join().includes("branch -D cadre/task_root"));
  assert.equal(twice.kind, "nothing");
});

test("on a detached head or in the middle of a merge nothing is merged", async (t) => {
  const f = await fixture(t);
  const at = { repository: f.repository, root };
  await work(f, "task_a", { "b.txt": "b\n" });
  await f.git("checkout", "--quiet", "--detach");

  await assert.rejects(integrate(parts, at), refusal("illegal_transition", /detached head/));

  await f.git("checkout", "--quiet", "main");
  await f.git("checkout", "--quiet", "-b", "side");
  await usersCommit(f, { "s.txt": "s\n" });
  await f.git("checkout", "--quiet", "main");
  await f.git("merge", "--quiet", "--no-ff", "--no-commit", "side");

  await assert.rejects(integrate(parts, at), refusal("illegal_transition", /MERGE_HEAD/));
});

test("a root that has no branch is not found", async (t) => {
  const f = await fixture(t);
  const at = { repository: f.repository, root: "task_other" };

  await assert.rejects(integrate(parts, at), refusal("not_found", /cadre\/task_other/));
  await assert.rejects(diffstat(parts, at), refusal("not_found", /cadre\/task_other/));
});

test("the diffstat counts the whole team's work by file", async (t) => {
  const f = await fixture(t);
  await work(f, "task_a", { "b.txt": "b\n", "a.txt": "one\nthree\n" });
  await work(f, "task_c", { "c.txt": "1\n2\n" });

  const stat = await diffstat(parts, { repository: f.repository, root });

  assert.equal(stat.branch, "cadre/task_root");
  assert.equal(stat.commits, 2);
  assert.deepEqual(stat.files, [
    { path: "a.txt", insertions: 0, deletions: 1, isBinary: false },
    { path: "b.txt", insertions: 1, deletions: 0, isBinary: false },
    { path: "c.txt", insertions: 2, deletions: 0, isBinary: false },
  ]);
  assert.deepEqual([stat.insertions, stat.deletions], [3, 1]);
});

test("the doctor's check really makes a work tree, and tells a folder without a repository", async (t) => {
  const f = await fixture(t);

  const inside = await checkGit(world, f.repository);
  const outside = await checkGit(world, f.folder);
  const without = await checkGit({ ...world, env: () => "/nowhere" }, f.repository);

  assert.equal(inside.level, "ok");
  assert.match(inside.found, /made, merged and removed a work tree/);
  assert.equal(outside.level, "warn");
  assert.equal(without.level, "fail");
});

test("in the user's own folder git works as the user has set it up: filters, name", async (t) => {
  const f = await fixture(t, { ".gitattributes": "*.loud filter=loud\n" });
  const settings = ["[user]", "name = Ada", "email = ada@example.org", '[filter "loud"]'];
  const filter = ["smudge = tr a-z A-Z", "clean = tr A-Z a-z"];
  await writeFile(join(f.folder, ".gitconfig"), [...settings, ...filter, ""].join("\n"));
  const home = { env: (name: string) => (name === "HOME" ? f.folder : world.env(name)) };
  await work(f, "task_a", { "x.loud": "hello\n" });
  await usersCommit(f, { "mine.txt": "mine\n" });

  await integrate({ world: { ...world, ...home } }, { repository: f.repository, root });

  assert.equal(await readFile(join(f.repository, "x.loud"), "utf8"), "HELLO\n");
  assert.equal(await f.git("show", "HEAD:x.loud"), "hello");
  assert.equal(await f.git("log", "-1", "--format=%an %ae"), "Ada ada@example.org");
});
