// How long a key is remembered, over a real store and the real pipeline.
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { z } from "zod";
import { openBench } from "../../test/support/invoker.ts";
import {
  type HousekeepingContract,
  housekeepingOperations,
  IDEMPOTENCY_KEPT_MS,
  idempotencyAgeMigration,
} from "./housekeeping.ts";
import { type ContractOf, operation } from "./operation.ts";

const draw = operation({
  name: "lots.draw",
  summary: "Draw a lot.",
  effect: "write",
  permission: "operate",
  http: "POST /lots",
  input: z.strictObject({}),
  output: z.object({ id: z.string() }),
  refusals: [],
  handle: ({ newId }) => Promise.resolve({ id: newId("lot") }),
});
const operations = [draw, ...housekeepingOperations] as const;

async function openHouse(t: TestContext) {
  const bench = await openBench<ContractOf<typeof operations> & HousekeepingContract>(t, {
    migrations: [idempotencyAgeMigration],
    operations,
  });
  const under = async (idempotencyKey: string) =>
    (await bench.call("lots.draw", {}, { idempotencyKey })).id;
  const sweep = async (limit?: number) =>
    (await bench.call("operations.sweep", limit === undefined ? {} : { limit })).forgotten;
  return { ...bench, under, sweep };
}

test("T1: a key gives its first answer for seven days, and is forgotten after them", async (t) => {
  const { clock, under, sweep } = await openHouse(t);
  const first = await under("k");

  clock.now += IDEMPOTENCY_KEPT_MS;
  assert.equal(await sweep(), 0);
  assert.equal(await under("k"), first);
  clock.now += 1;
  assert.equal(await sweep(), 1);

  assert.notEqual(await under("k"), first);
});

test("a sweep forgets the oldest first and no more than its limit", async (t) => {
  const { clock, under, sweep } = await openHouse(t);
  const drawn: string[] = [];
  for (const key of ["c", "a", "d", "b"]) {
    drawn.push(await under(key));
    clock.now += 1;
  }

  clock.now += IDEMPOTENCY_KEPT_MS;
  assert.equal(await sweep(3), 3);
  assert.equal(await under("b"), drawn[3]);

  assert.deepEqual([await sweep(3), await sweep(3)], [1, 0]);
});
