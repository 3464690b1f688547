// A3, P4, P5. kill -9 at random moments: the objective is finished, no effect is done twice.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { clientOf, killNow, ready, run, scratch, start } from "./cadre.ts";

const KILLS = 20;
const MOMENTS_MS = { from: 150, to: 900 } as const;

const git = (cwd: string, ...args: string[]): string =>
  execFileSync("git", args, { cwd, encoding: "utf8" }).trim();

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** The example's own home lies below the given one; it is where its hub lives. */
function exampleHome(home: string): string | undefined {
  const folder = join(home, "first-run");
  if (!existsSync(folder)) return undefined;
  const name = readdirSync(folder).find((entry) => existsSync(join(folder, entry, "cadre.yaml")));
  return name === undefined ? undefined : join(folder, name);
}

test(`killed ${KILLS} times in mid-run, the first run is finished by \`cadre up\`, each effect once`, async (t) => {
  const outer = scratch(t);
  let hub = start(t, ["run", "--example", "first-run"], { home: outer });
  while (exampleHome(outer) === undefined) await sleep(20);
  const home = exampleHome(outer) ?? "";
  await ready(hub, home);

  for (let kill = 0; kill < KILLS; kill++) {
    await sleep(MOMENTS_MS.from + Math.random() * (MOMENTS_MS.to - MOMENTS_MS.from));
    await killNow(hub);
    hub = start(t, ["up", "--port", "0"], { home, cwd: home });
    await ready(hub, home);
  }
  const client = clientOf(t, home, (await ready(hub, home)).url);
  const tasks = async () => (await client.call("tasks.list", { limit: 500 })).items;
  while ((await tasks()).some(({ endedAt }) => endedAt === undefined)) await sleep(100);

  const all = await tasks();
  assert.deepEqual(
    all.map(({ title, state, failure }) => ({
      title,
      state,
      ...(failure === undefined ? {} : { failure }),
    })),
    all.map(({ title }) => ({ title, state: "completed" })),
  );
  const root = all.find(({ parent }) => parent === undefined);
  assert.ok(root?.workspace.kind === "worktree");
  const repository = root.workspace.repository;
  const branch = `cadre/${root.id}`;
  // Each task that changed something has exactly one commit of its own on the branch.
  const owners = git(
    repository,
    "log",
    "--no-merges",
    "--format=%(trailers:key=Cadre-Task,valueonly,separator=)",
    `main..${branch}`,
  )
    .split("\n")
    .filter(Boolean);
  assert.equal(new Set(owners).size, owners.length);
  assert.ok(owners.length >= 2);
  // The user's own tree is as it was, and what was merged really passes its tests.
  assert.equal(git(repository, "status", "--porcelain"), "");
  const checked = join(outer, "checked");
  git(repository, "worktree", "add", "--detach", checked, branch);
  execFileSync(process.execPath, ["--test"], { cwd: checked, stdio: "pipe" });
});

test("kill -9 in mid-run repeats no finished step: every call is settled at most once", async (t) => {
  const outer = scratch(t);
  let hub = start(t, ["run", "--example", "first-run"], { home: outer });
  while (exampleHome(outer) === undefined) await sleep(20);
  const home = exampleHome(outer) ?? "";
  await ready(hub, home);
  for (let kill = 0; kill < 4; kill++) {
    await sleep(1_000);
    await killNow(hub);
    hub = start(t, ["up", "--port", "0"], { home, cwd: home });
    await ready(hub, home);
  }
  const client = clientOf(t, home, (await ready(hub, home)).url);
  while ((await client.call("tasks.list", { open: true })).items.length > 0) await sleep(100);

  const { items: runs } = await client.call("runs.list", { limit: 500 });
  for (const { id } of runs) {
    const { items } = await client.call("runs.steps", { id, limit: 1_000 });
    const settled = items.flatMap(({ step }) => (step.kind === "tool_settled" ? [step.call] : []));
    const indexes = items.map(({ index }) => index);

    assert.equal(new Set(settled).size, settled.length, `a call of ${id} was settled twice`);
    assert.deepEqual(
      indexes,
      indexes.map((_, i) => i),
    );
  }
  const text = await run(t, ["tasks", "--all"], { home });
  assert.match(text, /completed/);
});
