import assert from "node:assert/strict";
import { test } from "node:test";
import { refusal } from "../../test/support/invoker.ts";
import { openTasks } from "../../test/support/tasks.ts";

test("a cancel reaches all below it, and nothing late is accepted", async (t) => {
  const hub = await openTasks(t);
  const ids = await hub.graph([
    { key: "top" },
    { key: "mid", parent: "top" },
    { key: "low", parent: "mid" },
    { key: "waits", parent: "top", after: ["low"] },
    { key: "outside", after: ["low"] },
  ]);
  const top = ids["top"] ?? "task_x";
  const claims = await hub.claim();
  assert.equal(claims.length, 3);

  const { reached, task } = await hub.call("tasks.cancel", { id: top, reason: "Not needed" });

  assert.equal(reached, 4);
  assert.equal(task.reason, "Not needed");
  assert.equal((await hub.get(ids["outside"] ?? "task_x")).failure?.code, "dependency_failed");
  for (const claim of claims) {
    await assert.rejects(hub.complete(claim), refusal("lease_lost", "is cancelled"));
  }
  const runs = await hub.call("runs.list", { root: top });
  assert.ok(runs.items.every((run) => run.state === "cancelled"));
  assert.deepEqual(await hub.claim(), []);
  await assert.rejects(
    hub.call("tasks.cancel", { id: top }),
    refusal("illegal_transition", "cancelled"),
  );
  await assert.rejects(hub.submit({ parent: top }), refusal("illegal_transition", "is cancelled"));
});

test("a pause takes the lease back without costing an attempt; resume goes on with the run", async (t) => {
  const hub = await openTasks(t);
  const ids = await hub.graph([{ key: "top" }, { key: "low", parent: "top" }]);
  const top = ids["top"] ?? "task_x";
  const low = ids["low"] ?? "task_x";
  const claims = await hub.claim();

  assert.equal((await hub.call("tasks.pause", { id: top })).reached, 2);
  assert.equal((await hub.call("tasks.pause", { id: top })).reached, 0);

  const paused = await hub.get(low);
  assert.deepEqual([paused.state, paused.paused, paused.attempts], ["queued", true, 0]);
  assert.deepEqual(await hub.claim(), []);
  for (const claim of claims) {
    await assert.rejects(hub.complete(claim), refusal("lease_lost", "is paused"));
  }
  assert.equal((await hub.submit({ parent: top })).paused, true, "a new child is held too");
  assert.equal((await hub.call("tasks.why", { id: low })).class, "paused");
  await assert.rejects(hub.call("tasks.resume", { id: low }), refusal("illegal_transition", top));

  assert.equal((await hub.call("tasks.resume", { id: top })).reached, 3);
  const again = await hub.claim();
  assert.equal(again.length, 3);
  assert.equal(
    again.find(({ task }) => task.id === low)?.run,
    claims.find(({ task }) => task.id === low)?.run,
  );
});

test("what becomes ready while it is paused waits for the resume", async (t) => {
  const hub = await openTasks(t);
  const first = await hub.submit({ title: "First" });
  const second = await hub.submit({ title: "Second", after: [first.id] });
  await hub.call("tasks.pause", { id: second.id });
  await hub.complete(await hub.claimOne());
  assert.deepEqual(await hub.claim(), []);

  await hub.call("tasks.resume", { id: second.id });

  assert.equal((await hub.claimOne()).task.id, second.id);
});

test("a retry revives a failed task and everything that failed or was skipped because of it", async (t) => {
  const hub = await openTasks(t);
  const ids = await hub.graph([
    { key: "a" },
    { key: "b", after: ["a"] },
    { key: "c", after: ["b"], onFailure: "skip" },
    { key: "other", agent: "writer" },
    { key: "both", after: ["a", "other"] },
  ]);
  const of = (key: string) => ids[key] ?? "task_x";
  await hub.offer({ coder: [], writer: [] });
  for (const claim of await hub.claim()) await hub.fail(claim, "gave_up", "never");
  await assert.rejects(
    hub.call("tasks.retry", { id: of("b") }),
    refusal("illegal_transition", of("a")),
  );

  const { reached, task } = await hub.call("tasks.retry", { id: of("a") });

  assert.equal(reached, 3);
  assert.deepEqual([task.state, task.attempts, task.failure], ["queued", 0, undefined]);
  assert.deepEqual([await hub.state(of("b")), await hub.state(of("c"))], ["created", "created"]);
  assert.equal(await hub.state(of("both")), "failed", "another dependency is still failed");
  assert.equal((await hub.call("tasks.retry", { id: of("other") })).reached, 2);
  for (let claims = await hub.claim(); claims.length > 0; claims = await hub.claim()) {
    for (const claim of claims) await hub.complete(claim);
  }
  for (const key of ["a", "b", "c", "other", "both"]) {
    assert.equal(await hub.state(of(key)), "completed");
  }
  await assert.rejects(hub.call("tasks.retry", { id: of("a") }), refusal("illegal_transition"));
});

