// What every engine promises, run by each engine's test file.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { CadreError } from "../errors.ts";
import { appendEvents, journalHead, journalMigration, readEvents } from "../journal.ts";
import type { Engine, Migration, Row, Store, Tx } from "./store.ts";

export type StoreUnderTest = {
  readonly engine: Engine;
  /** A new, empty place; removed after the test. */
  place(t: TestContext): Promise<string>;
  open(at: string, migrations: readonly Migration[]): Promise<Store>;
};

const things: Migration = {
  id: "0001-things",
  up: [
    `CREATE TABLE things (
      id BIGINT PRIMARY KEY, name TEXT, size BIGINT, ratio DOUBLE PRECISION, holder TEXT
    )`,
  ],
};

const insertThing = (tx: Tx, id: number) =>
  tx.run("INSERT INTO things (id, name) VALUES (?, ?)", id, `thing ${id}`);
const countThings = async (store: Store): Promise<Row | undefined> =>
  store.read((tx) => tx.get("SELECT COUNT(*) AS n FROM things"));
const codeIs = (code: string) => (error: unknown) =>
  error instanceof CadreError && error.code === code;

export function storeConformance(under: StoreUnderTest): void {
  const name = under.engine;

  const openThings = async (t: TestContext) => {
    const at = await under.place(t);
    const store = await under.open(at, [things]);
    t.after(() => store.close());
    return { at, store };
  };

  test(`${name}: a body that throws leaves nothing behind, and its error comes out as it is`, async (t) => {
    const { store } = await openThings(t);
    const refusal = new CadreError("lease_lost", "The lease is held by another.");

    const write = store.write(async (tx) => {
      await insertThing(tx, 1);
      throw refusal;
    });

    await assert.rejects(write, (error) => error === refusal);
    assert.equal((await countThings(store))?.["n"], 0);
  });

  test(`${name}: of bodies that wait together, those that throw are undone alone`, async (t) => {
    const { store } = await openThings(t);

    const writes = Array.from({ length: 40 }, (_, i) =>
      store.write(async (tx) => {
        await insertThing(tx, i);
        if (i % 4 === 1) throw new Error("no");
        if (i % 4 === 3) await tx.run("INSERT INTO things (id) VALUES (?)", i);
        return i;
      }),
    );
    const outcomes = await Promise.allSettled(writes);

    const kept = outcomes.flatMap((outcome) =>
      outcome.status === "fulfilled" ? [outcome.value] : [],
    );
    const rows = await store.read((tx) => tx.all("SELECT id FROM things ORDER BY id"));
    assert.deepEqual(
      kept,
      Array.from({ length: 20 }, (_, i) => i * 2),
    );
    assert.deepEqual(
      rows.map((row) => row["id"]),
      kept,
    );
  });

  test(`${name}: what a write resolved is there for whoever opens the store next`, async (t) => {
    const { at, store } = await openThings(t);

    await store.write((tx) => insertThing(tx, 7));
    const other = await under.open(at, [things]);
    t.after(() => other.close());

    assert.equal((await countThings(other))?.["n"], 1);
  });

  test(`${name}: a read sees one moment, whatever is written meanwhile`, async (t) => {
    const { at, store } = await openThings(t);
    const other = await under.open(at, [things]);
    t.after(() => other.close());

    const seen = await store.read(async (tx) => {
      const before = await tx.get("SELECT COUNT(*) AS n FROM things");
      await other.write((inner) => insertThing(inner, 1));
      return [before?.["n"], (await tx.get("SELECT COUNT(*) AS n FROM things"))?.["n"]];
    });

    assert.deepEqual(seen, [0, 0]);
    assert.equal((await countThings(store))?.["n"], 1);
  });

  test(`${name}: a read can't change anything, by whichever call it tries`, async (t) => {
    const { store } = await openThings(t);

    await assert.rejects(
      store.read((tx) => insertThing(tx, 1)),
      /A read can't run a change/,
    );
    await assert.rejects(
      store.read((tx) => tx.all("INSERT INTO things (id) VALUES (?) RETURNING id", 2)),
    );

    assert.equal((await countThings(store))?.["n"], 0);
  });

  test(`${name}: an error of a statement undoes the body even when the body swallows it`, async (t) => {
    const { store } = await openThings(t);

    const write = store.write(async (tx) => {
      await insertThing(tx, 1);
      await insertThing(tx, 1).catch(() => 0);
      return "done";
    });

    await assert.rejects(write, (error) => !(error instanceof CadreError));
    assert.equal((await countThings(store))?.["n"], 0);
  });

  test(`${name}: after a failed statement the body can't go on`, async (t) => {
    const { store } = await openThings(t);

    const write = store.write(async (tx) => {
      await insertThing(tx, 1);
      const first = await insertThing(tx, 1).catch((error: unknown) => error);
      const second = await insertThing(tx, 2).catch((error: unknown) => error);
      return first === second;
    });

    await assert.rejects(write);
    assert.equal((await countThings(store))?.["n"], 0);
  });

  test(`${name}: a statement that comes after its transaction is refused`, async (t) => {
    const { store } = await openThings(t);
    const kept: Tx[] = [];

    await store.write((tx) => Promise.resolve(kept.push(tx)));

    await assert.rejects(kept.map((tx) => insertThing(tx, 1))[0] as Promise<number>, /had ended/);
    assert.equal((await countThings(store))?.["n"], 0);
  });

  test(`${name}: increments of many writers all count`, async (t) => {
    const { store } = await openThings(t);
    await store.write((tx) => tx.run("INSERT INTO things (id, size) VALUES (1, 0)"));

    await Promise.all(
      Array.from({ length: 60 }, () =>
        store.write((tx) => tx.run("UPDATE things SET size = size + 1 WHERE id = 1")),
      ),
    );

    const row = await store.read((tx) => tx.get("SELECT size FROM things"));
    assert.equal(row?.["size"], 60);
  });

  test(`${name}: rows claimed by many at once are claimed once each`, async (t) => {
    const { store } = await openThings(t);
    await store.write(async (tx) => {
      for (let id = 0; id < 60; id++) await insertThing(tx, id);
    });

    const claim = (holder: string) => async (tx: Tx) =>
      tx.all(
        `UPDATE things SET holder = ? WHERE id IN (
          SELECT id FROM things WHERE holder IS NULL ORDER BY id LIMIT 5 ${tx.sql.skipLocked}
        ) RETURNING id`,
        holder,
      );
    const claims = await Promise.all(
      Array.from({ length: 12 }, (_, i) => store.write(claim(`node_${i}`))),
    );

    const ids = claims.flat().map((row) => row["id"]);
    assert.equal(new Set(ids).size, 60);
    assert.equal(ids.length, 60);
  });

  test(`${name}: what is bound comes back as it was`, async (t) => {
    const { store } = await openThings(t);
    const name_ = "naïve 🦉 \u{10FFFF} 'quoted' ? \\ \n\t";
    const values = [2 ** 53 - 1, name_, -(2 ** 53) + 1, 0.1] as const;

    await store.write((tx) =>
      tx.run("INSERT INTO things (id, name, size, ratio) VALUES (?, ?, ?, ?)", ...values),
    );
    const row = await store.read((tx) =>
      tx.get("SELECT id, name, size, ratio, holder FROM things WHERE name = ?", name_),
    );

    assert.deepEqual(Object.values(row ?? {}), [...values, null]);
  });

  test(`${name}: a ? inside a literal is no parameter; counts, sums and truths are numbers`, async (t) => {
    const { store } = await openThings(t);
    await store.write((tx) => tx.run("INSERT INTO things (id, size) VALUES (1, 4), (2, 5)"));

    const row = await store.read((tx) =>
      tx.get(
        `SELECT 'why?' AS q, COUNT(*) AS n, SUM(size) AS total, (COUNT(*) + 3) / ? AS half,
          COUNT(*) = 2 AS truth FROM things WHERE id < ?`,
        2,
        10,
      ),
    );

    assert.deepEqual({ ...row }, { q: "why?", n: 2, total: 9, half: 2, truth: 1 });
  });

  test(`${name}: what can't be stored as it is is refused, never bent`, async (t) => {
    const { store } = await openThings(t);
    const put = (value: unknown) =>
      store.write((tx) => tx.run("INSERT INTO things (id, name) VALUES (1, ?)", value as string));

    await assert.rejects(put("a\0b"), codeIs("invalid_input"));
    for (const value of [undefined, Number.NaN, 2 ** 53, new Date(0), { a: 1 }, true]) {
      await assert.rejects(put(value), TypeError);
    }

    assert.equal((await countThings(store))?.["n"], 0);
  });

  test(`${name}: ten thousand rows go in one transaction`, async (t) => {
    const { store } = await openThings(t);

    await store.write(async (tx) => {
      for (let id = 0; id < 10_000; id++) await insertThing(tx, id);
    });

    assert.equal((await countThings(store))?.["n"], 10_000);
  });

  test(`${name}: close waits for what runs, refuses what comes, and may be called twice`, async (t) => {
    const { at, store } = await openThings(t);

    const running = store.write((tx) => insertThing(tx, 1));
    const closing = store.close();
    await assert.rejects(
      store.write((tx) => insertThing(tx, 2)),
      codeIs("store_unavailable"),
    );
    await assert.rejects(countThings(store), codeIs("store_unavailable"));

    assert.equal(await running, 1);
    await closing;
    await store.close();
    const again = await under.open(at, [things]);
    t.after(() => again.close());
    assert.equal((await countThings(again))?.["n"], 1);
  });

  test(`${name}: migrations run once, in order of their ids, also when two open at once`, async (t) => {
    const at = await under.place(t);
    const more: Migration = { id: "0002-more", up: ["INSERT INTO things (id) VALUES (99)"] };

    const stores = await Promise.all([1, 2, 3].map(() => under.open(at, [more, things])));
    for (const store of stores) t.after(() => store.close());

    for (const store of stores) assert.equal((await countThings(store))?.["n"], 1);
  });

  test(`${name}: a migration that fails leaves the schema as it was`, async (t) => {
    const at = await under.place(t);
    const broken: Migration = { id: "0002-broken", up: ["CREATE TABLE t2 (a TEXT)", "NOT SQL"] };

    await assert.rejects(under.open(at, [things, broken]));
    const store = await under.open(at, [
      things,
      { id: "0002-mended", up: ["CREATE TABLE t2 (a TEXT)"] },
    ]);
    t.after(() => store.close());

    assert.equal((await countThings(store))?.["n"], 0);
  });

  test(`${name}: a store of a newer program is refused, untouched`, async (t) => {
    const at = await under.place(t);
    const newer: Migration = { id: "0009-newer", up: ["INSERT INTO things (id) VALUES (1)"] };
    await (await under.open(at, [things, newer])).close();
    const other: Migration = { id: "0002-other", up: ["DROP TABLE things"] };

    await assert.rejects(under.open(at, [things, other]), (error) => {
      return codeIs("store_newer")(error) && /0009-newer/.test((error as Error).message);
    });

    const store = await under.open(at, [things, newer]);
    t.after(() => store.close());
    assert.equal((await countThings(store))?.["n"], 1);
  });

  test(`${name}: F3. a reader who follows the journal misses nothing and hears nothing twice`, async (t) => {
    const at = await under.place(t);
    const store = await under.open(at, [journalMigration]);
    t.after(() => store.close());
    const stamp = { at: 1, actor: "hub", correlation: null };
    const TELLERS = 12;
    const TALES = 20;

    const tell = async (teller: number) => {
      for (let tale = 0; tale < TALES; tale++) {
        await store.write(async (tx) => {
          // Transactions of different length, so that they end in another order than they began.
          await appendEvents(tx, [{ type: "a.told", data: { teller, tale, part: 1 } }], stamp);
          for (let i = 0; i < (teller * 7 + tale * 3) % 11; i++) await tx.get("SELECT 1 AS one");
          await appendEvents(tx, [{ type: "a.told", data: { teller, tale, part: 2 } }], stamp);
        });
      }
    };
    const heard: string[] = [];
    const positions: number[] = [];
    let isTold = false;
    const follow = async () => {
      let after = 0;
      for (;;) {
        const isLast = isTold;
        const events = await store.read((tx) => readEvents(tx, {}, after, 7));
        for (const event of events) {
          heard.push(JSON.stringify(event.data));
          positions.push(event.position);
        }
        after = events.at(-1)?.position ?? after;
        if (isLast && events.length === 0) return;
      }
    };
    const following = follow();
    await Promise.all(Array.from({ length: TELLERS }, (_, i) => tell(i)));
    isTold = true;
    await following;

    const all = await store.read((tx) => readEvents(tx, {}, 0, 10_000));
    assert.equal(heard.length, TELLERS * TALES * 2);
    assert.equal(new Set(heard).size, heard.length);
    assert.deepEqual(
      all.map((event) => event.position),
      positions,
    );
    assert.equal(await store.read(journalHead), positions.at(-1));
  });

  test(`${name}: P1. what a killed process was told is durable is there, and nothing by halves`, async (t) => {
    const at = await under.place(t);
    const program = fileURLToPath(
      new URL("../../../test/support/store-writer.ts", import.meta.url),
    );
    const pairs: Migration = {
      id: "0001-pairs",
      up: ["CREATE TABLE pairs (n BIGINT NOT NULL, side TEXT NOT NULL)"],
    };

    const writer = spawn(process.execPath, [program, under.engine, at], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    t.after(() => writer.kill("SIGKILL"));
    const acknowledged: number[] = [];
    for await (const line of createInterface({ input: writer.stdout })) {
      acknowledged.push(Number(line));
      if (acknowledged.length === 300) writer.kill("SIGKILL");
    }
    const store = await under.open(at, [pairs]);
    t.after(() => store.close());
    const rows = await store.read((tx) =>
      tx.all("SELECT n, COUNT(*) AS sides FROM pairs GROUP BY n"),
    );

    const found = new Set(rows.map((row) => row["n"]));
    assert.ok(acknowledged.length >= 300);
    assert.deepEqual(
      acknowledged.filter((n) => !found.has(n)),
      [],
    );
    assert.deepEqual(
      rows.filter((row) => row["sides"] !== 2),
      [],
    );
  });
}
