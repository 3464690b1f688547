import assert from "node:assert/strict";
import { test } from "node:test";
import { realWorld } from "../../../platform/index.ts";
import { openCli } from "../cli.testing.ts";

const { processes, env } = realWorld();

async function bash(...args: readonly string[]) {
  return await processes.run({
    argv: ["bash", "--noprofile", "--norc", ...args],
    env: { PATH: env("PATH") ?? "/usr/bin:/bin" },
    timeoutMs: 30_000,
    outputBytesMax: 100_000,
  });
}

test("the script for bash is read by a real bash without complaint", async (t) => {
  const { run } = await openCli(t);
  const { code, out } = await run("completion", "bash");

  const checked = await bash("-n", "-c", out);

  assert.equal(code, 0);
  assert.equal(checked.stderr, "");
  assert.equal(checked.code, 0);
});

test("bash completes commands, verbs, options and topics of help", async (t) => {
  const { run } = await openCli(t);
  const { out } = await run("completion", "bash");
  const complete = async (...words: readonly string[]): Promise<readonly string[]> => {
    const list = words.map((word) => `'${word}'`).join(" ");
    const script = `${out}\nCOMP_WORDS=(cadre ${list}); COMP_CWORD=${words.length}; _cadre; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return (await bash("-c", script)).stdout.trim().split("\n");
  };

  assert.deepEqual(await complete("ta"), ["tasks"]);
  assert.deepEqual(await complete("tasks", "wh"), ["why"]);
  assert.deepEqual(await complete("--home", "x", "runs", "me"), ["merge"]);
  assert.deepEqual(await complete("run", "--bud"), ["--budget"]);
  assert.deepEqual(await complete("tasks", "submit", "--prio"), ["--priority"]);
  assert.deepEqual(await complete("help", "ex"), ["exit"]);
});

test("zsh and fish get every command; another shell is refused by name", async (t) => {
  const { run } = await openCli(t);

  assert.match((await run("completion", "zsh")).out, /^#compdef cadre\n/);
  const fish = (await run("completion", "fish")).out;
  assert.match(fish, /__fish_seen_subcommand_from tasks.* -a why /);
  assert.equal(fish.match(/(?<!\\)'/g)?.length ?? 0 % 2, fish.match(/(?<!\\)'/g)?.length);
  const { code, err } = await run("completion", "tcsh");
  assert.equal(code, 2);
  assert.match(err, /bash, zsh, fish/);
});