test("a failed attempt is tried again after a pause with a new run, until none is left", async (t) => {
  const hub = await openTasks(t);
  const { id } = await hub.submit({ attemptsMax: 2 });
  const first = await hub.claimOne();

  assert.equal(await hub.fail(first), "queued");
  const task = await hub.get(id);
  const { readyAt } = await hub.call("tasks.claim", { node: "node_a", free: { coder: 1 } });
  assert.equal(readyAt, task.availableAt);
  assert.match((await hub.call("tasks.why", { id })).sentence, /after a failed attempt/);

  hub.clock.now = Date.parse(task.availableAt ?? "");
  const second = await hub.claimOne();
  assert.notEqual(second.run, first.run);
  assert.equal(await hub.fail(second), "failed");
  assert.equal((await hub.get(id)).failure?.code, "model_failed");
  const runs = await hub.call("runs.list", { task: id });
  assert.deepEqual(
    runs.items.map((run) => [run.attempt, run.state]),
    [
      [2, "failed"],
      [1, "failed"],
    ],
  );
});

test("an update is refused when it comes too late or over another's change", async (t) => {
  const hub = await openTasks(t);
  const { id, version } = await hub.submit({ labels: { team: "web" } });

  const changed = await hub.call("tasks.update", {
    id,
    version,
    title: "New",
    priority: 9,
    instructions: "Do it",
    labels: { team: "api" },
  });
  assert.deepEqual([changed.title, changed.priority, changed.instructions], ["New", 9, "Do it"]);
  await assert.rejects(
    hub.call("tasks.update", { id, version, title: "X" }),
    refusal("stale_write"),
  );

  const claim = await hub.claimOne();
  await assert.rejects(
    hub.call("tasks.update", { id, instructions: "Else" }),
    refusal("illegal_transition", "first claim"),
  );
  await hub.call("tasks.update", { id, title: "Still fine" });
  await hub.complete(claim);
  await assert.rejects(hub.call("tasks.update", { id, title: "X" }), refusal("illegal_transition"));
});

test("a pinned task goes only to its agent", async (t) => {
  const hub = await openTasks(t);
  await hub.offer({ coder: [], writer: [] });
  const { id } = await hub.submit();
  await hub.call("tasks.assign", { id, agent: "writer" });

  const out = await hub.call("tasks.claim", { node: "node_a", free: { coder: 1 } });
  assert.deepEqual(out.claims, []);
  const claim = await hub.claimOne();
  assert.equal(claim.task.lease?.agent, "writer");
  await assert.rejects(
    hub.call("tasks.assign", { id, agent: "coder" }),
    refusal("illegal_transition", "pause"),
  );
});

test("an open run goes on only with the agent that began it, until it is pinned to another", async (t) => {
  const hub = await openTasks(t);
  await hub.offer({ coder: [] });
  const { id } = await hub.submit();
  const claim = await hub.claimOne();
  await hub.call("tasks.release", { id, epoch: claim.epoch });
  await hub.offer({ writer: [] });

  assert.deepEqual(await hub.claim(), []);
  assert.deepEqual((await hub.get(id)).unroutable, ["agent:coder"]);

  await hub.call("tasks.assign", { id, agent: "writer" });
  const again = await hub.claimOne();
  assert.notEqual(again.run, claim.run);
  assert.equal((await hub.call("runs.get", { id: claim.run })).state, "lost");
});

test("lists put what moves before what waits, page without gaps, and filter", async (t) => {
  const hub = await openTasks(t);
  const ids = await hub.graph([
    { key: "a", labels: { team: "web" } },
    { key: "b", labels: { team: "api" }, type: "review" },
    { key: "c", labels: { team: "web" } },
    { key: "d", after: ["a"] },
  ]);
  const [one, two] = await hub.claim(2);
  assert.ok(one !== undefined && two !== undefined);
  await hub.complete(two);

  const titles: string[] = [];
  for (let cursor: string | undefined; ; ) {
    const page = await hub.call("tasks.list", {
      limit: 1,
      ...(cursor === undefined ? {} : { cursor }),
    });
    titles.push(...page.items.map((task) => task.title));
    if (page.next === null) break;
    cursor = page.next;
  }
  assert.deepEqual(titles, ["a", "c", "d", "b"]);

  const list = async (filter: object) =>
    (await hub.call("tasks.list", filter)).items.map((task) => task.title);
  assert.deepEqual(await list({ label: "team=web" }), ["a", "c"]);
  assert.deepEqual(await list({ type: "review" }), ["b"]);
  assert.deepEqual(await list({ open: true, state: "created" }), ["d"]);
  assert.deepEqual(await list({ state: "completed" }), ["b"]);
  assert.deepEqual(await list({ root: ids["c"] ?? "task_x" }), ["c"]);
  await assert.rejects(hub.call("tasks.list", { cursor: "nonsense" }), refusal("invalid_input"));
});

test("a short name finds its task, or says which it may mean", async (t) => {
  const hub = await openTasks(t);
  const { id } = await hub.submit();

  assert.deepEqual(await hub.call("tasks.find", { suffix: id.slice(-8) }), { id });

  await assert.rejects(hub.call("tasks.find", { suffix: "zzzzzz" }), refusal("not_found"));
  await assert.rejects(hub.get("task_none"), refusal("not_found", "task_none"));
});
