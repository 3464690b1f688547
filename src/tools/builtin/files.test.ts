import assert from "node:assert/strict";
import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import fc from "fast-check";
import { benchOf } from "../tool.testing.ts";
import { unifiedDiff } from "./diff.ts";
import { decideEdit, ofRepeat } from "./edit.ts";

describe("read", () => {
  test("gives lines with their numbers, a range at a time, and says how to go on", async (t) => {
    const bench = await benchOf(t);
    await writeFile(join(bench.workspace, "a"), "one\ntwo\r\nthree\nfour\n");

    const part = await bench.call("read", { path: "a", offset: 2, limit: 2 });
    const rest = await bench.call("read", { path: "a", offset: 4 });
    const past = await bench.call("read", { path: "a", offset: 9 });

    assert.equal(
      part.text,
      "2\ttwo\n3\tthree\n[More lines follow: read on with offset 4. The file has 20 bytes.]",
    );
    assert.equal(rest.text, "4\tfour");
    assert.equal(past.text, "`a` has 4 lines; there is no line 9.");
  });

  test("any text comes back whole when its parts are put together", async (t) => {
    const bench = await benchOf(t);
    const line = fc.string({
      unit: fc.constantFrom("a", "é", "漢", "😀", "\t", " "),
      maxLength: 30,
    });

    await fc.assert(
      fc.asyncProperty(fc.array(line, { minLength: 1, maxLength: 20 }), async (lines) => {
        await writeFile(join(bench.workspace, "a"), `${lines.join("\n")}\n`);
        const read: string[] = [];
        for (let offset: unknown = 1; typeof offset === "number"; ) {
          const { text, facts } = await bench.call("read", { path: "a", offset, limit: 3 });
          const shown = text.split("\n").filter((it) => !it.startsWith("[More lines"));
          read.push(...shown.map((it) => it.slice(it.indexOf("\t") + 1)));
          offset = facts?.["nextOffset"];
        }

        assert.deepEqual(read, lines);
      }),
      { numRuns: 30 },
    );
  });

  test("a file larger than memory should hold is read by range, its long lines cut", async (t) => {
    const bench = await benchOf(t);
    const line = `${"x".repeat(1_000_000)}\n`;
    await writeFile(join(bench.workspace, "huge"), `${line.repeat(40)}last\n`);

    const end = await bench.call("read", { path: "huge", offset: 41 });
    const begin = await bench.call("read", { path: "huge", limit: 1 });

    assert.equal(end.text, "41\tlast");
    assert.match(begin.text, /^1\tx{2000}\[\.\.\. 998000 characters left out\]\n\[More lines/);
  });

  test("binary files are refused with what they are, folders with what to use", async (t) => {
    const bench = await benchOf(t);
    await writeFile(join(bench.workspace, "image"), Buffer.from("89504e470d0a1a0a00", "hex"));
    await writeFile(join(bench.workspace, "blob"), Buffer.from([1, 2, 0, 3]));
    await mkdir(join(bench.workspace, "folder"));
    await writeFile(join(bench.workspace, "empty"), "");

    const told = async (path: string) => (await bench.call("read", { path })).text;

    assert.equal(
      await told("image"),
      "`image` is a PNG image of 9 bytes, not text. It was not read.",
    );
    assert.equal(
      await told("blob"),
      "`blob` is a binary file of 4 bytes, not text. It was not read.",
    );
    assert.match(await told("folder"), /is a folder\. `glob` lists/);
    assert.match(await told("none"), /no file `none`/);
    assert.equal(await told("empty"), "`empty` is empty.");
  });
});

describe("write", () => {
  test("makes a file with the folders above it, replaces one, keeps its mode", async (t) => {
    const bench = await benchOf(t);
    const path = join(bench.workspace, "src/deep/run.sh");

    const made = await bench.call("write", { path: "src/deep/run.sh", content: "a\nb\n" });
    await chmod(path, 0o755);
    const replaced = await bench.call("write", { path, content: "a\nc\n" });

    assert.equal(made.text, "Made `src/deep/run.sh`: 2 lines, 4 bytes.");
    assert.equal(replaced.text, "Replaced `src/deep/run.sh`: 2 lines, 4 bytes.");
    assert.match(String(replaced.facts?.["diff"]), /@@ -1,2 \+1,2 @@\n a\n-b\n\+c\n$/);
    assert.equal(await readFile(path, "utf8"), "a\nc\n");
    assert.equal((await stat(path)).mode & 0o777, 0o755);
  });

  test("written twice leaves the same; remains of a write that was cut off are gone", async (t) => {
    const bench = await benchOf(t);
    await writeFile(join(bench.workspace, ".a.cadre-writing"), "half of it");

    await bench.call("write", { path: "a", content: "x" });
    await bench.call("write", { path: "a", content: "x" }, { isRepeat: true });

    assert.deepEqual(await readdir(bench.workspace), ["a"]);
    assert.equal(await readFile(join(bench.workspace, "a"), "utf8"), "x");
  });

  test("a link planted where it writes first is not followed", async (t) => {
    const bench = await benchOf(t);
    await writeFile(join(bench.ground, "outside"), "outside");
    await symlink(join(bench.ground, "outside"), join(bench.workspace, ".a.cadre-writing"));

    const outcome = await bench.call("write", { path: "a", content: "x" });

    assert.equal(outcome.kind, "refused");
    assert.equal(await readFile(join(bench.ground, "outside"), "utf8"), "outside");
  });

  test("a folder is not replaced", async (t) => {
    const bench = await benchOf(t);
    await mkdir(join(bench.workspace, "folder"));

    assert.match((await bench.call("write", { path: "folder", content: "" })).text, /is a folder/);
    assert.equal((await bench.call("write", { path: ".", content: "" })).kind, "refused");
  });

  test("writes of one file at the same time leave one of them, whole", async (t) => {
    const bench = await benchOf(t);
    const texts = Array.from({ length: 8 }, (_, index) => String(index).repeat(50_000));

    const outcomes = await Promise.all(
      texts.map((content) => bench.call("write", { path: "a", content })),
    );

    assert.ok(outcomes.every((it) => it.kind === "done"));
    assert.ok(texts.includes(await readFile(join(bench.workspace, "a"), "utf8")));
    assert.deepEqual(await readdir(bench.workspace), ["a"]);
  });
});

describe("edit", () => {
  test("replaces one exact text and shows the difference", async (t) => {
    const bench = await benchOf(t);
    await writeFile(join(bench.workspace, "a.ts"), "let a = 1;\nlet b = 2;\n");

    const outcome = await bench.call("edit", { path: "a.ts", old: "b = 2", new: "b = 3" });

    assert.equal(outcome.text, "Changed 1 place in `a.ts`.");
    assert.equal(await readFile(join(bench.workspace, "a.ts"), "utf8"), "let a = 1;\nlet b = 3;\n");
    assert.equal(
      outcome.facts?.["diff"],
      "--- a/a.ts\n+++ b/a.ts\n@@ -1,2 +1,2 @@\n let a = 1;\n-let b = 2;\n+let b = 3;\n",
    );
  });

  const text = "function one() {\n  return 1;\n}\nfunction two() {\n  return 1;\n}\n";
  const refusals: readonly (readonly [string, string, RegExp])[] = [
    ["a text that is there twice", "return 1;", /2 times .*lines 2, 5.*say `all`/],
    ["a text with other spaces", "    return 1;\n}", /Line 2 begins the same way, so spaces/],
    ["a misspelt text", "function on() {", /Nearest is line 1: `function one\(\) \{`/],
    ["a text that is nowhere", "class Zebra", /Read the file again/],
  ];
  for (const [title, old, told] of refusals) {
    test(`${title} is refused, with what helps`, () => {
      const decided = decideEdit(text, { old, new: "x", all: false }, "a");

      assert.ok(decided.kind === "refused");
      assert.match(decided.why, told);
    });
  }

  test("replaces every place when all is said, and is literal about what it puts there", () => {
    const decided = decideEdit("a.a", { old: "a", new: "$&$1", all: true }, "f");

    assert.deepEqual(decided, { kind: "edited", text: "$&$1.$&$1", places: 2 });
  });

  test("a file with CRLF is matched by plain line breaks and keeps its own", async (t) => {
    const bench = await benchOf(t);
    await writeFile(join(bench.workspace, "a"), "one\r\ntwo\r\n");

    await bench.call("edit", { path: "a", old: "one\ntwo", new: "1\n2" });

    assert.equal(await readFile(join(bench.workspace, "a"), "utf8"), "1\r\n2\r\n");
  });

  test("two edits of one file at the same time are both made", async (t) => {
    const bench = await benchOf(t);
    await writeFile(join(bench.workspace, "a"), "one two");

    await Promise.all([
      bench.call("edit", { path: "a", old: "one", new: "1" }),
      bench.call("edit", { path: "a", old: "two", new: "2" }),
    ]);

    assert.equal(await readFile(join(bench.workspace, "a"), "utf8"), "1 2");
  });

  test("the repeat of an edit that was made says so and changes nothing", async (t) => {
    const bench = await benchOf(t);
    await writeFile(join(bench.workspace, "a"), "b");

    const outcome = await bench.call("edit", { path: "a", old: "a", new: "b" }, { isRepeat: true });

    assert.equal(outcome.kind, "done");
    assert.match(outcome.text, /made before the interruption/);
  });

  test("the repeat of an edit that was not made makes it", async (t) => {
    const bench = await benchOf(t);
    await writeFile(join(bench.workspace, "a"), "a");

    await bench.call("edit", { path: "a", old: "a", new: "b" }, { isRepeat: true });

    assert.equal(await readFile(join(bench.workspace, "a"), "utf8"), "b");
  });

  test("a repeat is never applied to what it already changed, whatever the texts are", () => {
    const part = fc.string({ unit: fc.constantFrom("a", "b"), minLength: 1, maxLength: 4 });

    fc.assert(
      fc.property(part, part, part, part, fc.boolean(), (before, old, now, after, all) => {
        const edit = { old, new: now, all };
        const first = decideEdit(before + old + after, edit, "f");
        fc.pre(first.kind === "edited");

        const told = ofRepeat(first.text, edit, "f");

        assert.ok(told !== undefined, JSON.stringify([edit, first.text]));
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("unified diff", () => {
  test("names a new file, a file without an end, and nothing for no change", () => {
    assert.equal(unifiedDiff("a", "", "x\n"), "--- /dev/null\n+++ b/a\n@@ -0,0 +1,1 @@\n+x\n");
    assert.match(unifiedDiff("a", "x", "y\n"), /-x\n\\ No newline at end of file\n\+y\n$/);
    assert.equal(unifiedDiff("a", "x", "x"), "");
  });

  test("of any two texts is what patch needs to make one of the other", async (t) => {
    const { execFileSync } = await import("node:child_process");
    const bench = await benchOf(t);
    const line = fc.constantFrom("a", "b", "c", "", "d");
    const someText = fc.array(line, { minLength: 1, maxLength: 12 }).map((it) => it.join("\n"));

    await fc.assert(
      fc.asyncProperty(someText, someText, async (before, after) => {
        fc.pre(before !== after && before !== "");
        await writeFile(join(bench.workspace, "f"), before);

        const input = unifiedDiff("f", before, after);
        execFileSync("git", ["apply", "--unsafe-paths", "--whitespace=nowarn", "-"], {
          cwd: bench.workspace,
          input,
          stdio: ["pipe", "ignore", "ignore"],
          env: { PATH: "/usr/local/bin:/usr/bin:/bin", GIT_CEILING_DIRECTORIES: bench.ground },
        });

        assert.equal(await readFile(join(bench.workspace, "f"), "utf8").catch(() => ""), after);
      }),
      { numRuns: 40 },
    );
  });
});
