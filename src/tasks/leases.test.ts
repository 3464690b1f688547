import assert from "node:assert/strict";
import { test } from "node:test";
import { refusal } from "../../test/support/invoker.ts";
import { NODE, openTasks } from "../../test/support/tasks.ts";
import type { Step } from "./run.ts";

test("a task goes from submitted to completed, and its story is told", async (t) => {
  const hub = await openTasks(t);
  const task = await hub.submit({ title: "Write the changelog" });
  assert.equal(task.state, "queued");

  const claim = await hub.claimOne();
  assert.equal(claim.task.lease?.agent, "coder");
  assert.equal(claim.steps, 0);
  await hub.complete(claim);

  const done = await hub.get(task.id);
  assert.equal(done.state, "completed");
  assert.equal(done.result?.text, "Done.");
  assert.equal(done.attempts, 1);
  const story = await hub.call("tasks.history", { id: task.id });
  assert.deepEqual(
    story.transitions.map(({ event }) => event),
    ["task.created", "task.assigned", "task.completed"],
  );
  assert.deepEqual(
    (await hub.call("runs.list", { task: task.id })).items.map((r) => r.state),
    ["completed"],
  );
});

test("two claimers never get one task", async (t) => {
  const hub = await openTasks(t);
  await hub.offer({ coder: [] }, "node_a");
  await hub.offer({ coder: [] }, "node_b");
  for (let i = 0; i < 40; i++) await hub.submit();

  const nodes = Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? "node_a" : "node_b"));
  const claims = (await Promise.all(nodes.map((node) => hub.claim(3, node)))).flat();

  assert.equal(claims.length, 40);
  assert.equal(new Set(claims.map(({ task }) => task.id)).size, 40);
});

test("a late result from a lost lease is refused, and says who holds the task", async (t) => {
  const hub = await openTasks(t);
  await hub.submit();
  const first = await hub.claimOne();
  hub.clock.now += 60_000;
  await hub.sweep();
  const second = await hub.claimOne();
  assert.equal(second.epoch, first.epoch + 1);

  await assert.rejects(hub.complete(first), refusal("lease_lost", "is held by node_a"));
  await assert.rejects(hub.fail(first), refusal("lease_lost"));
  await assert.rejects(
    hub.call("tasks.release", { id: first.task.id, epoch: first.epoch }),
    refusal("lease_lost"),
  );
  await assert.rejects(
    hub.call("runs.record", { ...fence(first), at: 0, steps: [] }),
    refusal("lease_lost"),
  );
  await hub.complete(second);
  await assert.rejects(hub.complete(second), refusal("lease_lost", "is completed"));
});

test("who lost the lease adds nothing to the run of who holds it now, even at the right place", async (t) => {
  const hub = await openTasks(t);
  await hub.submit();
  const first = await hub.claimOne();
  hub.clock.now += 60_000;
  await hub.sweep();
  const second = await hub.claimOne();
  await hub.call("runs.record", { ...fence(second), at: 0, steps: [told("mine")] });

  await assert.rejects(
    hub.call("runs.record", { ...fence(second), epoch: first.epoch, at: 1, steps: [told("late")] }),
    refusal("lease_lost", "is held by node_a"),
  );

  const { items } = await hub.call("runs.steps", { id: second.run });
  assert.equal(items.length, 1);
});

test("a lease ends at its time, not before, and costs an attempt without progress", async (t) => {
  const hub = await openTasks(t);
  const { id } = await hub.submit();
  await hub.claimOne();

  hub.clock.now += 59_999;
  assert.equal((await hub.sweep()).moved, 0);
  hub.clock.now += 1;
  assert.equal((await hub.sweep()).moved, 1);

  const task = await hub.get(id);
  assert.equal(task.state, "queued");
  assert.equal(task.attempts, 1);
  assert.equal(task.lease, undefined);
});

test("a lost lease gives the attempt back when an outcome was recorded since the claim", async (t) => {
  const hub = await openTasks(t);
  const { id } = await hub.submit({ attemptsMax: 1 });

  for (let round = 0; round < 3; round++) {
    const claim = await hub.claimOne();
    assert.equal(claim.steps, round, "the open run is taken up again");
    const steps = [settled(`call_${round}`)];
    await hub.call("runs.record", { ...fence(claim), at: claim.steps, steps });
    await hub.call("tasks.abandon", { node: NODE });
  }

  assert.equal((await hub.get(id)).attempts, 0);
  assert.equal((await hub.call("runs.list", { task: id })).items.length, 1);
});

test("a task that takes its worker down in every attempt ends poisoned, never loops", async (t) => {
  const hub = await openTasks(t);
  const { id } = await hub.submit({ attemptsMax: 3 });

  for (let round = 0; round < 3; round++) {
    const claim = await hub.claimOne();
    // Being taken up again, and beginning a call, is not progress: the call may be what kills it.
    const steps = [{ kind: "resumed", node: NODE, epoch: claim.epoch } as const, began("call_1")];
    await hub.call("runs.record", { ...fence(claim), at: claim.steps, steps });
    hub.clock.now += 60_000;
    await hub.sweep();
  }

  const task = await hub.get(id);
  assert.equal(task.state, "failed");
  assert.equal(task.failure?.code, "poisoned");
  assert.deepEqual(await hub.claim(), []);
});

