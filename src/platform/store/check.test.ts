import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, type TestContext, test } from "node:test";
import { sharedPostgres } from "../../../test/support/postgres.ts";
import { checkStore } from "./check.ts";
import { openSqlite } from "./sqlite/open.ts";

const server = await sharedPostgres();
after(() => server.stop());

function freshFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "cadre-check-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test("a store that can be written is found durable, and left without a trace of the trial", async (t) => {
  const folder = freshFolder(t);
  const file = join(folder, "cadre.db");
  const store = await openSqlite({ file, migrations: [] });
  t.after(() => store.close());
  const before = readdirSync(folder);

  const check = await checkStore({ engine: "sqlite", file });

  assert.notEqual(check.level, "fail");
  assert.match(check.found, /WAL, synchronous=FULL/);
  assert.deepEqual(readdirSync(folder), before);
});

test("before the first start the place where the store will be is tried, and not made", async (t) => {
  const folder = freshFolder(t);

  const check = await checkStore({ engine: "sqlite", file: join(folder, ".cadre", "cadre.db") });

  assert.notEqual(check.level, "fail");
  assert.ok(!existsSync(join(folder, ".cadre")));
});

test("a file that is no database fails, with a way to mend it", async (t) => {
  const file = join(freshFolder(t), "cadre.db");
  writeFileSync(file, "These are my notes. ".repeat(100));

  const check = await checkStore({ engine: "sqlite", file });

  assert.equal(check.level, "fail");
  assert.match(check.found, /is damaged/);
  assert.ok(check.mend.length > 0);
});

test("a Postgres that answers is found, one that does not fails by its name", async () => {
  const found = await checkStore({ engine: "postgres", url: server.url });
  const missing = await checkStore({
    engine: "postgres",
    url: "postgres://a:hidden@127.0.0.1:1/x",
  });

  assert.equal(found.level, "ok");
  assert.equal(missing.level, "fail");
  assert.match(missing.found, /127\.0\.0\.1:1\/x does not answer/);
  assert.doesNotMatch(missing.found, /hidden/);
});
