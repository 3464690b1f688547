import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir, readdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, test } from "node:test";
import fc from "fast-check";
import { filesBelow, inParent, type Located, locate, openToRead } from "./paths.ts";
import { isWithin } from "./sandbox/box.ts";
import { benchOf, scratch } from "./tool.testing.ts";

async function located(workspace: string, path: string): Promise<Located> {
  const place = { workspace, readable: [], profile: "workspace" as const, hidden: [] };
  const found = await locate(place, path, "write");
  assert.ok(found.kind === "located");
  return found;
}

describe("paths of an agent", () => {
  const ways: readonly (readonly [string, string])[] = [
    ["..", "../beside/secret"],
    [".. in the middle", "sub/../../beside/secret"],
    ["an absolute path", "/etc/passwd"],
    ["a link to a file", "link"],
    ["a link to a folder", "folder/secret"],
    ["a link to a link", "second"],
    ["a link that leads up", "up/beside/secret"],
    ["a link to nothing yet", "dangling"],
    ["a folder with a like name", "../workspace-2/file"],
    ["a link without end", "loop"],
    ["a home", "~/.ssh/id_rsa"],
    ["a zero byte", "a\0b"],
  ];
  for (const [title, path] of ways) {
    test(`${title} leads no tool out of the workspace`, async (t) => {
      const bench = await benchOf(t);
      const { ground, workspace } = bench;
      for (const folder of ["beside", "workspace-2", "workspace/sub"])
        await mkdir(join(ground, folder));
      await writeFile(join(ground, "beside/secret"), "not for agents");
      await symlink("../beside/secret", join(workspace, "link"));
      await symlink(join(ground, "beside"), join(workspace, "folder"));
      await symlink("link", join(workspace, "second"));
      await symlink("..", join(workspace, "up"));
      await symlink("../beside/new", join(workspace, "dangling"));
      await symlink("loop", join(workspace, "loop"));

      const outcomes = [
        await bench.call("read", { path }),
        await bench.call("write", { path, content: "escaped" }),
        await bench.call("edit", { path, old: "not", new: "yes" }),
        await bench.call("grep", { pattern: "agents", path }),
        await bench.call("glob", { pattern: "**", path }),
      ];

      for (const outcome of outcomes) assert.equal(outcome.kind, "refused", outcome.text);
      assert.ok(outcomes.every((it) => !it.text.includes("not for agents")));
      assert.deepEqual(bench.intents, []);
      assert.deepEqual(await readdir(join(ground, "beside")), ["secret"]);
      assert.equal(await readFile(join(ground, "beside/secret"), "utf8"), "not for agents");
    });
  }

  test("a link inside the workspace to a file inside it is followed, and stays a link", async (t) => {
    const bench = await benchOf(t);
    await writeFile(join(bench.workspace, "real"), "old");
    await symlink("real", join(bench.workspace, "link"));

    const outcome = await bench.call("write", { path: "link", content: "new" });

    assert.equal(outcome.kind, "done");
    assert.equal(await readFile(join(bench.workspace, "real"), "utf8"), "new");
  });

  test("git's own folder is not written, at any depth, but may be read", async (t) => {
    const bench = await benchOf(t);
    await mkdir(join(bench.workspace, ".git/hooks"), { recursive: true });
    await writeFile(join(bench.workspace, ".git/HEAD"), "ref");

    for (const path of [".git/hooks/pre-commit", ".git", "sub/.git/config"]) {
      const outcome = await bench.call("write", { path, content: "x" });

      assert.match(outcome.text, /belongs to git/);
    }
    assert.equal((await bench.call("read", { path: ".git/HEAD" })).text, "1\tref");
    assert.equal((await bench.call("write", { path: ".gitignore", content: "x" })).kind, "done");
  });

  test("what is readable beside the workspace is read, not written", async (t) => {
    const bench = await benchOf(t);
    const library = join(bench.ground, "library");
    await mkdir(library);
    await writeFile(join(library, "a"), "text");
    const place = { readable: [library] };

    const read = await bench.call("read", { path: join(library, "a") }, { place });
    const write = await bench.call("write", { path: join(library, "a"), content: "" }, { place });

    assert.equal(read.text, "1\ttext");
    assert.equal(write.kind, "refused");
  });

  test("Cadre's own state is not seen by any tool, though the workspace holds it", async (t) => {
    const ground = await scratch(t);
    const state = join(ground, ".cadre");
    await mkdir(state);
    await writeFile(join(state, "token"), "s3cret");
    const bench = await benchOf(t, { hidden: [state] });
    const place = { workspace: ground };

    const outcomes = [
      await bench.call("read", { path: ".cadre/token" }, { place }),
      await bench.call("write", { path: ".cadre/token", content: "" }, { place }),
      await bench.call("grep", { pattern: "s3", path: "." }, { place }),
      await bench.call("glob", { pattern: "**" }, { place }),
    ];

    assert.deepEqual(
      outcomes.map((it) => it.kind),
      ["refused", "refused", "done", "done"],
    );
    assert.ok(outcomes.slice(2).every((it) => !/s3cret|token/.test(it.text)));
  });

  test("no path at all is located outside the workspace", async (t) => {
    const bench = await benchOf(t);
    await symlink(bench.ground, join(bench.workspace, "out"));
    const part = fc.constantFrom("..", ".", "a", "out", "", "workspace", "~", "/", "etc");
    const place = { ...bench.place, hidden: [] };

    await fc.assert(
      fc.asyncProperty(
        fc.array(part, { maxLength: 8 }),
        fc.boolean(),
        async (parts, isAbsolute) => {
          const path = (isAbsolute ? "/" : "") + parts.join("/");
          const found = await locate(place, path, "write");

          assert.ok(found.kind === "not-allowed" || isWithin(found.path, bench.workspace));
        },
      ),
    );
  });
});

