import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { CadreError } from "../errors.ts";
import { boundedCache } from "./bounded-cache.ts";
import { missing } from "./migrate.ts";
import type { Migration } from "./store.ts";

const step = (id: string): Migration => ({ id, up: [] });

test("what is missing is run in order of the ids, whatever order it is listed in", () => {
  const listed = [step("0003-c"), step("0001-a"), step("0002-b")];

  const toRun = missing(listed, ["0002-b"]).map((migration) => migration.id);

  assert.deepEqual(toRun, ["0001-a", "0003-c"]);
});

test("a migration that this program does not know makes the store newer, and is named", () => {
  const ask = () => missing([step("0001-a")], ["0001-a", "0007-later"]);

  assert.throws(
    ask,
    (error) =>
      error instanceof CadreError &&
      error.code === "store_newer" &&
      error.message.includes("0007-later"),
  );
});

test("two migrations of one id are a bug", () => {
  assert.throws(() => missing([step("0001-a"), step("0001-a")], []), /share an id/);
});

test("a cache gives what was made for the key, keeps the last ones used, and stays bounded", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 12 }), { maxLength: 200 }), (uses) => {
      const made: string[] = [];
      const cached = boundedCache(4, (key) => {
        made.push(key);
        return { key };
      });
      const recent: string[] = [];

      for (const use of uses.map(String)) {
        const before = made.length;
        assert.equal(cached(use).key, use);
        // One of the four keys used last is never made again.
        const isRecent = new Set(recent.slice(-4)).has(use);
        assert.ok(!(isRecent && made.length > before));
        recent.push(use);
      }
    }),
  );
});
