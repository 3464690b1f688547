import assert from "node:assert/strict";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileArtifacts } from "./artifacts.ts";
import { scratch } from "./tool.testing.ts";

const OWNER = { task: "task_1", mediaType: "text/plain" };
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

test("an artifact is found by its content, and the same bytes are stored once", async (t) => {
  const folder = join(await scratch(t), "artifacts");
  const artifacts = fileArtifacts(folder);

  const [first, second] = await Promise.all([
    artifacts.put(bytesOf("hello"), OWNER),
    artifacts.put(bytesOf("hello"), OWNER),
  ]);

  assert.equal(first, "sha256-2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
  assert.equal(second, first);
  assert.deepEqual(Buffer.from((await artifacts.get(first)) ?? []).toString(), "hello");
  const files = await readdir(folder, { recursive: true, withFileTypes: true });
  assert.deepEqual(
    files.filter((it) => it.isFile()).map((it) => it.name),
    [first],
  );
});

test("only the owner can read an artifact", async (t) => {
  const artifacts = fileArtifacts(join(await scratch(t), "artifacts"));

  const path = artifacts.pathOf(await artifacts.put(bytesOf("secret"), OWNER));

  assert.equal((await stat(path)).mode & 0o777, 0o600);
});

test("an artifact that is not there is undefined; what is no id leads nowhere", async (t) => {
  const artifacts = fileArtifacts(join(await scratch(t), "artifacts"));

  assert.equal(await artifacts.get(`sha256-${"0".repeat(64)}`), undefined);
  await assert.rejects(artifacts.get("../../etc/passwd"), { code: "invalid_input" });
});