// Elsewhere a step of the walk is a plain path: links are refused, a swap in the same instant is not.
describe("a folder swapped for a link between check and use", () => {
  let workspace = "";
  let outside = "";

  beforeEach(async (t) => {
    const ground = await scratch(t as never);
    workspace = join(ground, "workspace");
    outside = join(ground, "outside");
    await mkdir(join(workspace, "a/b"), { recursive: true });
    await mkdir(join(outside, "b"), { recursive: true });
    await writeFile(join(workspace, "a/b/file"), "inside");
    await writeFile(join(outside, "b/file"), "outside");
  });

  async function swap(): Promise<void> {
    await rename(join(workspace, "a"), join(workspace, "away"));
    await symlink(outside, join(workspace, "a"));
  }

  test("is not read through", async () => {
    const file = await located(workspace, "a/b/file");
    await swap();

    await assert.rejects(openToRead(file), (error: NodeJS.ErrnoException) =>
      ["ENOTDIR", "ELOOP"].includes(error.code ?? ""),
    );
  });

  test("is not written through", async () => {
    const file = await located(workspace, "a/b/file");
    await swap();

    await assert.rejects(inParent(file, (folder, name) => writeFile(join(folder, name), "x")));
    assert.equal(await readFile(join(outside, "b/file"), "utf8"), "outside");
  });

  test("does not lead a write elsewhere even while it is going on", async () => {
    const file = await located(workspace, "a/b/file");

    await inParent(file, async (folder, name) => {
      await swap();
      await writeFile(join(folder, name), "written");
    });

    assert.equal(await readFile(join(outside, "b/file"), "utf8"), "outside");
    assert.equal(await readFile(join(workspace, "away/b/file"), "utf8"), "written");
  });

  test("is not searched", async () => {
    const folder = await located(workspace, ".");
    await rm(join(workspace, "a"), { recursive: true });
    await symlink(outside, join(workspace, "a"));

    const found: string[] = [];
    for await (const file of filesBelow(folder, [])) found.push(file.path);

    assert.deepEqual(found, []);
  });

  test("a file swapped for a link is not read", async () => {
    const file = await located(workspace, "a/b/file");
    await rm(join(workspace, "a/b/file"));
    await symlink(join(outside, "b/file"), join(workspace, "a/b/file"));

    await assert.rejects(openToRead(file), { code: "ELOOP" });
  });
});

test("a named pipe is refused, and nobody waits for its writer", async (t) => {
  const bench = await benchOf(t);
  execFileSync("mkfifo", [join(bench.workspace, "pipe")]);

  for (const [tool, args] of [
    ["read", { path: "pipe" }],
    ["edit", { path: "pipe", old: "a", new: "b" }],
    ["write", { path: "pipe", content: "b" }],
  ] as const) {
    assert.equal((await bench.call(tool, args)).kind, "refused");
  }
  assert.equal((await bench.call("grep", { pattern: "a" })).kind, "done");
});
