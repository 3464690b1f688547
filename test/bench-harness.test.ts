// What a benchmark's table says must be true of its numbers.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  distance,
  type Figure,
  lanes,
  median,
  meets,
  paced,
  percentile,
  render,
} from "../bench/harness.ts";

const figure = (over: Partial<Figure>): Figure => ({ what: "it", value: 1, unit: "ms", ...over });

test("a percentile is one of the samples, and no smaller share gives a larger one", () => {
  const samples = fc.array(fc.double({ noNaN: true }), { minLength: 1 });
  const share = fc.double({ min: 0, max: 1, noNaN: true });

  fc.assert(
    fc.property(samples, share, share, (values, a, b) => {
      const low = percentile(values, Math.min(a, b));
      const high = percentile(values, Math.max(a, b));
      assert.ok(values.includes(low) && values.includes(high));
      assert.ok(low <= high);
    }),
  );
});

test("a percentile does not depend on the order of the samples, nor change it", () => {
  const samples = [5, 1, 4, 2, 3];

  assert.equal(median(samples), 3);
  assert.equal(percentile(samples, 0.99), 5);
  assert.equal(percentile(samples, 0), 1);
  assert.deepEqual(samples, [5, 1, 4, 2, 3]);
});

test("no samples are no figure", () => {
  assert.ok(Number.isNaN(median([])));
});

test("twice as slow as the floor is a distance of 2, for times and for rates", () => {
  const floor = { what: "bare", value: 10 };

  assert.equal(distance(figure({ value: 20, unit: "ms", floor })), 2);
  assert.equal(distance(figure({ value: 5, unit: "/s", floor })), 2);
  assert.equal(distance(figure({ value: 20, unit: "MB", floor })), 2);
  assert.equal(distance(figure({ value: 20 })), undefined);
});

test("a target is met up to its bound, from its own side", () => {
  const most = { bound: "at most", value: 10 } as const;
  const least = { bound: "at least", value: 10 } as const;

  assert.equal(meets(figure({ value: 10, target: most })), true);
  assert.equal(meets(figure({ value: 10.1, target: most })), false);
  assert.equal(meets(figure({ value: 10, target: least })), true);
  assert.equal(meets(figure({ value: 9.9, target: least })), false);
  assert.equal(meets(figure({ value: 9.9 })), undefined);
});

test("the table has every figure with its floor, its distance and its verdict", () => {
  const table = render([
    figure({
      what: "tasks",
      value: 12_345.6,
      unit: "/s",
      floor: { what: "bare SQL", value: 24_691.2 },
      target: { bound: "at least", value: 20_000 },
      durability: "FULL",
    }),
    figure({ what: "start", value: 250.4, target: { bound: "at most", value: 300 } }),
    figure({ what: "size", value: 1.234, unit: "MB" }),
  ]);

  assert.deepEqual(table.split("\n").slice(1), [
    "| --- | --- | --- | --- | --- | --- | --- |",
    "| tasks | 12,346 /s | 24,691 /s, bare SQL | 2.00x | at least 20,000 | missed | FULL |",
    "| start | 250 ms |  |  | at most 300 | met |  |",
    "| size | 1.23 MB |  |  |  |  |  |",
  ]);
});

test("each piece of work runs once, and never more of them at once than the width", async () => {
  const seen: number[] = [];
  let running = 0;
  let widest = 0;

  const { samples } = await paced(20, 3, async (index) => {
    running += 1;
    widest = Math.max(widest, running);
    seen.push(index);
    await new Promise((resolve) => setImmediate(resolve));
    running -= 1;
  });

  assert.deepEqual(
    seen.toSorted((a, b) => a - b),
    Array.from({ length: 20 }, (_, i) => i),
  );
  assert.equal(widest, 3);
  assert.equal(samples.length, 20);
});

test("a lane does its pieces in order while the other lanes do theirs", async () => {
  const seen: string[] = [];

  const { samples } = await lanes(2, 2, async (lane, index) => {
    seen.push(`${lane}.${index}`);
    await new Promise((resolve) => setImmediate(resolve));
  });

  assert.deepEqual(seen, ["0.0", "1.0", "0.1", "1.1"]);
  assert.equal(samples.length, 4);
});
