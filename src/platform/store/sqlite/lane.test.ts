import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { openSqlite } from "./open.ts";

async function open(t: TestContext) {
  const migrations = [{ id: "0001-things", up: ["CREATE TABLE things (name TEXT NOT NULL)"] }];
  const store = await openSqlite({ file: ":memory:", migrations });
  t.after(() => store.close());
  const names = async () => {
    const rows = await store.read((tx) => tx.all("SELECT name FROM things ORDER BY name"));
    return rows.map((row) => row["name"]);
  };
  return { store, names };
}

/** Three bodies of one commit; the second throws. Counts how often each was run. */
async function three(t: TestContext, second: { readonly changesFirst: boolean }) {
  const { store, names } = await open(t);
  const runs = [0, 0, 0];
  const body = (place: 0 | 1 | 2, isLast: boolean) =>
    store.write(async (tx) => {
      runs[place] = (runs[place] ?? 0) + 1;
      if (isLast || second.changesFirst) await tx.run("INSERT INTO things VALUES (?)", `${place}`);
      else await tx.all("SELECT name FROM things");
      if (!isLast) throw new Error("a rule said no");
    });
  const ended = await Promise.allSettled([body(0, true), body(1, false), body(2, true)]);
  return { runs, names: await names(), ended: ended.map((end) => end.status) };
}

test("a refusal that changed nothing undoes nobody: each body is run once", async (t) => {
  const { runs, names, ended } = await three(t, { changesFirst: false });

  assert.deepEqual(ended, ["fulfilled", "rejected", "fulfilled"]);
  assert.deepEqual(names, ["0", "2"]);
  assert.deepEqual(runs, [1, 1, 1]);
});

test("a body that throws after a change is undone alone; the batch is run a second time", async (t) => {
  const { runs, names, ended } = await three(t, { changesFirst: true });

  assert.deepEqual(ended, ["fulfilled", "rejected", "fulfilled"]);
  assert.deepEqual(names, ["0", "2"]);
  assert.deepEqual(runs, [2, 2, 1]);
});
