import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { createReadStream, existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type App, type AppOptions, createApp } from "../../src/app.ts";
import { config } from "../../src/config/index.ts";
import type { Model } from "../../src/models/index.ts";
import { CadreError, realWorld, silentLog, type TaskId } from "../../src/platform/index.ts";
import { chooseSandbox, refusingSandbox, type Sandbox } from "../../src/tools/index.ts";
import { sharedPostgres } from "../support/postgres.ts";
import { freshSchema } from "../support/store.ts";
import { agent } from "../support/worker.ts";

async function freshHome(t: TestContext): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), "cadre-app-"));
  t.after(() => rm(home, { recursive: true, force: true }));
  return home;
}

const saying = (text: string): Model => ({
  answer: async ({ model }) => ({
    model,
    text,
    calls: [],
    finish: "stop",
    usage: { tokensIn: 1, tokensOut: 1, tokensCached: 0, costUsd: 0 },
    rehearsed: true,
    tookMs: 1,
  }),
});

/** Calls a tool once for each of these, then says it is done; `end`: gives up instead. */
const calling = (
  calls: readonly { readonly tool: string; readonly input: object }[],
  end: "says" | "gives up" = "says",
): Model => {
  const all =
    end === "says" ? calls : [...calls, { tool: "give_up", input: { reason: "It is no use." } }];
  return {
    answer: async (request) => {
      const turn = request.messages.filter(({ role }) => role === "assistant").length;
      const call = all[turn];
      const said = await saying(call === undefined ? "Done." : "").answer(request);
      if (call === undefined) return said;
      const { tool, input } = call;
      const made = { id: `call_${turn}`, tool, arguments: JSON.stringify(input) };
      return { ...said, finish: "tool-calls", calls: [made] };
    },
  };
};

/** Says nothing; `asked` resolves when it is first asked. */
function silent() {
  let heard = () => {};
  const asked = new Promise<void>((resolve) => {
    heard = resolve;
  });
  const model: Model = {
    answer: ({ signal }) => {
      heard();
      return new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      });
    },
  };
  return { model, asked };
}

function start(home: string, over: Partial<AppOptions> = {}): Promise<App> {
  return createApp({
    config: config.parse({ listen: { port: 0 } }),
    home,
    world: realWorld(),
    log: silentLog,
    listen: false,
    agents: [agent("coder", { models: ["rehearsal/any"] })],
    ...over,
    parts: { sandbox: refusingSandbox([]), model: saying("Done."), ...over.parts },
  });
}

async function ended(app: App, id: TaskId) {
  const stop = new AbortController();
  for await (const event of app.client.follow({ task: id }, { after: 0, signal: stop.signal })) {
    if (event.type === "task.completed" || event.type === "task.failed") stop.abort();
  }
  return await app.client.call("tasks.get", { id });
}

/** Looks again and again until it holds; a test that waits for nothing is ended by its runner. */
async function until(holds: () => boolean): Promise<void> {
  const { clock } = realWorld();
  while (!holds()) await clock.sleep(20);
}

async function withoutWalls(folder: string): Promise<Sandbox> {
  const choice = await chooseSandbox({ world: realWorld(), wanted: "none", folder, hidden: [] });
  assert.ok("sandbox" in choice);
  return choice.sandbox;
}

const git = (repository: string, ...args: string[]): string =>
  execFileSync("git", ["-C", repository, ...args], { encoding: "utf8" });

async function freshRepository(t: TestContext): Promise<string> {
  const repository = join(await freshHome(t), "repository");
  await mkdir(repository);
  await writeFile(join(repository, "a.txt"), "one\n");
  git(repository, "init", "--quiet");
  git(repository, "add", "-A");
  const by = ["-c", "user.name=Test", "-c", "user.email=test@cadre.invalid"];
  git(repository, ...by, "commit", "--quiet", "-m", "First");
  return repository;
}

test("a task submitted to a running Cadre is done, and stopping twice is fine", async (t) => {
  const app = await start(await freshHome(t));
  const { id } = await app.client.call("tasks.submit", { title: "Do it" });

  const task = await ended(app, id);
  await app.stop("graceful");
  await app.stop("now");

  assert.equal(task.state, "completed");
  assert.equal(task.result?.text, "Done.");
});

test("what a hub that ended at once had in hand goes on in the next one, same node", async (t) => {
  const home = await freshHome(t);
  const { model, asked } = silent();
  const first = await start(home, { parts: { model } });
  const { id } = await first.client.call("tasks.submit", { title: "Do it" });
  await asked;
  await first.stop("now");
  const node = await readFile(join(home, "node"), "utf8");

  const second = await start(home);
  t.after(() => second.stop("now"));
  const task = await ended(second, id);

  assert.equal(second.recovered, 1);
  assert.equal(task.state, "completed");
  assert.equal(await readFile(join(home, "node"), "utf8"), node);
});

test("a second hub on the same folder is refused; a look at it is not", async (t) => {
  const home = await freshHome(t);
  const app = await start(home);
  t.after(() => app.stop("now"));

  await assert.rejects(
    start(home),
    (error) => error instanceof CadreError && error.code === "already_running",
  );
  const look = await start(home, { works: false });
  t.after(() => look.stop("now"));

  assert.deepEqual((await look.client.call("tasks.list", {})).items, []);
});

