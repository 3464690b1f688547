// The stream over a real store: nothing missed, nothing doubled, whoever is slow.
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import { openTestStore } from "../../test/support/store.ts";
import {
  appendEvents,
  type Bus,
  CadreError,
  type EventFilter,
  type JournalEvent,
  journalMigration,
  localBus,
  type NewEvent,
  realWorld,
  type Store,
} from "../platform/index.ts";
import { type EventStream, eventStream } from "./stream.ts";
import { matches, WINDOW_EVENTS_MAX } from "./tail.ts";

const note = (text: string, more: Partial<NewEvent> = {}): NewEvent => ({
  type: "note.added",
  data: { text },
  ...more,
});

/** A stream whose reads are counted, and whose looking again is done by hand. */
async function house(t: TestContext) {
  const store = await openTestStore(t, [journalMigration]);
  const bus = localBus();
  const counted = { reads: 0, failure: undefined as Error | undefined };
  const watched: Store = {
    ...store,
    engine: store.engine,
    write: (body) => store.write(body),
    read: (body) => {
      counted.reads += 1;
      return counted.failure === undefined ? store.read(body) : Promise.reject(counted.failure);
    },
    close: () => store.close(),
  };
  let sleepers: (() => void)[] = [];
  const world = {
    clock: {
      ...realWorld().clock,
      sleep: (_ms: number, signal?: AbortSignal) =>
        new Promise<void>((resolve, reject) => {
          sleepers.push(resolve);
          if (signal?.aborted === true) reject(signal.reason);
          signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
        }),
    },
  };
  const lookAgain = () => {
    const due = sleepers;
    sleepers = [];
    for (const wake of due) wake();
  };
  const tell = async (events: readonly NewEvent[], ring: Pick<Bus, "wake"> = bus) => {
    await store.write((tx) => appendEvents(tx, events, { at: 1, actor: "hub", correlation: null }));
    ring.wake(new Set(events.map((event) => event.type)));
  };
  return { stream: eventStream({ store: watched, bus, world }), tell, counted, lookAgain };
}

/** Reads until `count` events came. */
async function take(
  stream: EventStream,
  count: number,
  filter: EventFilter = {},
  after: number | undefined = 0,
): Promise<JournalEvent[]> {
  const events: JournalEvent[] = [];
  for await (const event of stream.follow(filter, { after })) {
    events.push(event);
    if (events.length === count) break;
  }
  return events;
}

const textsOf = (events: readonly JournalEvent[]) => events.map((event) => event.data["text"]);
const deaf = { wake: () => undefined };

test("a follower gets what was before it and what comes after, once, in order", async (t) => {
  const { stream, tell } = await house(t);
  await tell([note("a"), note("b")]);

  const taken = take(stream, 4);
  await tell([note("c")]);
  await tell([note("d")]);

  assert.deepEqual(textsOf(await taken), ["a", "b", "c", "d"]);
});

test("a follower without a cursor hears only what comes from now on", async (t) => {
  const { stream, tell } = await house(t);
  await tell([note("before")]);
  const iterator = stream.follow({})[Symbol.asyncIterator]();

  const next = iterator.next();
  // A second follower has seen the old event: by then the first one's start is fixed.
  await take(stream, 1);
  await tell([note("after")]);

  assert.deepEqual(textsOf([(await next).value]), ["after"]);
  await iterator.return?.();
});

test("each filter hears its own, exact types and whole nouns alike", async (t) => {
  const { stream, tell } = await house(t);
  const wanted: readonly (readonly [EventFilter, readonly string[]])[] = [
    [{ root: "task_1" }, ["a", "c"]],
    [{ task: "task_2" }, ["b"]],
    [{ types: ["note.*"] }, ["a", "b"]],
    [{ types: ["noted.late", "note.added"] }, ["a", "b", "c"]],
    [{ types: [] }, ["a", "b", "c"]],
    [{ root: "task_1", types: ["noted.*"] }, ["c"]],
  ];
  const sent = [
    note("a", { root: "task_1" }),
    note("b", { task: "task_2" }),
    note("c", { type: "noted.late", root: "task_1" }),
  ];

  // One follower that goes on keeps the window open, so that both ways are taken.
  const open = stream.follow({}, { after: 0 })[Symbol.asyncIterator]();
  const first = open.next();
  const live = wanted.map(([filter, texts]) => take(stream, texts.length, filter, 0));
  await tell(sent);

  for (const [index, [filter, texts]] of wanted.entries()) {
    assert.deepEqual(textsOf((await live[index]) ?? []), texts, "live");
    assert.deepEqual(textsOf(await take(stream, texts.length, filter, 0)), texts, "again");
  }
  await first;
  await open.return?.(undefined);
});

test("two hundred followers of one journal cost no more reads than one", async (t) => {
  const { stream, tell, counted } = await house(t);
  await tell([note("start")]);
  const after = await stream.head();
  const followers = Array.from({ length: 200 }, () =>
    stream.follow({}, { after })[Symbol.asyncIterator](),
  );
  let pending = followers.map((one) => one.next());
  await take(stream, 1);
  const before = counted.reads;

  for (let round = 0; round < 20; round++) {
    await tell([note(`round ${round}`)]);
    const heard = await Promise.all(pending);
    assert.deepEqual(new Set(textsOf(heard.map((one) => one.value))), new Set([`round ${round}`]));
    pending = followers.map((one) => one.next());
  }

  assert.ok(counted.reads - before <= 20 * 3, `${counted.reads - before} reads`);
  await tell([note("end")]);
  await Promise.all(pending);
  await Promise.all(followers.map((one) => one.return?.()));
});

