import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { CadreError, realWorld } from "../../platform/index.ts";
import {
  checkPort,
  copyExample,
  hasCommit,
  makeHome,
  playedHomes,
  reportBug,
  repositoryOf,
  writeNew,
} from "./machine.ts";

const world = realWorld();

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "cadre-machine-"));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

async function examples(t: TestContext): Promise<string> {
  const path = await folder(t);
  await mkdir(join(path, "first", "project", "node_modules"), { recursive: true });
  await writeFile(join(path, "first", "cadre.yaml"), "agents:\n  folder: agents\n");
  await writeFile(join(path, "first", "project", "a.ts"), "export {};\n");
  await writeFile(join(path, "first", "project", "node_modules", "junk"), "");
  return path;
}

test("two copies of an example at once get homes of their own, each a fresh repository", async (t) => {
  const from = { examples: await examples(t), name: "first" };
  const home = await folder(t);

  const [one, two] = await Promise.all([
    copyExample(world, from, home),
    copyExample(world, from, home),
  ]);

  assert.notEqual(one?.home, two?.home);
  for (const { project } of [one, two]) {
    assert.equal(await repositoryOf(world, project), project);
    await assert.rejects(readFile(join(project, "node_modules", "junk")), { code: "ENOENT" });
  }
  assert.equal(await readFile(join(home, ".gitignore"), "utf8"), "*\n");
});

test("an unknown example is refused with those there are", async (t) => {
  const from = { examples: await examples(t), name: "frist" };
  const copying = copyExample(world, from, await folder(t));

  await assert.rejects(copying, (error) => {
    assert.ok(error instanceof CadreError);
    assert.equal(error.code, "not_found");
    assert.deepEqual(error.next, ["cadre run --example first"]);
    return true;
  });
});

test("a variant of an example is the same with another configuration; both are named", async (t) => {
  const from = await examples(t);
  await writeFile(join(from, "first", "cadre.broken.yaml"), "models:\n  rehearsal: broken\n");
  const home = await folder(t);

  const { home: copy } = await copyExample(world, { examples: from, name: "first/broken" }, home);

  assert.match(await readFile(join(copy, "cadre.yaml"), "utf8"), /rehearsal: broken/);
  await assert.rejects(copyExample(world, { examples: from, name: "first/other" }, home), {
    message: 'There is no example "first/other". There are: first, first/broken.',
  });
});

test("played examples are found newest first, and only those", async (t) => {
  const from = { examples: await examples(t), name: "first" };
  const home = await folder(t);
  for (let copies = 0; copies < 10; copies++) await copyExample(world, from, home);
  await mkdir(join(home, "first", "notes"));
  await mkdir(join(home, "artifacts", "1"), { recursive: true });

  const played = await playedHomes(from.examples, home);

  assert.equal(played.length, 10);
  assert.deepEqual(played.slice(0, 2), [join(home, "first", "10"), join(home, "first", "9")]);
});

test("a home that can't be made is refused with its path and another way", async (t) => {
  const file = join(await folder(t), "file");
  await writeFile(file, "");

  await assert.rejects(makeHome(join(file, "state")), (error) => {
    assert.ok(error instanceof CadreError);
    assert.equal(error.code, "store_read_only");
    assert.ok(error.message.includes(join(file, "state")));
    return true;
  });
});

test("a repository without a commit is told apart from one with", async (t) => {
  const from = { examples: await examples(t), name: "first" };
  const { project } = await copyExample(world, from, await folder(t));
  const empty = await folder(t);
  execFileSync("git", ["init", "--quiet", empty]);

  assert.equal(await hasCommit(world, project), true);
  assert.equal(await hasCommit(world, empty), false);
});

test("a folder outside any repository has none; a missing folder is refused", async (t) => {
  const path = await folder(t);

  assert.equal(await repositoryOf(world, path), undefined);
  await assert.rejects(repositoryOf(world, join(path, "missing")), { code: "not_found" });
});

test("a file that is there is kept", async (t) => {
  const file = join(await folder(t), "cadre.yaml");

  assert.equal(await writeNew(file, "mine"), true);
  assert.equal(await writeNew(file, "other"), false);
  assert.equal(await readFile(file, "utf8"), "mine");
});

test("a taken port is found out by trying it", async (t) => {
  const home = await folder(t);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);

  const taken = await checkPort(home, { host: "127.0.0.1", port: address.port });
  const free = await checkPort(home, { host: "127.0.0.1", port: 0 });

  assert.equal(taken.level, "warn");
  assert.equal(free.level, "ok");
});

test("the report of a bug holds the cause too, for its owner only", async (t) => {
  const error = new Error("outer", { cause: new TypeError("inner") });

  const file = await reportBug(world, "1.2.3", error);

  assert.ok(file !== undefined);
  t.after(() => rm(file));
  assert.match(await readFile(file, "utf8"), /Cadre 1\.2\.3[\s\S]*outer[\s\S]*inner/);
});
