import assert from "node:assert/strict";
import { test } from "node:test";
import { age, amount, lookOf, mark, markOfTask, money, paint, shortId, span } from "./look.ts";
import { taskView } from "./views.testing.ts";

type Variables = { readonly [name: string]: string };
const look = (isInteractive: boolean, variables: Variables, noColor = false) =>
  lookOf({ isInteractive, columns: 80 }, (name) => variables[name], { noColor });
const UTF8 = { LANG: "en_US.UTF-8" };

test("colour is for terminals, and can be refused or forced", () => {
  assert.equal(look(true, UTF8).color, true);
  assert.equal(look(false, UTF8).color, false);
  assert.equal(look(false, { ...UTF8, FORCE_COLOR: "1" }).color, true);
  assert.equal(look(true, { ...UTF8, NO_COLOR: "1" }).color, false);
  assert.equal(look(true, { ...UTF8, TERM: "dumb" }).color, false);
  assert.equal(look(true, { ...UTF8, FORCE_COLOR: "1" }, true).color, false);
});

test("symbols are ASCII where the locale is not UTF-8, or when asked", () => {
  assert.equal(look(true, UTF8).ascii, false);
  assert.equal(look(true, { LANG: "C" }).ascii, true);
  assert.equal(look(true, {}).ascii, true);
  assert.equal(look(true, { ...UTF8, LC_ALL: "C" }).ascii, true);
  assert.equal(look(true, { ...UTF8, CADRE_ASCII: "1" }).ascii, true);
  assert.equal(mark({ ascii: true, color: false }, "completed"), "+");
});

test("colour is never the only signal: without it the symbol says the same", () => {
  assert.equal(mark({ ascii: false, color: false }, "failed"), "✗");
  assert.equal(paint({ color: true }, "red", "x"), "\u001b[31mx\u001b[0m");
  assert.equal(paint({ color: false }, "red", "x"), "x");
});

test("what matters more than the state stands for the task", () => {
  const id = "task_0000000000bbbbbb";

  assert.equal(markOfTask(taskView({ id, state: "executing", paused: true })), "paused");
  assert.equal(markOfTask(taskView({ id, state: "completed", degraded: true })), "degraded");
  assert.equal(markOfTask(taskView({ id, state: "failed" })), "failed");
});

test("amounts are short and honest", () => {
  assert.deepEqual([0, 41_000, 160_000, 700_000, 3_900_000, 187_200_000].map(span), [
    "0 s",
    "41 s",
    "2 min 40 s",
    "11 min",
    "1 h 5 min",
    "2 d 4 h",
  ]);
  assert.deepEqual([5_000, 300_000, 7_200_000, 172_800_000].map(age), ["5s", "5m", "2h", "2d"]);
  assert.deepEqual([950, 212_000, 4_100_000].map(amount), ["950", "212 k", "4.1 M"]);
  assert.equal(money(null), "unpriced");
  assert.equal(money(0.374), "$0.37");
});

test("a short id keeps its kind and its end", () => {
  assert.equal(shortId("task_01k9rzv3m4x7p2qa"), "task_x7p2qa");
  assert.equal(shortId("run_01k9rzv3m4x7p2qa"), "run_x7p2qa");
});