test("a heartbeat extends the lease, never past the attempt's end, and names what is lost", async (t) => {
  const hub = await openTasks(t);
  const { id } = await hub.submit({ attemptTimeoutMs: 90_000 });
  const claim = await hub.claimOne();
  const held = [{ task: id, epoch: claim.epoch }];
  const began = hub.clock.now;

  hub.clock.now += 40_000;
  assert.deepEqual((await hub.call("tasks.heartbeat", { node: NODE, held })).lost, []);
  const lease = (await hub.get(id)).lease;
  assert.equal(Date.parse(lease?.expiresAt ?? ""), began + 90_000);

  hub.clock.now += 50_000;
  await hub.sweep();
  const task = await hub.get(id);
  assert.equal(task.state, "queued");
  assert.ok(task.availableAt !== undefined, "a timed out attempt has failed: it backs off");
  const { lost } = await hub.call("tasks.heartbeat", { node: NODE, held });
  assert.match(lost[0]?.why ?? "", /is queued: the lease was taken back/);
});

test("steps are taken only at the transcript's end, and of the right run", async (t) => {
  const hub = await openTasks(t);
  const { id } = await hub.submit();
  const claim = await hub.claimOne();
  await hub.call("runs.record", { ...fence(claim), at: 0, steps: [told("a"), told("b")] });

  for (const at of [0, 1, 3]) {
    await assert.rejects(
      hub.call("runs.record", { ...fence(claim), at, steps: [told("c")] }),
      refusal("stale_write", "goes on at 2"),
    );
  }
  await assert.rejects(
    hub.call("runs.record", { ...fence(claim), run: "run_other", at: 2, steps: [] }),
    refusal("not_found", "has no run"),
  );

  assert.equal(await hub.state(id), "executing");
  const { items, next } = await hub.call("runs.steps", { id: claim.run });
  assert.deepEqual(
    items.map((item) => [item.index, item.step.kind]),
    [
      [0, "told"],
      [1, "told"],
    ],
  );
  assert.equal(next, null);
});

test("a step past its limit is refused and leaves nothing behind", async (t) => {
  const hub = await openTasks(t);
  await hub.submit();
  const claim = await hub.claimOne();

  await assert.rejects(
    hub.call("runs.record", { ...fence(claim), at: 0, steps: [told("x".repeat(300_000))] }),
    refusal("payload_too_large", "artifact"),
  );

  assert.equal((await hub.call("runs.get", { id: claim.run })).steps, 0);
});

test("a release gives the task back unharmed", async (t) => {
  const hub = await openTasks(t);
  const { id } = await hub.submit({ attemptsMax: 1 });
  const claim = await hub.claimOne();

  await hub.call("tasks.release", { id, epoch: claim.epoch });

  assert.equal((await hub.get(id)).attempts, 0);
  const again = await hub.claimOne();
  assert.equal(again.run, claim.run);
  await hub.complete(again);
});

test("leases end by the clock that jumped back only when it has come forward again", async (t) => {
  const hub = await openTasks(t);
  const { id } = await hub.submit();
  const claim = await hub.claimOne();

  hub.clock.now -= 3_600_000;
  await hub.sweep();
  assert.equal((await hub.get(id)).lease?.epoch, claim.epoch);
  await hub.complete(claim);

  assert.equal(await hub.state(id), "completed");
  const story = await hub.call("tasks.history", { id });
  assert.ok(Object.values(story.durationsMs).every((ms) => ms >= 0));
});

test("usage of a run is summed, for the task and for its tree, and unpriced stays unknown", async (t) => {
  const hub = await openTasks(t);
  const ids = await hub.graph([
    { key: "top", type: "objective" },
    { key: "low", parent: "top" },
  ]);
  const claims = await hub.claim();
  for (const claim of claims) {
    const steps = [answered(claim.task.id === ids["low"] ? null : 0.5)];
    await hub.call("runs.record", { ...fence(claim), at: 0, steps });
  }

  const top = await hub.get(ids["top"] ?? "task_x");
  assert.equal(top.usage.tokensIn, 20);
  assert.equal(top.usage.modelCalls, 2);
  assert.equal(top.usage.costUsd, null);
  const run = claims.find(({ task }) => task.id === ids["top"])?.run ?? "run_x";
  assert.equal((await hub.call("runs.get", { id: run })).usage.costUsd, 0.5);
});

// ---- Steps ----------------------------------------------------------------------------------

type Fenced = {
  readonly task: { readonly id: `task_${string}` };
  readonly epoch: number;
  readonly run: `run_${string}`;
};
const fence = ({ task, epoch, run }: Fenced) => ({ id: task.id, epoch, run });

const told = (text: string) => ({ kind: "told", from: "test", text }) as const;
const began = (call: string) =>
  ({ kind: "tool_began", call, tool: "shell", effect: "irreversible", arguments: {} }) as const;
const settled = (call: string) =>
  ({ kind: "tool_settled", call, outcome: { kind: "done", text: "ok" }, tookMs: 1 }) as const;
const answered = (costUsd: number | null): Step => ({
  kind: "model_answered",
  model: "rehearsal/test",
  text: "Hello",
  calls: [],
  finish: "stop",
  usage: {
    tokensIn: 10,
    tokensOut: 5,
    tokensCached: 0,
    costUsd,
    modelCalls: 1,
    toolCalls: 0,
    rehearsed: true,
  },
  tookMs: 1,
});
