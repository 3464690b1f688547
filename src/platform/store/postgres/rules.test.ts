import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { faultOf, nameOf } from "./classify.ts";
import { numbered } from "./numbered.ts";
import { statements } from "./tx.ts";

test("parameters are numbered in order, whatever stands between them", () => {
  const other = fc.constantFrom(
    "SELECT a ",
    "'what?' ",
    "'it''s?' ",
    '"odd?name" ',
    "-- why?\n",
    "= ",
    ", ",
  );
  const piece = fc.oneof(other, fc.constant("? "));
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      let number = 0;
      const expected = pieces.map((text) => (text === "? " ? `$${++number} ` : text));

      assert.equal(numbered(pieces.join("")), expected.join(""));
    }),
  );
});

test("a text is prepared under a name from its second use on, always the same one", () => {
  const prepared = statements();

  const uses = [1, 2, 3].map(() => prepared("SELECT ?"));

  assert.deepEqual(uses, [
    { text: "SELECT $1" },
    { text: "SELECT $1", name: "cadre_1" },
    { text: "SELECT $1", name: "cadre_1" },
  ]);
});

test("texts without end don't become prepared statements without end", () => {
  const prepared = statements();
  const names = new Set<string | undefined>();

  for (let i = 0; i < 5_000; i++) {
    prepared(`SELECT ${i}`);
    names.add(prepared(`SELECT ${i}`).name);
  }

  assert.equal(names.size, 513);
  assert.ok(names.has(undefined));
});

test("each SQLSTATE is the fault it means", () => {
  const table: readonly [string, string | undefined][] = [
    ["53100", "store_full"],
    ["53300", "store_unavailable"],
    ["25006", "store_read_only"],
    ["42501", "store_read_only"],
    ["XX001", "store_corrupt"],
    ["08006", "store_unavailable"],
    ["28P01", "store_unavailable"],
    ["3D000", "store_unavailable"],
    ["57P01", "store_unavailable"],
    ["57014", "store_unavailable"],
    ["40P01", "store_unavailable"],
    ["23505", undefined],
    ["42P01", undefined],
  ];

  for (const [state, fault] of table) assert.equal(faultOf(state), fault, state);
});

test("a store is named by where it is, never by its password", () => {
  assert.equal(
    nameOf("postgres://me:secret@db.example:5433/cadre?sslmode=require"),
    "Postgres db.example:5433/cadre",
  );
  assert.equal(nameOf("postgres://me@localhost/cadre?host=%2Ftmp%2Fpg"), "Postgres /tmp/pg/cadre");
  assert.equal(nameOf("host=db password=secret"), "Postgres");
});
