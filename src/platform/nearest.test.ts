import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { nearest } from "./nearest.ts";

const CASES: readonly (readonly [
  typed: string,
  candidates: readonly string[],
  meant: string | undefined,
])[] = [
  ["backnd", ["planner", "backend", "tester"], "backend"],
  ["tol", ["name", "tools"], "tools"],
  ["buget", ["budget", "gadget"], "budget"],
  ["prot", ["host", "port"], "port"],
  ["insecure_remote", ["host", "insecureRemote"], "insecureRemote"],
  ["a", ["b"], undefined],
  ["wallet", ["name", "tools"], undefined],
  ["", ["a"], undefined],
  ["x", [], undefined],
];
for (const [typed, candidates, meant] of CASES) {
  test(`"${typed}" among ${candidates.join(", ") || "nothing"} means ${meant ?? "nothing"}`, () => {
    assert.equal(nearest(typed, candidates), meant);
  });
}

test("a name that is there is always its own nearest", () => {
  const names = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,12}$/), { minLength: 1 });

  fc.assert(fc.property(names, (list) => list.every((name) => nearest(name, list) === name)));
});

test("a very long name is answered without comparing all of it", () => {
  assert.equal(nearest("x".repeat(1_000_000), ["tools"]), undefined);
});
