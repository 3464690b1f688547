import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { notedWorkspaces, workerBench, workspace } from "../../test/support/worker.ts";
import { silentLog } from "../platform/index.ts";
import { Collector } from "./collector.ts";

const REPOSITORY = { kind: "worktree", repository: "/nowhere" } as const;

/** A collector over real tasks, and work trees that are there until they are collected. */
async function collecting(t: TestContext) {
  const bench = await workerBench(t, { answer: () => ({ text: "Done." }) });
  const trees = new Set<string>();
  const inUse = new Set<string>();
  const { notes, ...workspaces } = notedWorkspaces(() => workspace({}));
  let ring: (topics: ReadonlySet<string>) => void = () => undefined;
  const collector = new Collector({
    client: bench.client,
    workspaces: { ...workspaces, list: async () => [...trees] },
    world: {
      clock: {
        now: () => bench.time.now(),
        monotonic: () => bench.time.elapsed,
        sleep: (ms, signal) => bench.time.sleep(ms, signal),
      },
    },
    log: silentLog,
    isInUse: (task) => inUse.has(task),
    wakes: (hear) => {
      ring = hear;
      return () => undefined;
    },
  });
  t.after(() => collector.stop());
  return {
    bench,
    trees,
    inUse,
    notes,
    collector,
    ring: () => ring(new Set(["task.failed"])),
    async task() {
      const { id } = await bench.client.call("tasks.submit", {
        title: "It",
        workspace: REPOSITORY,
      });
      trees.add(id);
      return id;
    },
  };
}

test("at its start the trees of tasks that ended are collected, and no others", async (t) => {
  const { bench, collector, notes, trees, task } = await collecting(t);
  const ended = await task();
  await task();
  trees.add("task_unknown");
  trees.add("strange");
  await bench.client.call("tasks.cancel", { id: ended });

  collector.start();
  await bench.time.settle();

  assert.deepEqual(notes, [`collect ${ended}`]);
});

test("news of an ending brings the collection forward; a tree that stays is left alone", async (t) => {
  const { bench, collector, notes, ring, task } = await collecting(t);
  const id = await task();
  collector.start();
  await bench.time.settle();
  const startedAt = bench.time.elapsed;

  await bench.client.call("tasks.cancel", { id });
  ring();
  await bench.until(() => notes.length > 0);
  const took = bench.time.elapsed - startedAt;
  ring();
  await bench.until(() => bench.time.elapsed > startedAt + 200_000);

  assert.ok(took <= 1_000, `${took} ms of virtual time`);
  assert.deepEqual(notes, [`collect ${id}`]);
});

test("without any news an ending is found all the same", async (t) => {
  const { bench, collector, notes, task } = await collecting(t);
  const id = await task();
  collector.start();
  await bench.time.settle();

  await bench.client.call("tasks.cancel", { id });
  await bench.until(() => notes.length > 0);

  assert.deepEqual(notes, [`collect ${id}`]);
});

test("a tree somebody still works in is collected when he has left it", async (t) => {
  const { bench, collector, notes, inUse, task } = await collecting(t);
  const id = await task();
  inUse.add(id);
  await bench.client.call("tasks.cancel", { id });
  collector.start();
  await bench.until(() => bench.time.elapsed >= 10_000);
  const early = [...notes];

  inUse.delete(id);
  await bench.until(() => notes.length > 0);

  assert.deepEqual(early, []);
  assert.deepEqual(notes, [`collect ${id}`]);
});
