import assert from "node:assert/strict";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join, matchesGlob } from "node:path";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type Bench, benchOf } from "../tool.testing.ts";
import { globMatcher } from "./glob-pattern.ts";

async function plant(bench: Bench, files: Record<string, string | Buffer>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(join(bench.workspace, path, ".."), { recursive: true });
    await writeFile(join(bench.workspace, path), content);
  }
}

describe("glob patterns", () => {
  const cases: readonly (readonly [string, string, boolean])[] = [
    ["*.ts", "a.ts", true],
    ["*.ts", "src/deep/a.ts", true],
    ["./src/*.ts", "src/a.ts", true],
    ["src/*.ts", "src/deep/a.ts", false],
    ["src/**/*.ts", "src/a.ts", true],
    ["src/**/*.ts", "src/x/y/a.ts", true],
    ["**", "any/thing", true],
    ["**/test/**", "a/test/b", true],
    ["a?c", "abc", true],
    ["a?c", "a/c", false],
    ["[a-c]x", "bx", true],
    ["[!a-c]x", "bx", false],
    ["*.{js,ts}", "b.ts", true],
    ["{a,b}/{c,d{e,f}}", "b/df", true],
    ["a.b", "axb", false],
    ["[", "[", true],
    [".github/*", ".github/ci.yml", true],
  ];
  for (const [pattern, path, isMatch] of cases) {
    test(`${pattern} ${isMatch ? "means" : "does not mean"} ${path}`, () => {
      assert.equal(globMatcher(pattern)?.(path), isMatch);
    });
  }

  test("mean what node's own mean", () => {
    const part = fc.constantFrom("a", "b", "*", "?", "**", "[ab]", "a*", "*b");
    const pattern = fc.array(part, { minLength: 2, maxLength: 4 }).map((it) => it.join("/"));
    const name = fc.constantFrom("a", "b", "ab", "aab");
    const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((it) => it.join("/"));

    fc.assert(
      fc.property(pattern, path, (glob, file) => {
        // Node lets a closing `**` mean no name at all; here it means a file, so at least one.
        fc.pre(!glob.endsWith("**"));
        assert.equal(globMatcher(glob)?.(file), matchesGlob(file, glob), `${glob} ${file}`);
      }),
      { numRuns: 500 },
    );
  });

  test("no pattern takes long, however it is made", () => {
    const slow = globMatcher(`${"*a".repeat(400)}b`);

    assert.equal(slow?.("a".repeat(900)), false);
    assert.equal(globMatcher("{a,b}".repeat(20)), undefined);
  });
});

describe("glob", () => {
  test("finds files by name, sorted, without git's and what was installed", async (t) => {
    const bench = await benchOf(t);
    await plant(bench, {
      "src/b.ts": "",
      "src/a.ts": "",
      "readme.md": "",
      ".git/a.ts": "",
      "node_modules/x/a.ts": "",
    });
    await symlink("src", join(bench.workspace, "link"));

    const all = await bench.call("glob", { pattern: "*.ts" });
    const below = await bench.call("glob", { pattern: "a*", path: "src" });
    const none = await bench.call("glob", { pattern: "*.py" });

    assert.equal(all.text, "src/a.ts\nsrc/b.ts");
    assert.equal(below.text, "src/a.ts");
    assert.match(none.text, /No file/);
  });

  test("stops at its bound and says so", async (t) => {
    const bench = await benchOf(t);
    await plant(bench, Object.fromEntries(Array.from({ length: 1_001 }, (_, i) => [`${i}`, ""])));

    const outcome = await bench.call("glob", { pattern: "**" });

    assert.equal(outcome.facts?.["files"], 1_000);
    assert.match(outcome.text, /\[There are more\./);
  });
});

describe("grep", () => {
  test("finds lines in the files it is asked for", async (t) => {
    const bench = await benchOf(t);
    await plant(bench, {
      "a.ts": "let one = 1;\nlet two = 2;\n",
      "b/c.ts": "LET THREE\r\n",
      "d.md": "let it be",
      blob: Buffer.from("let\0"),
      ".git/config": "let",
    });

    const all = await bench.call("grep", { pattern: "^let \\w+ =" });
    const some = await bench.call("grep", { pattern: "let", include: "*.ts", ignoreCase: true });
    const one = await bench.call("grep", { pattern: "two", path: "a.ts" });
    const none = await bench.call("grep", { pattern: "four" });

    assert.equal(all.text, "a.ts:1: let one = 1;\na.ts:2: let two = 2;");
    assert.match(some.text, /b\/c\.ts:1: LET THREE$/);
    assert.equal(one.text, "a.ts:2: let two = 2;");
    assert.equal(none.text, "No line matches in 3 files.");
  });

  test("stops at its limit and says so", async (t) => {
    const bench = await benchOf(t);
    await plant(bench, { a: "x\n".repeat(20) });

    const outcome = await bench.call("grep", { pattern: "x", limit: 3 });

    assert.equal(outcome.text.split("\n").length, 4);
    assert.match(outcome.text, /There are more/);
  });

  test("a broken pattern is refused with what is broken", async (t) => {
    const bench = await benchOf(t);

    const outcome = await bench.call("grep", { pattern: "foo(" });

    assert.match(outcome.text, /`foo\(` is no regular expression: .*Unterminated group/);
  });

  test("a pattern that never ends is ended, and the process was never held up", async (t) => {
    const bench = await benchOf(t);
    await plant(bench, { a: `${"a".repeat(60)}!` });
    const stop = new AbortController();
    // The thread is busy for longer than anyone waits; this one still gets to abort it.
    setImmediate(() => stop.abort(new Error("enough")));

    const outcome = await bench.call("grep", { pattern: "^(a+)+$" }, { signal: stop.signal });

    assert.equal(outcome.kind, "failed");
    assert.match(outcome.text, /enough|stopped/);
  });
});
