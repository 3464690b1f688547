import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type App, type AppOptions, createApp } from "../../src/app.ts";
import { config } from "../../src/config/index.ts";
import type { Model } from "../../src/models/index.ts";
import { CadreError, realWorld, silentLog, type TaskId } from "../../src/platform/index.ts";
import { refusingSandbox } from "../../src/tools/index.ts";
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
