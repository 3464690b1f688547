// T3, N9's base. Two hub processes over one Postgres: each task is run by exactly one of them.
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import pg from "pg";
import { startPostgres } from "../support/postgres.ts";
import { clientOf, ready, scratch, start } from "./cadre.ts";

const TASKS = 1_000;

const CONFIG = `agents:
  list:
    - name: echo
      description: Says that it is done.
      models: [rehearsal/echo]
      instancesMax: 50
      prompt: You say that you are done.
models:
  rehearsal: rehearsal
node:
  slots: 50
`;

const SCRIPT = `turns:
  - say: Done.
`;

test(`two hubs over one Postgres finish ${TASKS} tasks, and no task is run twice`, async (t) => {
  const folder = scratch(t);
  const given = process.env["CADRE_TEST_POSTGRES"];
  const server =
    given === undefined ? await startPostgres() : { url: given, stop: () => Promise.resolve() };
  t.after(() => server.stop());
  const name = `two_hubs_${process.pid}`;
  const admin = new pg.Client({ connectionString: server.url });
  await admin.connect();
  await admin.query(`CREATE DATABASE ${name}`);
  await admin.end();
  const store = new URL(server.url);
  store.pathname = `/${name}`;
  const hubs = ["one", "two"].map((hub) => {
    const home = join(folder, hub);
    mkdirSync(join(home, "rehearsal"), { recursive: true });
    writeFileSync(join(home, "cadre.yaml"), CONFIG);
    writeFileSync(join(home, "rehearsal", "echo.yaml"), SCRIPT);
    const process = start(t, ["up", "--port", "0"], {
      home,
      cwd: home,
      env: { CADRE_STORE: store.href },
    });
    return { home, process };
  });
  const urls = await Promise.all(
    hubs.map(async ({ process, home }) => (await ready(process, home)).url),
  );
  const clients = hubs.map(({ home }, i) => clientOf(t, home, urls[i] ?? ""));

  await Promise.all(
    Array.from({ length: TASKS }, (_, i) =>
      clients[i % 2]?.call("tasks.submit", { title: `Task ${i}` }),
    ),
  );
  const client = clients[0];
  assert.ok(client !== undefined);
  for (;;) {
    const { open } = await client.call("tasks.counts", {});
    if (Object.values(open).every((count) => count === 0)) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }

  const runs: { task: string; node: string; state: string }[] = [];
  for (let cursor: string | undefined; ; ) {
    const page = await client.call("runs.list", {
      limit: 500,
      ...(cursor === undefined ? {} : { cursor }),
    });
    runs.push(...page.items);
    if (page.next === null) break;
    cursor = page.next;
  }
  assert.equal(runs.length, TASKS);
  assert.equal(new Set(runs.map(({ task }) => task)).size, TASKS);
  assert.ok(runs.every(({ state }) => state === "completed"));
  assert.equal(new Set(runs.map(({ node }) => node)).size, 2, "both hubs worked");
  for (const { process } of hubs) process.process.kill("SIGTERM");
  await Promise.all(hubs.map(({ process }) => process.exited));
});
