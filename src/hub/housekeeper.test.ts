import assert from "node:assert/strict";
import { test } from "node:test";
import type { Client, HousekeepingContract } from "../operations/index.ts";
import { silentLog } from "../platform/index.ts";
import { Housekeeper } from "./housekeeper.ts";

test("what is due is forgotten batch by batch, then it rests, and a stop ends the rest", async () => {
  const asked: number[] = [];
  const left = [1_000, 1_000, 7];
  let rests = 0;
  const client = {
    call: async (_name: string, { limit = 0 }: { limit?: number }) => {
      asked.push(limit);
      return { forgotten: left.shift() ?? 0 };
    },
  } as unknown as Client<HousekeepingContract>;
  const resting = Promise.withResolvers<void>();
  const clock = {
    now: () => 0,
    monotonic: () => 0,
    sleep: (_ms: number, signal?: AbortSignal) => {
      rests += 1;
      resting.resolve();
      return new Promise<void>((_resolve, reject) => {
        signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
      });
    },
  };
  const housekeeper = new Housekeeper({ client, world: { clock }, log: silentLog });

  housekeeper.start();
  housekeeper.start();
  await resting.promise;
  await housekeeper.stop();
  await housekeeper.stop();

  assert.deepEqual(asked, [1_000, 1_000, 1_000]);
  assert.equal(rests, 1);
});
