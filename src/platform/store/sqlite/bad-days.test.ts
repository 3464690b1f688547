import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import { obeyingModes } from "../../../../test/support/obeys-modes.ts";
import { CadreError } from "../../errors.ts";
import type { Migration, Store } from "../store.ts";
import { faultOf } from "./classify.ts";
import { Lane } from "./lane.ts";
import { openSqlite } from "./open.ts";
import { connection } from "./tx.ts";

const things: Migration = {
  id: "0001-things",
  up: ["CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT)"],
};
const PLATFORM = new URL("../../index.ts", import.meta.url).href;

function freshFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "cadre-bad-days-"));
  t.after(() => {
    chmodSync(folder, 0o700);
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

async function openFresh(t: TestContext): Promise<{ file: string; store: Store }> {
  const file = join(freshFolder(t), "cadre.db");
  const store = await openSqlite({ file, migrations: [things] });
  t.after(() => store.close());
  return { file, store };
}

const isFault = (code: string, file: string) => (error: unknown) =>
  error instanceof CadreError && error.code === code && error.message.includes(file);

/** Runs a module text in a child, after some words of another program. */
function runChild(words: readonly string[], text: string, ...args: string[]): string {
  const [program = process.execPath, ...rest] = [
    ...words,
    process.execPath,
    "--input-type=module",
    "--eval",
    text,
    ...args,
  ];
  const child = spawnSync(program, rest, {
    encoding: "utf8",
    timeout: 20_000,
    killSignal: "SIGKILL",
  });
  assert.equal(child.stderr, "");
  return child.stdout;
}

test("a full disk refuses the write, says so, and keeps all that was acknowledged", async (t) => {
  const file = join(freshFolder(t), "cadre.db");
  // A limit on file size ends a write as a full disk or a spent quota does.
  const limited = ["sh", "-c", 'ulimit -f 400; exec "$@"', "limited"];

  const said = runChild(
    limited,
    `const { openSqlite } = await import(${JSON.stringify(PLATFORM)});
     const migrations = [{ id: "0001-things", up: ["CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT)"] }];
     const store = await openSqlite({ file: process.argv[1], migrations });
     let kept = 0;
     try {
       for (;;) { await store.write((tx) => tx.run("INSERT INTO things (name) VALUES (?)", "x".repeat(5_000))); kept += 1; }
     } catch (error) {
       const row = await store.read((tx) => tx.get("SELECT COUNT(*) AS n FROM things"));
       console.log(JSON.stringify({ kept, seen: row.n, code: error.code, message: error.message }));
     }
     await store.close();`,
    file,
  );

  const { kept, seen, code, message } = JSON.parse(said);
  assert.ok(kept > 0);
  assert.equal(seen, kept);
  assert.equal(code, "store_full");
  assert.ok(message.includes(file));
  const store = await openSqlite({ file, migrations: [things] });
  t.after(() => store.close());
  assert.equal((await store.read((tx) => tx.get("SELECT COUNT(*) AS n FROM things")))?.["n"], kept);
  await store.write((tx) => tx.run("INSERT INTO things (name) VALUES ('room again')"));
});

test("when the disk fills inside a shared commit, no body of it is said to be kept", async (t) => {
  const file = join(freshFolder(t), "cadre.db");
  const db = new DatabaseSync(file);
  t.after(() => db.close());
  db.exec("PRAGMA journal_mode = WAL; CREATE TABLE things (name TEXT); PRAGMA max_page_count = 12");
  const lane = new Lane(connection(db, file), "write");
  const put = (bytes: number) =>
    lane.add("write", (tx) => tx.run("INSERT INTO things (name) VALUES (?)", "x".repeat(bytes)));

  const outcomes = await Promise.allSettled([put(10), put(10), put(100_000), put(10)]);

  const rows = db.prepare("SELECT COUNT(*) AS n FROM things").get();
  const kept = outcomes.filter((outcome) => outcome.status === "fulfilled");
  assert.equal(rows?.["n"], kept.length);
  const third = outcomes[2];
  assert.ok(third?.status === "rejected" && isFault("store_full", file)(third.reason));
  assert.equal(await put(10), 1);
});

test("who loses its work to another's full disk hears of the disk, not of the other's refusal", async (t) => {
  const file = join(freshFolder(t), "cadre.db");
  const db = new DatabaseSync(file);
  t.after(() => db.close());
  db.exec("CREATE TABLE things (name TEXT); PRAGMA max_page_count = 12");
  const lane = new Lane(connection(db, file), "write");
  const refusal = new CadreError("illegal_transition", "Not in this state.");

  const outcomes = await Promise.allSettled([
    lane.add("write", (tx) => tx.run("INSERT INTO things (name) VALUES ('a')")),
    lane.add("write", async (tx) => {
      await tx.run("INSERT INTO things (name) VALUES (?)", "x".repeat(100_000)).catch(() => 0);
      throw refusal;
    }),
  ]);

  const [first, second] = outcomes;
  assert.ok(first.status === "rejected" && isFault("store_full", file)(first.reason));
  assert.ok(second.status === "rejected" && second.reason === refusal);
});

test("a commit that fails rejects every body it would have kept", async (t) => {
  const file = join(freshFolder(t), "cadre.db");
  const db = new DatabaseSync(file);
  t.after(() => db.close());
  db.exec(`CREATE TABLE parents (id INTEGER PRIMARY KEY);
    CREATE TABLE children (parent INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED)`);
  const lane = new Lane(connection(db, file), "write");

  // The first breaks a rule that is checked only at the commit.
  const outcomes = await Promise.allSettled([
    lane.add("write", (tx) => tx.run("INSERT INTO children (parent) VALUES (1)")),
    lane.add("write", (tx) => tx.run("INSERT INTO parents (id) VALUES (7)")),
  ]);

  assert.deepEqual(
    outcomes.map((outcome) => outcome.status),
    ["rejected", "rejected"],
  );
  assert.equal(db.prepare("SELECT COUNT(*) AS n FROM parents").get()?.["n"], 0);
  assert.equal(await lane.add("write", (tx) => tx.run("INSERT INTO parents (id) VALUES (8)")), 1);
});

test("a folder or a file that can't be written is refused, by its name", async (t) => {
  const folder = freshFolder(t);
  const file = join(folder, "cadre.db");
  await (await openSqlite({ file, migrations: [things] })).close();
  const open = `const { openSqlite } = await import(${JSON.stringify(PLATFORM)});
    try { await openSqlite({ file: process.argv[1], migrations: [] }); console.log("opened"); }
    catch (error) { console.log(error.code + " " + error.message); }`;

  chmodSync(folder, 0o500);
  const fresh = runChild(obeyingModes(), open, join(folder, "other.db"));
  chmodSync(folder, 0o700);
  chmodSync(file, 0o400);
  const old = runChild(obeyingModes(), open, file);

  assert.match(fresh, /^store_read_only .*other\.db/);
  assert.match(old, /^store_read_only .*cadre\.db/);
});

test("a file that is no database is refused, and left as it was", async (t) => {
  const file = join(freshFolder(t), "cadre.db");
  writeFileSync(
    file,
    "These are my notes, and they are long enough to look like a page. ".repeat(40),
  );
  const before = readFileSync(file);

  await assert.rejects(openSqlite({ file, migrations: [things] }), isFault("store_corrupt", file));

  assert.deepEqual(readFileSync(file), before);
});

test("a damaged page is told as damage when it is met; what is whole stays readable", async (t) => {
  const { file, store } = await openFresh(t);
  await store.write(async (tx) => {
    for (let id = 1; id <= 2_000; id++) {
      await tx.run("INSERT INTO things (id, name) VALUES (?, ?)", id, "x".repeat(100));
    }
  });
  await store.close();
  const bytes = readFileSync(file);
  bytes.fill(0xff, bytes.length - 40_000, bytes.length - 20_000);
  writeFileSync(file, bytes);

  const damaged = await openSqlite({ file, migrations: [things] });
  t.after(() => damaged.close());

  const first = await damaged.read((tx) => tx.get("SELECT id FROM things WHERE id = 1"));
  assert.equal(first?.["id"], 1);
  await assert.rejects(
    damaged.read((tx) => tx.all("SELECT id, name FROM things")),
    isFault("store_corrupt", file),
  );
  await assert.rejects(
    damaged.write((tx) => tx.run("UPDATE things SET name = 'y'")),
    isFault("store_corrupt", file),
  );
});

test("a file that was cut short is told as damage", async (t) => {
  const { file, store } = await openFresh(t);
  await store.write((tx) => tx.run("INSERT INTO things (name) VALUES (?)", "x".repeat(50_000)));
  await store.close();
  truncateSync(file, 6_000);

  const cut = async () => {
    const opened = await openSqlite({ file, migrations: [things] });
    t.after(() => opened.close());
    await opened.read((tx) => tx.all("SELECT id, name FROM things"));
  };

  await assert.rejects(cut, isFault("store_corrupt", file));
});

test("a lock of another program is told as such, and passes", async (t) => {
  const { file, store } = await openFresh(t);
  const other = new DatabaseSync(file);
  t.after(() => other.close());

  other.exec("BEGIN IMMEDIATE");
  await assert.rejects(
    store.write((tx) => tx.run("INSERT INTO things (name) VALUES ('a')")),
    isFault("store_unavailable", file),
  );
  other.exec("ROLLBACK");

  assert.equal(await store.write((tx) => tx.run("INSERT INTO things (name) VALUES ('a')")), 1);
});

test("a body that awaits something other than its tx is undone, and holds nobody", async (t) => {
  const { store } = await openFresh(t);
  const never = new Promise<never>(() => undefined);
  const put = (id: number) => store.write((tx) => tx.run("INSERT INTO things (id) VALUES (?)", id));

  const before = put(1);
  const stuck = store.write(async (tx) => {
    await tx.run("INSERT INTO things (id) VALUES (2)");
    await never;
  });
  const after = put(3);
  const nested = store.write(() => put(4));

  await assert.rejects(stuck, /awaited something other than its tx/);
  await assert.rejects(nested, /awaited something other than its tx/);
  await assert.rejects(
    store.read(() => never),
    /awaited something other than its tx/,
  );
  assert.deepEqual([await before, await after], [1, 1]);
  const rows = await store.read((tx) => tx.all("SELECT id FROM things ORDER BY id"));
  // The inner write of the nested one was asked for in its own right, and came after.
  assert.deepEqual(
    rows.map((row) => row["id"]),
    [1, 3, 4],
  );
});

test("the files are the owner's alone, and the log is durable at every commit", async (t) => {
  const file = join(freshFolder(t), "home", "cadre.db");
  const store = await openSqlite({ file, migrations: [things] });
  t.after(() => store.close());

  const modes = [dirname(file), file, `${file}-wal`, `${file}-shm`].map(
    (path) => statSync(path).mode & 0o777,
  );
  const asked = await store.write(async (tx) => [
    (await tx.get("PRAGMA journal_mode"))?.["journal_mode"],
    (await tx.get("PRAGMA synchronous"))?.["synchronous"],
  ]);

  assert.deepEqual(modes, [0o700, 0o600, 0o600, 0o600]);
  assert.deepEqual(asked, ["wal", 2]);
});

test("a store in memory keeps the same promises to its one process", async (t) => {
  const store = await openSqlite({ file: ":memory:", migrations: [things] });
  t.after(() => store.close());

  await store.write((tx) => tx.run("INSERT INTO things (id) VALUES (1)"));
  await assert.rejects(
    store.read((tx) => tx.run("DELETE FROM things")),
    /can't run a change/,
  );

  const row = await store.read((tx) => tx.get("SELECT COUNT(*) AS n FROM things"));
  assert.equal(row?.["n"], 1);
  assert.ok(!existsSync(":memory:"));
});

test("each error of SQLite and of the file system is the fault it means", () => {
  const sqlite = (errcode: number) =>
    Object.assign(new Error("said"), { code: "ERR_SQLITE_ERROR", errcode });
  const file = (code: string) => Object.assign(new Error("said"), { code });

  const table: readonly [unknown, string | undefined][] = [
    [sqlite(13), "store_full"],
    [sqlite(778), "store_full"],
    [sqlite(4874), "store_full"],
    [sqlite(8), "store_read_only"],
    [sqlite(1544), "store_read_only"],
    [sqlite(14), "store_read_only"],
    [sqlite(11), "store_corrupt"],
    [sqlite(267), "store_corrupt"],
    [sqlite(26), "store_corrupt"],
    [sqlite(5), "store_unavailable"],
    [sqlite(517), "store_unavailable"],
    [sqlite(1034), "store_unavailable"],
    [sqlite(1), undefined],
    [sqlite(2067), undefined],
    [file("ENOSPC"), "store_full"],
    [file("EROFS"), "store_read_only"],
    [file("EMFILE"), "store_unavailable"],
    [file("ERR_OUT_OF_RANGE"), undefined],
    [new Error("said"), undefined],
    ["said", undefined],
  ];

  for (const [error, fault] of table) assert.equal(faultOf(error), fault);
});
