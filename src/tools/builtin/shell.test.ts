import assert from "node:assert/strict";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { refusingSandbox } from "../sandbox/choose.ts";
import { benchOf } from "../tool.testing.ts";

test("a command runs in the workspace; its outputs come as one, in order, with its exit code", async (t) => {
  const bench = await benchOf(t);

  const outcome = await bench.call("shell", { command: "pwd; echo bad >&2; echo good; exit 3" });

  assert.equal(outcome.kind, "failed");
  assert.equal(outcome.text, `${bench.workspace}\nbad\ngood\n[exit code 3]`);
  assert.equal(outcome.facts?.["exitCode"], 3);
  assert.equal(outcome.facts?.["sandbox"], "none");
});

test("a command that printed nothing says so", async (t) => {
  const bench = await benchOf(t);

  const outcome = await bench.call("shell", { command: "true" });

  assert.deepEqual([outcome.kind, outcome.text], ["done", "(It printed nothing.)\n[exit code 0]"]);
});

test("a command that was cut off by a crash is never run again", async (t) => {
  const bench = await benchOf(t);

  const outcome = await bench.call("shell", { command: "echo x > file" }, { isRepeat: true });

  assert.equal(outcome.kind, "unknown");
  assert.match(outcome.text, /not run again\. Look at the workspace/);
  assert.deepEqual(await readdir(bench.workspace), []);
});

test("a command past its time is killed, and what it printed is kept", async (t) => {
  const bench = await benchOf(t, { shellTimeoutMs: 300 });

  const outcome = await bench.call("shell", { command: "echo begun; sleep 600" });

  assert.equal(outcome.kind, "failed");
  assert.equal(outcome.text, "begun\n[Killed after 0.3 s. What it did until then stands.]");
});

test("a stopped call kills its command", async (t) => {
  const bench = await benchOf(t);
  const stop = new AbortController();
  stop.abort();

  const outcome = await bench.call("shell", { command: "sleep 600" }, { signal: stop.signal });

  assert.equal(outcome.kind, "failed");
  assert.match(outcome.text, /Stopped before it ended|was stopped/);
});

test("100 MB of output are bounded for the model and kept in part in an artifact", async (t) => {
  const bench = await benchOf(t);

  const outcome = await bench.call("shell", {
    command: "echo first; head -c 100000000 /dev/zero | tr '\\0' x; echo last",
  });

  assert.equal(outcome.kind, "done");
  assert.ok(outcome.text.length <= 32 * 1024);
  assert.match(outcome.text, /^first\n[\s\S]*left out[\s\S]*last\n\[exit code 0\]$/);
  assert.equal(outcome.facts?.["artifact"] !== undefined, true);
});

test("no start file of a user is read, and the command sees no input", async (t) => {
  const bench = await benchOf(t);
  await writeFile(join(bench.workspace, ".bashrc"), "echo started");

  const outcome = await bench.call("shell", { command: "cat; echo end" });

  assert.equal(outcome.text, "end\n[exit code 0]");
});

test("where no sandbox holds a command is refused loudly, and the files still work", async (t) => {
  const bench = await benchOf(t);
  const sandbox = refusingSandbox([{ name: "unshare", found: "is not allowed here" }]);

  const shell = await bench.call("shell", { command: "true" }, { place: { sandbox } });
  const write = await bench.call("write", { path: "a", content: "x" }, { place: { sandbox } });

  assert.equal(shell.kind, "refused");
  assert.match(shell.text, /unshare: is not allowed here.*tools\.sandbox: none/);
  assert.equal(write.kind, "done");
});