test("followers with one filter at one cursor are given one array", async (t) => {
  const { stream, tell } = await house(t);
  const a = stream.batches({ types: ["note.*"] }, { after: 0 })[Symbol.asyncIterator]();
  const b = stream.batches({ types: ["note.*"] }, { after: 0 })[Symbol.asyncIterator]();

  const both = Promise.all([a.next(), b.next()]);
  await new Promise((resolve) => setImmediate(resolve));
  await tell([note("x")]);
  const [one, two] = await both;

  assert.equal(one.value, two.value);
  await Promise.all([a.return?.(), b.return?.()]);
});

test("a reader slower than the window falls back to the store and misses nothing", async (t) => {
  const { stream, tell } = await house(t);
  const slow = stream.follow({}, { after: 0 })[Symbol.asyncIterator]();
  const first = slow.next();
  const total = WINDOW_EVENTS_MAX + 3_000;
  for (let sent = 0; sent < total; sent += 1_000) {
    await tell(Array.from({ length: 1_000 }, (_, index) => note(String(sent + index))));
  }
  // A quick reader has seen the last: the window has moved on by then.
  assert.equal((await take(stream, total)).length, total);

  const seen = [String((await first).value.data["text"])];
  while (seen.length < total) seen.push(String((await slow.next()).value.data["text"]));

  assert.deepEqual(
    seen,
    Array.from({ length: total }, (_, index) => String(index)),
  );
  await slow.return?.();
});

test("a lost ring costs time, not events", async (t) => {
  const { stream, tell, lookAgain } = await house(t);
  await tell([note("a")]);
  const iterator = stream.follow({}, { after: 0 })[Symbol.asyncIterator]();
  assert.deepEqual(textsOf([(await iterator.next()).value]), ["a"]);
  const next = iterator.next();

  await tell([note("b")], deaf);
  // The tail comes to its pause in some turn of the loop; from then on it can be woken.
  let isHeard = false;
  void next.then(() => {
    isHeard = true;
  });
  while (!isHeard) {
    lookAgain();
    await new Promise((resolve) => setImmediate(resolve));
  }

  assert.deepEqual(textsOf([(await next).value]), ["b"]);
  await iterator.return?.();
});

test("an abort ends a follower that waits, and one that is aborted already never reads on", async (t) => {
  const { stream, tell } = await house(t);
  await tell([note("a")]);
  const stop = new AbortController();
  const after = await stream.head();
  const iterator = stream.follow({}, { after, signal: stop.signal })[Symbol.asyncIterator]();

  const waiting = iterator.next();
  stop.abort();

  assert.equal((await waiting).done, true);
  const late = stream.follow({}, { after: 0, signal: stop.signal })[Symbol.asyncIterator]();
  assert.equal((await late.next()).done, true);
});

test("a fault of the store reaches every follower, and the next one starts anew", async (t) => {
  const { stream, tell, counted } = await house(t);
  await tell([note("a")]);
  const after = await stream.head();
  const followers = [0, 1].map(() => stream.follow({}, { after })[Symbol.asyncIterator]());
  const pending = followers.map((one) => one.next());
  await take(stream, 1);

  counted.failure = new CadreError("store_unavailable", "The disk went away.");
  await tell([note("b")]);
  for (const one of await Promise.allSettled(pending)) {
    assert.equal(one.status === "rejected" && one.reason, counted.failure);
  }

  counted.failure = undefined;
  assert.deepEqual(textsOf(await take(stream, 2)), ["a", "b"]);
});

test("whatever the pace of writers and readers, every reader sees the journal", async (t) => {
  const { stream, tell } = await house(t);
  let written = 0;

  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 6 }),
      fc.array(fc.nat({ max: 40 }), { minLength: 1, maxLength: 4 }),
      async (bursts, pauses) => {
        const start = await stream.head();
        const total = bursts.reduce((sum, size) => sum + size, 0);
        const readers = pauses.map(async (pause) => {
          const seen: JournalEvent[] = [];
          for await (const batch of stream.batches({}, { after: start })) {
            seen.push(...batch);
            for (let turn = 0; turn < pause; turn++) await new Promise(setImmediate);
            if (seen.length >= total) return textsOf(seen);
          }
          return [];
        });
        const first = written;
        for (const size of bursts) {
          await tell(Array.from({ length: size }, () => note(String(written++))));
        }
        const expected = Array.from({ length: total }, (_, index) => String(first + index));
        for (const seen of await Promise.all(readers)) assert.deepEqual(seen, expected);
      },
    ),
    { numRuns: 15 },
  );
});

test("the rule in memory and the rule in SQL agree", () => {
  const event: JournalEvent = { position: 1, type: "task.ended", at: 1, actor: "hub", data: {} };

  assert.equal(matches({ types: ["task.*"] }, event), true);
  assert.equal(matches({ types: ["*"] }, event), true);
  assert.equal(matches({ types: ["tas_.*"] }, event), false);
  assert.equal(matches({ types: ["TASK.*"] }, event), false);
  assert.equal(matches({ types: ["task"] }, event), false);
  assert.equal(matches({ run: "run_1" }, event), false);
});
