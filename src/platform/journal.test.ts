import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { openTestStore } from "../../test/support/store.ts";
import {
  appendEvents,
  type EventFilter,
  JOURNAL_ROWS_PER_TX_MAX,
  journalHead,
  journalMigration,
  type NewEvent,
  readEvents,
} from "./journal.ts";
import type { Store } from "./store/store.ts";

const stamp = { at: 1_000, actor: "user:local", correlation: "req_1" };

const openJournal = (t: TestContext): Promise<Store> => openTestStore(t, [journalMigration]);
const append = (store: Store, events: readonly NewEvent[]) =>
  store.write((tx) => appendEvents(tx, events, stamp));
const read = (store: Store, filter: EventFilter = {}, after = 0, limit = 1_000) =>
  store.read((tx) => readEvents(tx, filter, after, limit));
const event = (type: string, more: Partial<NewEvent> = {}): NewEvent => ({
  type,
  data: {},
  ...more,
});

test("an event comes back as it was told, with its place, time and cause", async (t) => {
  const store = await openJournal(t);
  const told = {
    type: "task.completed",
    root: "task_root",
    task: "task_a",
    run: "run_a",
    data: { note: "naïve 🦉 \0", nested: [1, { deep: null }] },
  };

  await append(store, [told, event("task.queued")]);
  const [first, second] = await read(store);

  const { position, ...rest } = first ?? assert.fail("nothing was read");
  assert.ok(position > 0);
  assert.deepEqual(rest, { ...told, at: 1_000, actor: "user:local", correlation: "req_1" });
  assert.ok(second !== undefined && !("root" in second) && !("task" in second));
});

test("events keep their order inside a transaction, also over several calls and many rows", async (t) => {
  const store = await openJournal(t);
  const numbered = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, i) => event("a.told", { data: { n: from + i } }));

  await store.write(async (tx) => {
    await appendEvents(tx, numbered(0, 150), stamp);
    await appendEvents(tx, numbered(150, 151), stamp);
    await appendEvents(tx, numbered(151, 400), stamp);
  });

  const events = await read(store);
  assert.deepEqual(
    events.map((told) => told.data["n"]),
    Array.from({ length: 400 }, (_, i) => i),
  );
  const positions = events.map((told) => told.position);
  assert.deepEqual(
    positions,
    [...new Set(positions)].sort((a, b) => a - b),
  );
});

test("a cursor resumes exactly where it stood, page by page", async (t) => {
  const store = await openJournal(t);
  for (let i = 0; i < 7; i++) await append(store, [event("a.told", { data: { i } })]);

  const seen: unknown[] = [];
  let after = 0;
  for (;;) {
    const page = await read(store, {}, after, 3);
    if (page.length === 0) break;
    seen.push(...page.map((told) => told.data["i"]));
    after = page.at(-1)?.position ?? after;
  }

  assert.deepEqual(seen, [0, 1, 2, 3, 4, 5, 6]);
  assert.equal(await store.read(journalHead), after);
});

test("the head of an empty journal is 0, and nothing comes after it", async (t) => {
  const store = await openJournal(t);

  assert.equal(await store.read(journalHead), 0);
  assert.deepEqual(await read(store), []);
});

test("a filter gives what it names, and only that", async (t) => {
  const store = await openJournal(t);
  await append(store, [
    event("task.queued", { root: "task_r", task: "task_a" }),
    event("task.completed", { root: "task_r", task: "task_b", run: "run_b" }),
    event("taskforce.met", { root: "task_s" }),
    event("run.recorded", { root: "task_r", task: "task_b", run: "run_b" }),
  ]);
  const types = async (filter: EventFilter) => (await read(store, filter)).map((told) => told.type);

  assert.deepEqual(await types({ root: "task_s" }), ["taskforce.met"]);
  assert.deepEqual(await types({ task: "task_b" }), ["task.completed", "run.recorded"]);
  assert.deepEqual(await types({ run: "run_b", types: ["run.recorded"] }), ["run.recorded"]);
  assert.deepEqual(await types({ types: ["task.*"] }), ["task.queued", "task.completed"]);
  assert.deepEqual(await types({ types: ["task.queued", "run.*"] }), [
    "task.queued",
    "run.recorded",
  ]);
  assert.deepEqual(await types({ types: [] }), [
    "task.queued",
    "task.completed",
    "taskforce.met",
    "run.recorded",
  ]);
});

test("what an undone transaction told was never told", async (t) => {
  const store = await openJournal(t);
  const write = store.write(async (tx) => {
    await appendEvents(tx, [event("task.queued")], stamp);
    throw new Error("no");
  });

  await assert.rejects(write);

  assert.deepEqual(await read(store), []);
});

test("a transaction that tells more than a position can number is a bug, not a wrong order", async (t) => {
  const store = await openJournal(t);
  const tooMany = Array.from({ length: JOURNAL_ROWS_PER_TX_MAX + 1 }, () => event("a.told"));

  await assert.rejects(append(store, tooMany), /tells too much/);

  assert.deepEqual(await read(store), []);
});
