import assert from "node:assert/strict";
import { test } from "node:test";
import { openTasks } from "../../test/support/tasks.ts";
import { AGE_STEP_MS } from "./order.ts";

test("tasks are claimed by priority, then by age", async (t) => {
  const hub = await openTasks(t);
  const titles = ["low", "first", "second", "high"];
  const priorities = [0, 5, 5, 9];
  for (const [i, title] of titles.entries()) {
    hub.clock.now += 1;
    await hub.submit({ title, priority: priorities[i] ?? 5 });
  }

  const order = (await hub.claim()).map(({ task }) => task.title);

  assert.deepEqual(order, ["high", "first", "second", "low"]);
});

test("one tree of 10,000 tasks does not lock out a later one of three", async (t) => {
  const hub = await openTasks(t);
  const tree = (name: string, size: number) =>
    hub.graph([
      { key: name, agent: "nobody" },
      ...Array.from({ length: size }, (_, i) => ({ key: `${name}${i}`, parent: name })),
    ]);
  await tree("big", 9_999);
  for (const claim of await hub.claim(10)) await hub.complete(claim);

  await tree("small", 3);

  const next = (await hub.claim(6)).map(({ task }) => task.title);
  assert.deepEqual(
    next.filter((title) => title.startsWith("small")),
    ["small0", "small1", "small2"],
  );
});

test("a task that waits long rises until it is served, and its step is due in time", async (t) => {
  const hub = await openTasks(t);
  const old = await hub.submit({ title: "old", priority: 7 });
  const { dueAt } = await hub.sweep();
  assert.equal(Date.parse(dueAt ?? ""), hub.clock.now + AGE_STEP_MS);

  for (let step = 0; step < 3; step++) {
    hub.clock.now += AGE_STEP_MS;
    await hub.sweep();
    await hub.submit({ title: "new", priority: 9 });
  }

  assert.equal((await hub.claimOne()).task.id, old.id);
  assert.equal((await hub.get(old.id)).priority, 7, "its own priority is not touched");
});

test("a node gets only what its agents can do, where it stands", async (t) => {
  const hub = await openTasks(t);
  const rust = await hub.submit({ title: "rust", capabilities: ["rust"] });
  const gpu = await hub.submit({ title: "gpu", placement: { labels: { gpu: "yes" } } });
  const pinned = await hub.submit({ title: "pinned", agent: "writer" });
  assert.deepEqual(rust.unroutable, ["rust"]);

  await hub.offer({ coder: ["typescript"] });
  assert.deepEqual(await hub.claim(), []);
  assert.deepEqual((await hub.get(gpu.id)).unroutable, ["label:gpu=yes"]);
  assert.match(
    (await hub.call("tasks.why", { id: rust.id })).sentence,
    /ready, but nobody offers rust/,
  );

  await hub.call("tasks.offer", {
    node: "node_b",
    offers: [{ agent: "oxide", capabilities: ["rust", "go"], slots: 1 }],
    labels: { gpu: "yes" },
  });
  const out = await hub.call("tasks.claim", { node: "node_b", free: { oxide: 5, coder: 5 } });
  assert.deepEqual(
    out.claims.map(({ task }) => task.id),
    [rust.id, gpu.id],
  );
  assert.equal((await hub.get(rust.id)).unroutable, undefined);
  assert.deepEqual((await hub.get(pinned.id)).unroutable, ["agent:writer"]);
});

test("a full agent's line waits, others go on", async (t) => {
  const hub = await openTasks(t);
  await hub.offer({ coder: ["code"], writer: ["write"] });
  for (let i = 0; i < 3; i++) await hub.submit({ title: `code${i}`, capabilities: ["code"] });
  await hub.submit({ title: "write", capabilities: ["write"] });

  const out = await hub.call("tasks.claim", { node: "node_a", free: { coder: 1, writer: 1 } });

  assert.deepEqual(
    out.claims.map(({ task }) => task.title),
    ["code0", "write"],
  );
});

test("why says what comes first, in one sentence, for every state", async (t) => {
  const hub = await openTasks(t);
  await hub.offer({ coder: [] });
  const ids = await hub.graph([{ key: "a" }, { key: "b" }, { key: "c", after: ["a", "b"] }]);
  const why = (key: string) => hub.call("tasks.why", { id: ids[key] ?? "task_x" });

  assert.match((await why("a")).sentence, /is next: it waits for a free agent/);
  assert.match((await why("b")).sentence, /ready; 1 in the same line goes before it/);
  const waits = await why("c");
  assert.equal(waits.class, "gate");
  assert.match(waits.sentence, /waits for 2 tasks: task_\w+ a \(queued\), task_\w+ b \(queued\)/);
  assert.equal(waits.waitsFor.length, 2);
  const claim = await hub.claimOne();
  assert.match((await why("a")).sentence, /was given to coder on node_a, lease until/);
  await hub.complete(claim);
  assert.equal((await why("a")).class, "final");
});

test("a broken counter, a lost gate and a missing lease are found and put right", async (t) => {
  const hub = await openTasks(t);
  const { a = "task_x", b = "task_x" } = await hub.graph([
    { key: "a" },
    { key: "b", after: ["a"] },
  ]);
  const claim = await hub.claimOne();
  await hub.call("tasks.delegate", {
    id: a,
    epoch: claim.epoch,
    run: claim.run,
    at: 0,
    tasks: [{ key: "x", title: "X" }],
  });
  await hub.complete(await hub.claimOne());
  const { task: parent } = await hub.claimOne();
  assert.deepEqual([(await hub.sweep()).mended, await hub.stuck()], [0, []]);
  const damage = (sql: string, id: string) => hub.store.write((tx) => tx.run(sql, id));

  await damage("UPDATE tasks SET blockers = 0 WHERE id = ?", b);
  await damage("UPDATE tasks SET lease_expires_at = NULL WHERE id = ?", parent.id);
  assert.equal((await hub.stuck()).length, 2);
  assert.equal((await hub.sweep()).mended, 2);
  assert.deepEqual([await hub.state(a), await hub.state(b)], ["queued", "created"]);

  await damage("UPDATE tasks SET state = 'waiting', turn = 1 WHERE id = ?", a);
  assert.equal((await hub.sweep()).mended, 1);
  assert.deepEqual([await hub.stuck(), (await hub.sweep()).mended], [[], 0]);
  await hub.complete(await hub.claimOne());
  assert.equal(await hub.state(b), "queued");
});
