import assert from "node:assert/strict";
import { test } from "node:test";
import { refusal } from "../../test/support/invoker.ts";
import { NODE, openTasks } from "../../test/support/tasks.ts";

test("the same idempotency key gives the first task; another body under it is a conflict", async (t) => {
  const hub = await openTasks(t);
  const first = await hub.submit({ title: "Deploy", idempotencyKey: "k1" });

  const again = await hub.submit({ title: "Deploy", idempotencyKey: "k1" });

  assert.equal(again.id, first.id);
  await assert.rejects(
    hub.submit({ title: "Deploy twice", idempotencyKey: "k1" }),
    refusal("idempotency_conflict", "k1"),
  );
  assert.equal((await hub.call("tasks.list", {})).items.length, 1);
});

test("what is wrong with an input is said, and nothing of it is kept", async (t) => {
  const hub = await openTasks(t);
  const big = "x".repeat(1024 * 1024 + 1);

  await assert.rejects(hub.submit({ instructions: big }), refusal("payload_too_large", "artifact"));
  await assert.rejects(hub.submit({ priority: 10 }), refusal("invalid_input", "priority"));
  await assert.rejects(hub.submit({ priority: -1 }), refusal("invalid_input", "priority"));
  await assert.rejects(hub.submit({ title: "  " }), refusal("invalid_input", "title"));
  await assert.rejects(hub.submit({ after: ["task_zzz"] }), refusal("not_found", "task_zzz"));
  await assert.rejects(hub.submit({ parent: "task_zzz" }), refusal("not_found", "parent task_zzz"));
  await assert.rejects(
    hub.graph([{ key: "build" }, { key: "test", after: ["biuld"] }]),
    refusal("not_found", '"biuld" of "test"', 'mean "build"'),
  );
  await assert.rejects(
    hub.graph([{ key: "a" }, { key: "a" }]),
    refusal("invalid_input", 'key "a"'),
  );

  assert.deepEqual((await hub.call("tasks.list", {})).items, []);
});

test("a cycle is refused with its name, also through parents", async (t) => {
  const hub = await openTasks(t);

  await assert.rejects(
    hub.graph([
      { key: "a", after: ["c"] },
      { key: "b", after: ["a"] },
      { key: "c", after: ["b"] },
      { key: "d", after: ["a"] },
    ]),
    refusal("invalid_input", "a → c → b → a"),
  );
  await assert.rejects(hub.graph([{ key: "a", after: ["a"] }]), refusal("invalid_input", "a → a"));
  await assert.rejects(
    hub.graph([{ key: "top" }, { key: "low", parent: "top", after: ["top"] }]),
    refusal("invalid_input", "cycle"),
  );
});

test("a task below another can't wait for it, nor for what waits for it", async (t) => {
  const hub = await openTasks(t);
  const top = await hub.submit({ title: "Top" });
  const later = await hub.submit({ title: "Later", after: [top.id] });
  const last = await hub.submit({ title: "Last", after: [later.id] });

  for (const blocker of [top, last]) {
    await assert.rejects(
      hub.submit({ parent: top.id, after: [blocker.id] }),
      refusal("invalid_input", "could end"),
    );
  }
  await hub.submit({ parent: later.id, after: [top.id] });
});

test("dependants start when all they wait for has completed, in any order", async (t) => {
  const hub = await openTasks(t);
  const ids = await hub.graph([
    { key: "a" },
    { key: "b" },
    { key: "c", after: ["a", "b"] },
    { key: "d", after: ["c"] },
  ]);
  const states = async () =>
    Object.fromEntries(
      (await hub.call("tasks.list", {})).items.map((task) => [task.title, task.state]),
    );

  const [a, b] = await hub.claim();
  assert.ok(a !== undefined && b !== undefined);
  await hub.complete(b);
  assert.equal((await states())["c"], "created");
  await hub.complete(a);
  assert.deepEqual(await states(), {
    a: "completed",
    b: "completed",
    c: "queued",
    d: "created",
  });
  assert.deepEqual((await hub.get(ids["c"] ?? "task_x")).after, [ids["a"], ids["b"]]);
  await hub.complete(await hub.claimOne());
  await hub.complete(await hub.claimOne());
  assert.deepEqual(await hub.claim(), []);
});

test("a failed dependency reaches its dependants by their policy, and theirs", async (t) => {
  const hub = await openTasks(t);
  const ids = await hub.graph([
    { key: "a" },
    { key: "fails", after: ["a"] },
    { key: "skips", after: ["a"], onFailure: "skip" },
    { key: "goes-on", after: ["a", "skips"], onFailure: "continue" },
    { key: "below", after: ["fails"], onFailure: "skip" },
  ]);
  const of = (key: string) => hub.get(ids[key] ?? "task_x");

  assert.equal(await hub.fail(await hub.claimOne(), "gave_up", "never"), "failed");

  assert.equal((await of("fails")).failure?.code, "dependency_failed");
  assert.match((await of("fails")).failure?.message ?? "", new RegExp(ids["a"] ?? "-"));
  assert.equal((await of("skips")).state, "skipped");
  assert.equal((await of("below")).state, "skipped");
  const goesOn = await of("goes-on");
  assert.equal(goesOn.state, "queued");
  assert.equal(goesOn.notices.length, 2);
  await hub.complete(await hub.claimOne());
  assert.equal((await of("goes-on")).degraded, true);
  assert.deepEqual(await hub.stuck(), []);
});