test("a start that fails half way gives back what it took", async (t) => {
  const home = await freshHome(t);
  const badPort = config.parse({ listen: { host: "203.0.113.7", port: 1, insecureRemote: true } });

  await assert.rejects(start(home, { config: badPort, listen: true }));
  const app = await start(home);
  t.after(() => app.stop("now"));

  assert.equal(app.url, undefined);
});

test("the HTTP face listens, and asks for the token", async (t) => {
  const app = await start(await freshHome(t), { listen: true });
  t.after(() => app.stop("now"));
  const url = `${app.url}/api/v2/system/status`;

  const without = await fetch(url);
  const withToken = await fetch(url, { headers: { authorization: `Bearer ${app.token}` } });

  assert.equal(without.status, 401);
  assert.equal(withToken.status, 200);
  assert.equal(((await withToken.json()) as { engine: string }).engine, "sqlite");
});

test("a Cadre over Postgres does its work, and what a dead hub held goes on in the next", async (t) => {
  const server = await sharedPostgres();
  const place = await freshSchema(server.url);
  const onPostgres = config.parse({
    store: { engine: "postgres", url: place.at },
    node: { leaseMs: 1_000 },
  });
  const home = await freshHome(t);
  try {
    const { model, asked } = silent();
    const first = await start(home, { config: onPostgres, parts: { model } });
    const { id } = await first.client.call("tasks.submit", { title: "Do it" });
    await asked;
    await first.stop("now");

    const second = await start(home, { config: onPostgres });
    const task = await ended(second, id);
    await second.stop("graceful");

    assert.equal(second.facts.engine, "postgres");
    assert.equal(task.state, "completed");
    assert.equal(task.result?.text, "Done.");
  } finally {
    await place.remove();
    await server.stop();
  }
});

test("cancelling a task ends its command, with grandchildren and all that ignores SIGTERM", async (t) => {
  const folder = await freshHome(t);
  execFileSync("mkfifo", [join(folder, "alive")]);
  // Opened for both, so that nobody has to wait for the other end.
  const command = `exec 9<> alive; trap '' TERM
    (trap '' TERM; (trap '' TERM; sleep 600) & sleep 600) & touch running; sleep 600`;
  const app = await start(await freshHome(t), {
    parts: {
      sandbox: await withoutWalls(folder),
      model: calling([{ tool: "shell", input: { command } }]),
    },
  });
  t.after(() => app.stop("now"));
  const { id } = await app.client.call("tasks.submit", {
    title: "Do it",
    workspace: { kind: "directory", path: folder },
  });
  await until(() => existsSync(join(folder, "running")));
  const alive = createReadStream(join(folder, "alive"));
  const gone = once(alive.resume(), "end");

  await app.client.call("tasks.cancel", { id });

  // The pipe ends when the last process that holds it is gone.
  await gone;
  assert.equal((await app.client.call("tasks.get", { id })).state, "cancelled");
});

test("the work tree of a task that failed is taken away; what lay in it is on its branch", async (t) => {
  const home = await freshHome(t);
  const repository = await freshRepository(t);
  const write = { tool: "write", input: { path: "half.txt", content: "half done\n" } };
  const app = await start(home, { parts: { model: calling([write], "gives up") } });
  t.after(() => app.stop("now"));
  const { id } = await app.client.call("tasks.submit", {
    title: "Do it",
    workspace: { kind: "worktree", repository },
  });

  const task = await ended(app, id);
  await until(() => !existsSync(join(home, "worktrees", id)));

  assert.equal(task.failure?.code, "gave_up");
  assert.equal(git(repository, "show", `cadre/${id}-root:half.txt`), "half done\n");
  assert.equal(git(repository, "status", "--porcelain"), "");
});

test("a work tree whose hub died before it was taken away is collected by the next", async (t) => {
  const home = await freshHome(t);
  const repository = await freshRepository(t);
  const { model, asked } = silent();
  const first = await start(home, { parts: { model } });
  const { id } = await first.client.call("tasks.submit", {
    title: "Do it",
    workspace: { kind: "worktree", repository },
  });
  await asked;
  await writeFile(join(home, "worktrees", id, "half.txt"), "half done\n");
  await first.stop("now");
  // Nobody works there now who could collect it.
  const look = await start(home, { works: false });
  await look.client.call("tasks.cancel", { id });
  await look.stop("now");
  assert.ok(existsSync(join(home, "worktrees", id)));

  const second = await start(home);
  t.after(() => second.stop("now"));
  await until(() => !existsSync(join(home, "worktrees", id)));

  assert.equal(git(repository, "show", `cadre/${id}-root:half.txt`), "half done\n");
});

test("the team that was stored is the team of a start that brings none", async (t) => {
  const home = await freshHome(t);
  await (await start(home)).stop("graceful");

  const app = await createApp({
    config: config.parse({}),
    home,
    world: realWorld(),
    log: silentLog,
    listen: false,
    parts: { sandbox: refusingSandbox([]), model: saying("Again.") },
  });
  t.after(() => app.stop("now"));
  const { id } = await app.client.call("tasks.submit", { title: "Do it", agent: "coder" });

  assert.equal((await ended(app, id)).result?.text, "Again.");
});
