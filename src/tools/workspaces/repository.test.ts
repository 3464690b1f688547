import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { type CadreError, silentLog, type World } from "../../platform/index.ts";
import { gitWorkspaces } from "./git-workspaces.ts";
import {
  type Fixture,
  fixture,
  pathOf,
  ROOT,
  refusal,
  work,
  world,
  writeFiles,
} from "./repository.testing.ts";

const openAt = (f: Fixture, repository: string) =>
  f.workspaces.open(f.request("task_a", { policy: { kind: "worktree", repository } }));

test("a folder that is no repository is refused with git init as the next step", async (t) => {
  const f = await fixture(t);
  const plain = join(f.folder, "plain");
  await mkdir(plain);

  await assert.rejects(openAt(f, plain), (error: CadreError) => {
    assert.match(error.next.join(), /git -C .*plain.* init/);
    return refusal("workspace_failed", /plain is not a git repository/)(error);
  });
});

test("a repository without a commit, a missing folder and a file are refused by name", async (t) => {
  const f = await fixture(t);
  const empty = join(f.folder, "empty");
  await f.git("init", "--quiet", empty);
  const file = join(f.folder, "file");
  await writeFile(file, "");

  await assert.rejects(openAt(f, empty), refusal("workspace_failed", /no commit yet/));
  await assert.rejects(openAt(f, join(f.folder, "no")), refusal("workspace_failed", /\/no can't/));
  await assert.rejects(openAt(f, file), refusal("workspace_failed", /is a file, not a folder/));
});

function openWith(f: Fixture, changed: Partial<World>, task = "task_a") {
  const strange = gitWorkspaces({ world: { ...world, ...changed }, home: f.home, log: silentLog });
  return strange.open(f.request(task));
}

test("a machine without git, or with one too old, is told what to install", async (t) => {
  const f = await fixture(t);
  const old = join(f.folder, "old");
  await writeFiles(old, {});
  await mkdir(old);
  await writeFile(join(old, "git"), "#!/bin/sh\necho git version 2.34.1\n", { mode: 0o755 });
  const path = (folder: string) => ({
    env: (name: string) => (name === "PATH" ? folder : undefined),
  });

  await assert.rejects(
    openWith(f, path("/nowhere")),
    refusal("workspace_failed", /2\.38 or newer/),
  );
  await assert.rejects(openWith(f, path(old)), refusal("workspace_failed", /git version 2\.34\.1/));
});

test("uncommitted changes of the user are said to be left out, once", async (t) => {
  const f = await fixture(t);
  await writeFiles(f.repository, { "a.txt": "changed\n" });

  const first = await f.workspaces.open(f.request("task_a"));
  const second = await f.workspaces.open(f.request("task_b"));

  assert.match((first.notes ?? []).join(), /uncommitted changes/);
  assert.deepEqual(second.notes, []);
  assert.equal(await readFile(join(pathOf(first), "a.txt"), "utf8"), "one\ntwo\nthree\n");
});

test("a detached head is a start like any other", async (t) => {
  const f = await fixture(t);
  await f.git("checkout", "--quiet", "--detach");
  const before = await f.userState();

  const { merged } = await work(f, "task_a", { "b.txt": "b\n" });

  assert.equal(merged.kind, "merged");
  assert.deepEqual(await f.userState(), before);
});

test("submodules are not checked out, which is said, and survive a commit", async (t) => {
  const f = await fixture(t);
  const inner = join(f.folder, "inner");
  await f.git("init", "--quiet", inner);
  await f.git("-C", inner, "commit", "--quiet", "--allow-empty", "-m", "x");
  const url = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", inner, "sub"];
  await f.git(...url);
  await f.git("commit", "--quiet", "-m", "With a submodule");

  const { workspace, change } = await work(f, "task_a", { "b.txt": "b\n" });

  assert.match((workspace.notes ?? []).join(), /submodules/);
  assert.equal(change?.files, 1);
  assert.match(await f.git("ls-tree", `cadre/${ROOT}`, "sub"), /^160000 commit/);
});

test("a repository that can't be written is refused, naming it", async (t) => {
  const f = await fixture(t);
  // Root may write where modes forbid it: a file in the place of a folder stops anyone.
  await writeFile(join(f.repository, ".git/refs/cadre"), "");

  await assert.rejects(openWith(f, {}), refusal("workspace_failed", /can't be made in .*my proj/));
});

test("a home that can't be written is refused, naming it", async (t) => {
  const f = await fixture(t);
  await writeFile(f.home, "a file");

  await assert.rejects(
    openWith(f, {}),
    refusal("workspace_failed", /No work tree can be made below/),
  );
});

test("a bare repository and one that borrows its objects can be worked on", async (t) => {
  const f = await fixture(t);
  const bare = join(f.folder, "bare.git");
  const borrowing = join(f.folder, "borrowing");
  await f.git("clone", "--quiet", "--bare", f.repository, bare);
  await f.git("clone", "--quiet", "--shared", f.repository, borrowing);

  const inBare = await openAt(f, bare);
  const policy = { kind: "worktree", repository: borrowing } as const;
  const inBorrowing = await f.workspaces.open(f.request("task_b", { policy }));

  assert.ok(existsSync(join(pathOf(inBare), "a.txt")));
  assert.deepEqual(inBorrowing.readable, [
    join(borrowing, ".git"),
    join(f.repository, ".git/objects"),
  ]);
});

test("the policies none and directory commit and merge nothing", async (t) => {
  const f = await fixture(t);
  const policy = { kind: "directory", path: join(f.repository, ".") } as const;

  const none = await f.workspaces.open(f.request("task_a", { policy: { kind: "none" } }));
  const directory = await f.workspaces.open(f.request("task_a", { policy }));
  const gone = { kind: "directory", path: join(f.folder, "gone") } as const;

  assert.equal(none.path, null);
  assert.equal(directory.path, f.repository);
  assert.equal(await directory.commit(), undefined);
  assert.deepEqual(await directory.merge(), { kind: "nothing" });
  await assert.rejects(
    f.workspaces.open(f.request("task_a", { policy: gone })),
    refusal("workspace_failed", /gone can't be opened/),
  );
});
