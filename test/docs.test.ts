// Docs that are drawn from the code, and docs that name files: both stay true.
import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { drawnBlocks, pathOf, withBlock } from "../scripts/docs.ts";

test("what is drawn from the code is what the code says (else: node scripts/docs.ts)", () => {
  for (const drawn of drawnBlocks()) {
    const text = readFileSync(pathOf(drawn.file), "utf8");

    assert.equal(withBlock(text, drawn), text, drawn.file);
  }
});

test("links between the docs lead somewhere", () => {
  const root = pathOf(".");
  const broken = globSync(["*.md", "docs/**/*.md", "examples/*/README.md"], { cwd: root }).flatMap(
    (file) =>
      [...readFileSync(join(root, file), "utf8").matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)]
        .map((match) => join(dirname(file), match[1] ?? ""))
        .filter((target) => !existsSync(join(root, target)))
        .map((target) => `${file} → ${target}`),
  );

  assert.deepEqual(broken, []);
});
