import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { after, type TestContext, test } from "node:test";
import pg from "pg";
import { startPostgres } from "../../../../test/support/postgres.ts";
import { freshDatabase } from "../../../../test/support/store.ts";
import { CadreError } from "../../errors.ts";
import { appendEvents, journalMigration, readEvents } from "../../journal.ts";
import { realWorld } from "../../world.ts";
import type { Migration, Store, Tx } from "../store.ts";
import { MIGRATION_LOCK, openPostgres, triesOf } from "./open.ts";

// A server of this file's own: it is restarted, and its settings are changed.
const server = await startPostgres();
after(() => server.stop());
const world = realWorld();

const things: Migration = {
  id: "0001-things",
  up: ["CREATE TABLE things (id BIGINT PRIMARY KEY, name TEXT)"],
};

async function freshUrl(t: TestContext): Promise<string> {
  const place = await freshDatabase(server.url);
  t.after(() => place.remove());
  return place.at;
}

async function open(
  t: TestContext,
  url: string,
  migrations: readonly Migration[] = [things],
): Promise<Store> {
  const store = await openPostgres({ url, poolMax: 8, migrations, world });
  t.after(() => store.close());
  return store;
}

/** Asks the server beside the store. */
async function ask(url: string, sql: string): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await client.query(sql);
  } finally {
    await client.end();
  }
}

/** A door that a transaction waits at until the test opens it. */
function gate(): { readonly passed: Promise<void>; open(): void } {
  let open = () => {};
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { passed, open: () => open() };
}

const insert = (id: number) => (tx: Tx) =>
  tx.run("INSERT INTO things (id, name) VALUES (?, ?)", id, "a thing");
const codeIs = (code: string) => (error: unknown) =>
  error instanceof CadreError && error.code === code;

test("F3. an event of a transaction that still runs holds back what committed after it began", async (t) => {
  const store = await open(t, await freshUrl(t), [journalMigration]);
  const stamp = { at: 1, actor: "hub", correlation: null };
  const told = gate();
  const mayEnd = gate();
  const heard = async () =>
    (await store.read((tx) => readEvents(tx, {}, 0, 10))).map((event) => event.type);

  const slow = store.write(async (tx) => {
    await appendEvents(tx, [{ type: "a.first", data: {} }], stamp);
    told.open();
    await mayEnd.passed;
  });
  await told.passed;
  await store.write((tx) => appendEvents(tx, [{ type: "b.second", data: {} }], stamp));
  const whileItRuns = await heard();
  mayEnd.open();
  await slow;

  assert.deepEqual(whileItRuns, []);
  assert.deepEqual(await heard(), ["a.first", "b.second"]);
});

test("two transactions that wait for each other both end: one of them runs again", async (t) => {
  const url = new URL(await freshUrl(t));
  url.searchParams.set("options", "-c deadlock_timeout=20ms");
  const store = await open(t, url.href);
  await store.write(async (tx) => {
    await insert(1)(tx);
    await insert(2)(tx);
  });
  const doors = [gate(), gate()] as const;
  let runs = 0;

  const swap = (mine: 0 | 1) =>
    store.write(async (tx) => {
      runs += 1;
      const ids = mine === 0 ? [1, 2] : [2, 1];
      await tx.run("UPDATE things SET name = ? WHERE id = ?", `${mine}`, ids[0] as number);
      doors[mine].open();
      await doors[1 - mine]?.passed;
      await tx.run("UPDATE things SET name = ? WHERE id = ?", `${mine}`, ids[1] as number);
    });
  await Promise.all([swap(0), swap(1)]);

  const rows = await store.read((tx) => tx.all("SELECT DISTINCT name FROM things"));
  assert.equal(rows.length, 1);
  assert.equal(runs, 3);
});

test("T1. of two that look for a key and both insert it, the second finds the first's row", async (t) => {
  const store = await open(t, await freshUrl(t));
  const looked = [gate(), gate()] as const;

  const once = (mine: 0 | 1) =>
    store.write(async (tx) => {
      const known = await tx.get("SELECT name FROM things WHERE id = 1");
      if (known !== undefined) return known["name"];
      looked[mine].open();
      await looked[1 - mine]?.passed;
      await tx.run("INSERT INTO things (id, name) VALUES (1, ?)", `by ${mine}`);
      return `by ${mine}`;
    });
  const [first, second] = await Promise.all([once(0), once(1)]);

  assert.equal(first, second);
});

test("a broken rule is tried twice, then told as it is", async (t) => {
  const store = await open(t, await freshUrl(t));
  let runs = 0;

  const write = store.write(async (tx) => {
    runs += 1;
    await insert(1)(tx);
    await insert(1)(tx);
  });

  await assert.rejects(
    write,
    (error) => error instanceof pg.DatabaseError && error.code === "23505",
  );
  assert.equal(runs, 2);
});

test("what had nothing to do with the engine is never run again", () => {
  assert.equal(triesOf({ cause: new Error("a rule") }), 1);
  assert.equal(triesOf({ cause: undefined }), 1);
});

