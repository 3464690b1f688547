import assert from "node:assert/strict";
import { after, type TestContext, test } from "node:test";
import fc from "fast-check";
import pg from "pg";
import { sharedPostgres } from "../../../test/support/postgres.ts";
import { freshDatabase } from "../../../test/support/store.ts";
import { realWorld } from "../world.ts";
import { busConformance, nextRing } from "./bus.conformance.ts";
import { EVERY_TOPIC } from "./bus.ts";
import { payloadsOf, postgresBus } from "./postgres.ts";

const server = await sharedPostgres();
after(() => server.stop());
const world = realWorld();

async function openAt(t: TestContext, url: string) {
  const bus = postgresBus({ url, world });
  t.after(() => bus.close());
  await bus.connected;
  return bus;
}

async function freshUrl(t: TestContext): Promise<string> {
  const place = await freshDatabase(server.url);
  t.after(() => place.remove());
  return place.at;
}

async function ask(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(sql);
  await client.end();
}

const CUT_OFF = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE datname = current_database() AND application_name = 'cadre bus'`;

busConformance("postgres bus", async (t) => openAt(t, await freshUrl(t)));

test("a ring in one process is heard in the other, and once in its own", async (t) => {
  const url = await freshUrl(t);
  const [one, other] = [await openAt(t, url), await openAt(t, url)];
  const own: string[] = [];
  one.subscribe((topics) => own.push(...topics));

  const there = nextRing(other);
  one.wake(new Set(["task.queued"]));
  const heard = await there;
  // A ring back, so that an echo of the first would have come before it.
  const back = nextRing(one);
  other.wake(new Set(["run.recorded"]));
  while (!own.includes("run.recorded")) await back;

  assert.deepEqual([...heard], ["task.queued"]);
  assert.deepEqual(own, ["task.queued", "run.recorded"]);
});

test("many rings at once reach the other process as few, and none is left out", async (t) => {
  const url = await freshUrl(t);
  const [one, other] = [await openAt(t, url), await openAt(t, url)];
  const topics = Array.from({ length: 1_000 }, (_, i) => `topic-${i}.with-a-rather-long-name`);
  const heard = new Set<string>();
  let rings = 0;
  const all = new Promise<void>((resolve) => {
    other.subscribe((rung) => {
      rings += 1;
      for (const topic of rung) heard.add(topic);
      if (heard.size === topics.length) resolve();
    });
  });

  for (const topic of topics) one.wake(new Set([topic]));
  await all;

  assert.ok(rings < 20);
});

test("after a lost connection everything rings once, and rings come through again", async (t) => {
  const url = await freshUrl(t);
  const [one, other] = [await openAt(t, url), await openAt(t, url)];
  const rings = [nextRing(one), nextRing(other)];

  await ask(url, CUT_OFF);
  const missed = await Promise.all(rings);
  const again = nextRing(other);
  one.wake(new Set(["task.queued"]));

  assert.deepEqual(
    missed.map((topics) => [...topics]),
    [[EVERY_TOPIC], [EVERY_TOPIC]],
  );
  assert.deepEqual([...(await again)], ["task.queued"]);
});

test("without a server it is a bus of this process, and can be closed", async (t) => {
  const bus = postgresBus({ url: "postgres://nobody@127.0.0.1:1/none", world });
  t.after(() => bus.close());
  const heard = nextRing(bus);

  bus.wake(new Set(["task.queued"]));

  assert.deepEqual([...(await heard)], ["task.queued"]);
});

test("payloads hold every topic once, in order, and none is too long for NOTIFY", () => {
  const topic = fc.stringMatching(/^[a-z_.]{1,60}$/);
  fc.assert(
    fc.property(fc.uniqueArray(topic, { maxLength: 400 }), (topics) => {
      const payloads = payloadsOf(topics);

      assert.deepEqual(
        payloads.flatMap((payload) => payload.split(",")),
        topics,
      );
      assert.ok(
        payloads.every((payload) => payload.length > 0 && Buffer.byteLength(payload) < 8_000),
      );
    }),
  );
});
