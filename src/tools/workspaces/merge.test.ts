import assert from "node:assert/strict";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import {
  type Fixture,
  fixture,
  pathOf,
  ROOT,
  refusal,
  work,
  writeFiles,
} from "./repository.testing.ts";

const show = (f: Fixture, path: string) => f.git("show", `cadre/${ROOT}:${path}`);

async function conflict(f: Fixture) {
  const loser = await f.workspaces.open(f.request("task_b"));
  await work(f, "task_a", { "a.txt": "one\nTWO\nthree\n", "other.txt": "o\n" });
  await writeFiles(pathOf(loser), { "a.txt": "one\n2\nthree\n" });
  await loser.commit();
  return loser;
}

test("a conflict names its files, merges nothing and leaves the root's branch", async (t) => {
  const f = await fixture(t);
  const loser = await conflict(f);
  const tip = await f.git("rev-parse", `cadre/${ROOT}`);

  const outcome = await loser.merge();

  assert.deepEqual(outcome, { kind: "conflict", files: ["a.txt"] });
  assert.equal(await f.git("rev-parse", `cadre/${ROOT}`), tip);
});

test("a conflict resolved in the work tree is concluded by commit and then merges", async (t) => {
  const f = await fixture(t);
  const loser = await conflict(f);
  const path = pathOf(loser);

  const files = await loser.beginResolution();
  const marked = await readFile(join(path, "a.txt"), "utf8");
  const again = await (await f.workspaces.open(f.request("task_b"))).beginResolution();
  await writeFiles(path, { "a.txt": "one\nTWO and 2\nthree\n" });
  const change = await loser.commit();
  const outcome = await loser.merge();

  assert.deepEqual(files, ["a.txt"]);
  assert.deepEqual(again, ["a.txt"]);
  assert.match(marked, /<<<<<<<[\s\S]*2[\s\S]*=======[\s\S]*TWO[\s\S]*>>>>>>>/);
  assert.equal(outcome.kind, "merged");
  assert.equal(await show(f, "a.txt"), "one\nTWO and 2\nthree");
  assert.equal(change?.files, 1);
  assert.equal(await f.git("rev-list", "--count", "--merges", "cadre/task_b"), "2");
});

test("a conflict whose marks are still there is never committed", async (t) => {
  const f = await fixture(t);
  const loser = await conflict(f);
  await loser.beginResolution();
  const tip = await f.git("rev-parse", "cadre/task_b");

  await assert.rejects(loser.commit(), refusal("workspace_failed", /a\.txt still has lines/));

  assert.equal(await f.git("rev-parse", "cadre/task_b"), tip);
});

test("changed by one and deleted by the other is a conflict that can be resolved by deleting", async (t) => {
  const f = await fixture(t);
  const loser = await f.workspaces.open(f.request("task_b"));
  await work(f, "task_a", { "a.txt": "changed\n" });
  await rm(join(pathOf(loser), "a.txt"));
  await loser.commit();
  assert.deepEqual(await loser.merge(), { kind: "conflict", files: ["a.txt"] });

  await loser.beginResolution();
  await rm(join(pathOf(loser), "a.txt"), { force: true });
  await loser.commit();
  const outcome = await loser.merge();

  assert.equal(outcome.kind, "merged");
  assert.equal(await f.git("ls-tree", "--name-only", `cadre/${ROOT}`), "");
});
