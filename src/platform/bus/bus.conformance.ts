// What every bus promises, run by each bus's test file.
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { Bus } from "./bus.ts";

/** The next ring this bus hears. */
export function nextRing(bus: Bus): Promise<ReadonlySet<string>> {
  return new Promise((resolve) => {
    const unsubscribe = bus.subscribe((topics) => {
      unsubscribe();
      resolve(topics);
    });
  });
}

export function busConformance(name: string, open: (t: TestContext) => Promise<Bus>): void {
  test(`${name}: all that rings in one turn is heard once, together`, async (t) => {
    const bus = await open(t);
    const rings: string[][] = [];
    bus.subscribe((topics) => rings.push([...topics].sort()));
    const heard = nextRing(bus);

    bus.wake(new Set(["task.queued"]));
    bus.wake(new Set(["task.queued", "run.recorded"]));
    await heard;

    assert.deepEqual(rings, [["run.recorded", "task.queued"]]);
  });

  test(`${name}: a ring is heard after the caller's own turn, never inside it`, async (t) => {
    const bus = await open(t);
    let isHeard = false;
    bus.subscribe(() => {
      isHeard = true;
    });
    const heard = nextRing(bus);

    bus.wake(new Set(["task.queued"]));
    const wasHeardInside = isHeard;
    await heard;

    assert.deepEqual([wasHeardInside, isHeard], [false, true]);
  });

  test(`${name}: no topic is no ring, and who has left hears nothing`, async (t) => {
    const bus = await open(t);
    const rings: string[][] = [];
    const leave = bus.subscribe((topics) => rings.push([...topics]));
    leave();
    leave();
    const here: string[][] = [];
    bus.subscribe((topics) => here.push([...topics]));

    bus.wake(new Set());
    const heard = nextRing(bus);
    bus.wake(new Set(["task.queued"]));
    await heard;

    assert.deepEqual([rings, here], [[], [["task.queued"]]]);
  });

  test(`${name}: closing twice is closing once, and a ring after it is no error`, async (t) => {
    const bus = await open(t);

    await bus.close();
    await bus.close();
    bus.wake(new Set(["task.queued"]));
  });
}