test("a task that comes after its dependency ended meets the same policy", async (t) => {
  const hub = await openTasks(t);
  const bad = await hub.submit({ title: "Bad" });
  await hub.fail(await hub.claimOne(), "forbidden");
  const good = await hub.submit({ title: "Good" });
  await hub.complete(await hub.claimOne());

  assert.equal((await hub.submit({ after: [good.id] })).state, "queued");
  assert.equal((await hub.submit({ after: [bad.id] })).failure?.code, "dependency_failed");
  assert.equal((await hub.submit({ after: [bad.id], onFailure: "skip" })).state, "skipped");
  const goesOn = await hub.submit({ after: [bad.id, good.id], onFailure: "continue" });
  assert.equal(goesOn.state, "queued");
  assert.equal(goesOn.notices.length, 1);
});

test("10,000 tasks in one chain, and in one fan, are taken in and end", async (t) => {
  const hub = await openTasks(t);
  const keys = Array.from({ length: 10_000 }, (_, i) => `k${i}`);
  const chain = keys.map((key, i) => ({ key, after: i === 0 ? [] : [`k${i - 1}`] }));
  const fan = keys.map((key, i) => ({ key, after: i === 0 ? [] : ["k0"] }));

  const chained = await hub.graph(chain);
  assert.equal(await hub.fail(await hub.claimOne(), "gave_up", "never"), "failed");
  assert.equal(await hub.state(chained["k9999"] ?? "task_x"), "failed");

  const fanned = await hub.graph(fan);
  await hub.complete(await hub.claimOne());
  const counts = await hub.call("tasks.counts", {});
  assert.equal(counts.open.queued, 9_999);
  assert.equal(counts.endedToday.failed, 10_000);
  assert.equal((await hub.call("tasks.cancel", { id: fanned["k9999"] ?? "task_x" })).reached, 1);
});

test("a parent parks on its children, goes on as itself, and is degraded when one is missing", async (t) => {
  const hub = await openTasks(t);
  await hub.offer({ planner: ["plan"], coder: [] });
  const top = await hub.submit({ title: "Top", agent: "planner", attemptsMax: 1 });
  const claim = await hub.claimOne();

  const made = await hub.call("tasks.delegate", {
    id: top.id,
    epoch: claim.epoch,
    run: claim.run,
    at: 0,
    steps: [{ kind: "waited", gate: "children" }],
    tasks: [
      { key: "x", title: "X" },
      { key: "y", title: "Y", after: ["x"], onFailure: "continue" },
    ],
  });

  const parked = await hub.get(top.id);
  assert.equal(parked.state, "waiting");
  assert.deepEqual(parked.gate, { kind: "children", open: 2 });
  assert.equal(parked.attempts, 0, "a wait costs no attempt");
  assert.match(
    (await hub.call("tasks.why", { id: top.id })).sentence,
    /waits for its 2 open children/,
  );
  await assert.rejects(hub.complete(claim), refusal("lease_lost"));

  await hub.fail(await hub.claimOne(), "invalid_input");
  assert.equal(await hub.state(top.id), "waiting");
  await hub.complete(await hub.claimOne());
  assert.equal(await hub.state(top.id), "queued");

  const again = await hub.claimOne();
  assert.equal(again.task.id, top.id);
  assert.deepEqual([again.run, again.steps], [claim.run, 1]);
  await hub.complete(again);
  const done = await hub.get(top.id);
  assert.equal(done.degraded, true);
  assert.equal(done.notices.length, 2);
  assert.match(done.notices[0] ?? "", new RegExp(made.tasks[0]?.id ?? "-"));
});

test("children that all end at birth do not leave their parent waiting", async (t) => {
  const hub = await openTasks(t);
  const bad = await hub.submit({ title: "Bad" });
  await hub.fail(await hub.claimOne(), "forbidden");
  const top = await hub.submit({ title: "Top" });
  const { epoch, run } = await hub.claimOne();

  await hub.call("tasks.delegate", {
    id: top.id,
    epoch,
    run,
    at: 0,
    tasks: [{ key: "x", title: "X", after: [bad.id] }],
  });

  assert.equal(await hub.state(top.id), "queued");
});

test("a start in the future comes when it is due, and after its dependencies", async (t) => {
  const hub = await openTasks(t);
  const at = (ms: number) => new Date(hub.clock.now + ms).toISOString();
  const first = await hub.submit({ title: "First" });
  const timed = await hub.submit({ runAt: at(1_000) });
  const both = await hub.submit({ runAt: at(1_000), after: [first.id] });
  await hub.complete(await hub.claimOne());
  assert.deepEqual(await hub.claim(), []);
  const early = await hub.sweep();
  assert.equal(early.dueAt, at(1_000));
  assert.equal((await hub.call("tasks.why", { id: timed.id })).class, "time");

  hub.clock.now += 1_000;
  assert.equal((await hub.sweep()).moved, 2);

  assert.deepEqual([await hub.state(timed.id), await hub.state(both.id)], ["queued", "queued"]);
});

test("a deadline fails the task and ends what is below it", async (t) => {
  const hub = await openTasks(t);
  const deadline = new Date(hub.clock.now + 5_000).toISOString();
  const ids = await hub.graph([
    { key: "top", deadline },
    { key: "low", parent: "top" },
    { key: "after", after: ["top"] },
  ]);
  const claims = await hub.claim();

  hub.clock.now += 5_000;
  await hub.sweep();

  const state = (key: string) => hub.state(ids[key] ?? "task_x");
  assert.deepEqual(
    [await state("top"), await state("low"), await state("after")],
    ["failed", "cancelled", "failed"],
  );
  for (const claim of claims) await assert.rejects(hub.complete(claim), refusal("lease_lost"));
  const held = claims.map(({ task, epoch }) => ({ task: task.id, epoch }));
  assert.equal((await hub.call("tasks.heartbeat", { node: NODE, held })).lost.length, 2);
});
