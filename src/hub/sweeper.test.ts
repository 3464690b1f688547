import assert from "node:assert/strict";
import { test } from "node:test";
import { SimTime } from "../../test/simulation/time.ts";
import type { Client } from "../operations/index.ts";
import { iso, silentLog } from "../platform/index.ts";
import type { TaskContract } from "../tasks/index.ts";
import { Sweeper } from "./sweeper.ts";

type Swept = { readonly moved?: number; readonly dueInMs?: number | null };

/** A sweeper over a hub that answers as told; notes when it was asked. */
function sweeping(answer: (sweeps: number) => Swept) {
  const time = new SimTime();
  const at: number[] = [];
  let ring: (topics: ReadonlySet<string>) => void = () => undefined;
  const sweep = async () => {
    time.activity += 1;
    at.push(time.elapsed);
    const { moved = 0, dueInMs = null } = answer(at.length);
    return { moved, mended: 0, dueAt: dueInMs === null ? null : iso(time.now() + dueInMs) };
  };
  const sweeper = new Sweeper({
    client: { call: sweep } as unknown as Client<TaskContract>,
    world: {
      clock: {
        now: () => time.now(),
        monotonic: () => time.elapsed,
        sleep: (ms, signal) => time.sleep(ms, signal),
      },
    },
    log: silentLog,
    wakes: (hear) => {
      ring = hear;
      return () => undefined;
    },
  });
  return {
    sweeper,
    at,
    ring: (topic: string) => ring(new Set([topic])),
    async pass(times: number) {
      for (let n = 0; n < times; n++) {
        await time.settle();
        time.advance();
      }
      await time.settle();
    },
  };
}

test("it sweeps when something is due, and never more than once a second", async () => {
  const { sweeper, at, pass } = sweeping((sweeps) => ({ dueInMs: sweeps === 1 ? 4_000 : 1 }));
  sweeper.start();

  await pass(4);
  await sweeper.stop();

  assert.deepEqual(at.slice(0, 4), [0, 4_000, 5_000, 6_000]);
});

test("with nothing due it still looks, now and then", async () => {
  const { sweeper, at, pass } = sweeping(() => ({}));
  sweeper.start();

  await pass(2);
  await sweeper.stop();

  assert.deepEqual(at, [0, 10_000]);
});

test("news of a task brings the next sweep forward", async () => {
  const { sweeper, at, pass, ring } = sweeping(() => ({}));
  sweeper.start();
  await pass(1);

  ring("task.created");
  await pass(0);
  await sweeper.stop();

  assert.deepEqual(at, [0, 1_000]);
});

test("when more is due than one sweep moves, the next follows at once", async () => {
  const { sweeper, at, pass } = sweeping((sweeps) => ({ moved: sweeps < 3 ? 1_000 : 0 }));
  sweeper.start();

  await pass(0);
  await sweeper.stop();
  await sweeper.stop();

  assert.deepEqual(at, [0, 0, 0]);
});

test("a sweep that fails is tried again", async () => {
  const { sweeper, at, pass } = sweeping((sweeps) => {
    if (sweeps === 1) throw new Error("The store is away.");
    return {};
  });
  sweeper.start();

  await pass(1);
  await sweeper.stop();

  assert.equal(at.length, 2);
});