test("P1. a server that falls and comes back loses nothing it acknowledged, and is used again", async (t) => {
  const url = await freshUrl(t);
  const store = await open(t, url);
  const kept: number[] = [];
  const lost: unknown[] = [];
  let isOver = false;
  const write = async (writer: number) => {
    for (let i = 0; !isOver; i++) {
      const id = writer * 1_000_000 + i;
      try {
        await store.write(insert(id));
        kept.push(id);
      } catch (error) {
        lost.push(error);
        await new Promise(setImmediate);
      }
    }
  };

  const writers = Promise.all([1, 2, 3, 4].map(write));
  await server.restart();
  await store.write(insert(1));
  isOver = true;
  await writers;

  const found = new Set(
    (await store.read((tx) => tx.all("SELECT id FROM things"))).map((row) => row["id"]),
  );
  assert.deepEqual(
    kept.filter((id) => !found.has(id)),
    [],
  );
  assert.ok(found.has(1));
  assert.deepEqual(
    lost.filter((error) => !codeIs("store_unavailable")(error)),
    [],
  );
});

test("connections that died while nobody used them are replaced before anyone notices", async (t) => {
  const store = await open(t, await freshUrl(t));
  await Promise.all(Array.from({ length: 8 }, (_, id) => store.write(insert(id))));

  await server.restart();

  assert.equal(await store.write(insert(100)), 1);
  assert.equal((await store.read((tx) => tx.get("SELECT COUNT(*) AS n FROM things")))?.["n"], 9);
});

test("a connection that died unnoticed is found out at BEGIN, and another one is taken", async (t) => {
  const url = await freshUrl(t);
  const store = await openPostgres({ url, poolMax: 1, migrations: [things], world });
  t.after(() => store.close());
  const cut = `const { default: pg } = await import(${JSON.stringify(import.meta.resolve("pg"))});
    const client = new pg.Client({ connectionString: process.argv[1] });
    await client.connect();
    await client.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()");
    await client.end();`;

  // While the child runs this process hears nothing, also not that its connection has ended.
  const child = spawnSync(process.execPath, ["--input-type=module", "--eval", cut, url]);
  const written = await store.write(insert(1));

  assert.equal(child.status, 0);
  assert.equal(written, 1);
});

test("a hub that starts waits while another one changes the schema", async (t) => {
  const url = await freshUrl(t);
  const other = new pg.Client({ connectionString: url });
  await other.connect();
  await other.query("SELECT pg_advisory_lock($1)", [MIGRATION_LOCK]);
  let isOpen = false;

  const opening = openPostgres({ url, poolMax: 1, migrations: [things], world }).then((store) => {
    isOpen = true;
    t.after(() => store.close());
  });
  const waiting = async () => {
    const { rows } = await other.query(
      "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted",
    );
    return rows.length > 0;
  };
  while (!isOpen && !(await waiting())) await new Promise(setImmediate);
  const wasOpen = isOpen;
  await other.end();
  await opening;

  assert.deepEqual([wasOpen, isOpen], [false, true]);
});

test("a body whose connection is taken away ends, whatever it awaits", async (t) => {
  const url = await freshUrl(t);
  const store = await open(t, url);
  const holds = gate();

  const stuck = store.write(async (tx) => {
    await insert(1)(tx);
    holds.open();
    await new Promise(() => undefined);
  });
  const refused = assert.rejects(stuck, codeIs("store_unavailable"));
  await holds.passed;
  await ask(
    url,
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND state = 'idle in transaction'`,
  );

  await refused;
  assert.equal(await store.write(insert(1)), 1);
});

test("a server that may not be written is told as read-only", async (t) => {
  const url = await freshUrl(t);
  const store = await open(t, url);
  await store.close();
  const name = new URL(url).pathname.slice(1);
  await ask(server.url, `ALTER DATABASE ${name} SET default_transaction_read_only = on`);

  await assert.rejects(
    openPostgres({
      url,
      poolMax: 1,
      migrations: [things, { id: "0002-more", up: ["CREATE TABLE more (id BIGINT)"] }],
      world,
    }),
    codeIs("store_read_only"),
  );
});

test("P1. a server set to acknowledge early is told to wait for the disk", async (t) => {
  const url = await freshUrl(t);
  const name = new URL(url).pathname.slice(1);
  await ask(server.url, `ALTER DATABASE ${name} SET synchronous_commit = off`);
  const store = await open(t, url);

  const row = await store.write((tx) => tx.get("SHOW synchronous_commit"));

  assert.equal(row?.["synchronous_commit"], "on");
});

test("a prepared plan that a migration made stale is made anew", async (t) => {
  const url = await freshUrl(t);
  const store = await openPostgres({ url, poolMax: 1, migrations: [things], world });
  t.after(() => store.close());
  await store.write(insert(1));
  const look = () => store.read((tx) => tx.get("SELECT * FROM things"));
  for (let i = 0; i < 3; i++) await look();

  await ask(url, "ALTER TABLE things ADD COLUMN size BIGINT");

  assert.deepEqual(await look(), { id: 1, name: "a thing", size: null });
});

test("an address where nobody listens is told without its password", async () => {
  const opening = openPostgres({
    url: "postgres://cadre:hidden@127.0.0.1:1/cadre",
    poolMax: 1,
    migrations: [],
    world,
  });

  await assert.rejects(opening, (error) => {
    const { message, details } = error as CadreError;
    return (
      codeIs("store_unavailable")(error) &&
      message.includes("Postgres 127.0.0.1:1/cadre") &&
      !`${message}${JSON.stringify(details)}`.includes("hidden")
    );
  });
});
