import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { findCycle, parentsFirst, resolveGraph } from "./graph.ts";
import { assignHeads, byOrder, type Head, nextTurn } from "./order.ts";
import { BACKOFF_MS_MAX, backoffMs } from "./retry.ts";
import { canServe, missingCapabilities, parseRoute, pinnedRoute, routeText } from "./route.ts";
import { FINAL_STATES, TASK_STATES } from "./task.ts";
import {
  type EventKind,
  isFinal,
  type StateKind,
  type TaskCore,
  type TaskEvent,
  TRANSITIONS,
  transition,
} from "./transition.ts";

const failure = { code: "model_failed", message: "No answer.", retry: "later" } as const;
const result = { text: "ok" };

/** What a worker says carries an epoch: mostly that of the last claim, sometimes an older one. */
type Command = (epoch: number) => TaskEvent;

const anyCommand: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.constantFrom<Command>(
      () => ({ kind: "ready" }),
      () => ({ kind: "claim", node: "node_a", agent: "coder", leaseMs: 60_000 }),
      (epoch) => ({ kind: "lose", epoch, progressed: true }),
      (epoch) => ({ kind: "lose", epoch, progressed: false }),
      () => ({ kind: "decide" }),
      () => ({ kind: "approve", result }),
      () => ({ kind: "reject", failure, reviewsLeft: 1 }),
      () => ({ kind: "pause" }),
      () => ({ kind: "resume" }),
      () => ({ kind: "retry" }),
      () => ({ kind: "revive", blockers: 1, runAt: null }),
      (epoch) => ({ kind: "start", epoch }),
      (epoch) => ({ kind: "start", epoch: epoch - 1 }),
      (epoch) => ({ kind: "release", epoch }),
      (epoch) => ({ kind: "wait", epoch, open: 1 }),
      (epoch) => ({ kind: "review", epoch }),
      (epoch) => ({ kind: "fail", epoch, failure, backoffMs: 30_000 }),
      (epoch) => ({ kind: "complete", epoch: epoch - 1, result }),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Command>(
      (epoch) => ({ kind: "complete", epoch, result }),
      (epoch) => ({ kind: "fail", epoch, failure: { ...failure, retry: "never" }, backoffMs: 0 }),
      () => ({ kind: "reject", failure, reviewsLeft: 0 }),
      () => ({ kind: "doom", failure }),
      () => ({ kind: "skip", reason: "no" }),
      () => ({ kind: "expire", failure }),
      () => ({ kind: "cancel", reason: "no" }),
    ),
  },
);

const fresh: TaskCore = {
  state: { kind: "created", blockers: 0, runAt: null },
  paused: false,
  attempts: 0,
  attemptsMax: 3,
  epoch: 0,
};

test("no sequence of commands leaves the table, claims beyond bounds or lowers the epoch", () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(
      fc.array(anyCommand, { minLength: 60, maxLength: 120, size: "max" }),
      (commands) => {
        let task = fresh;
        let now = 1_000;
        for (const command of commands) {
          const event = command(task.epoch);
          now += 40_000;
          const out = transition(task, event, now);
          const edge: { readonly from: readonly StateKind[]; readonly to: readonly StateKind[] } =
            TRANSITIONS[event.kind];
          if (out.kind === "refused") continue;
          if ("epoch" in event)
            assert.equal(event.epoch, task.epoch, "a stale epoch moves nothing");
          assert.ok(edge.from.includes(task.state.kind), `${event.kind} from ${task.state.kind}`);
          assert.ok(
            edge.to.includes(out.task.state.kind),
            `${event.kind} to ${out.task.state.kind}`,
          );
          assert.ok(out.task.epoch >= task.epoch);
          assert.ok(out.task.attempts >= 0 && out.task.attempts <= out.task.attemptsMax);
          const leased = out.task.state.kind === "assigned" || out.task.state.kind === "executing";
          assert.ok(!(leased && out.task.paused), "nobody holds a paused task");
          seen.add(`${task.state.kind} ${event.kind} ${out.task.state.kind}`);
          task = out.task;
        }
      },
    ),
    { numRuns: 1_000, seed: 7 },
  );
  // The walk must have been somewhere: every event of the table moved something.
  const kinds = new Set([...seen].map((move) => move.split(" ")[1]));
  assert.deepEqual([...kinds].sort(), Object.keys(TRANSITIONS).sort());
});

test("an event from a state outside its edge is refused, with state and event named", () => {
  const task = { ...fresh, state: { kind: "completed", result: { text: "" } } } as const;
  for (const event of ["ready", "decide", "retry", "pause", "resume"] as const) {
    const out = transition(task, { kind: event }, 0);
    assert.deepEqual(out, { kind: "refused", why: "illegal", state: "completed", event });
  }
});

test("only a retry or a revival leads out of a final state", () => {
  for (const [kind, edge] of Object.entries(TRANSITIONS) as [
    EventKind,
    { from: readonly StateKind[] },
  ][]) {
    const opens = kind === "retry" || kind === "revive";
    assert.equal(edge.from.some(isFinal), opens, kind);
  }
  assert.deepEqual(TASK_STATES.filter(isFinal), [...FINAL_STATES]);
});

test("the last failed attempt ends in failed, never back in the queue", () => {
  const lease = { node: "node_a", agent: "coder", epoch: 3, expiresAt: 9 } as const;
  const last: TaskCore = { ...fresh, state: { kind: "executing", lease }, attempts: 3, epoch: 3 };
  const event = { kind: "fail", epoch: 3, failure, backoffMs: 10 } as const;

  const over = transition(last, event, 0);
  const more = transition({ ...last, attempts: 2 }, event, 100);
  const never = transition(
    { ...last, attempts: 1 },
    { ...event, failure: { ...failure, code: "invalid_plan" } },
    0,
  );

  assert.equal(over.kind === "moved" && over.task.state.kind, "failed");
  assert.deepEqual(more.kind === "moved" && more.task.state, { kind: "queued", availableAt: 110 });
  assert.equal(never.kind === "moved" && never.task.state.kind, "failed");
});

test("a backoff lies under a ceiling that doubles and ends at 30 s", () => {
  const ceilings = [1, 2, 3, 4, 5, 6, 7].map((attempt) => backoffMs(attempt, () => 0.9999999));
  assert.deepEqual(ceilings, [999, 1999, 3999, 7999, 15999, 29999, 29999]);
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 100 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (attempt, chance) => {
        const pauseMs = backoffMs(attempt, () => chance);
        assert.ok(pauseMs >= 0 && pauseMs < BACKOFF_MS_MAX && Number.isInteger(pauseMs));
      },
    ),
  );
});

test("equal needs are one line; a route says all that decides who can run it", () => {
  const a = {
    capabilities: ["b", "a", "b"],
    placement: { labels: { y: "2", x: "1" }, region: "eu" },
  };
  const b = { capabilities: ["a", "b"], placement: { labels: { x: "1", y: "2" }, region: "eu" } };
  assert.equal(routeText(a), routeText(b));

  const route = parseRoute(routeText(a));
  const coder = { agent: "coder", capabilities: ["a", "b", "c"], slots: 1 };
  const node = { offers: [coder], labels: { x: "1", y: "2", z: "3" }, region: "eu" };
  assert.ok(canServe(route, coder, node));
  assert.ok(!canServe(route, coder, { ...node, region: "us" }));
  assert.ok(!canServe(route, coder, { ...node, labels: { x: "1" } }));
  assert.ok(!canServe(route, { ...coder, capabilities: ["a"] }, node));
  assert.ok(!canServe(parseRoute(pinnedRoute(routeText(a), "writer")), coder, node));
});

test("what is missing is named by the agent that comes nearest", () => {
  const route = parseRoute(routeText({ capabilities: ["rust", "gpu"] }));
  const node = (...offers: string[][]) => ({
    offers: offers.map((capabilities, i) => ({ agent: `a${i}`, capabilities, slots: 1 })),
    labels: {},
  });
  assert.deepEqual(missingCapabilities(route, [node(["go"], ["rust"])]), ["gpu"]);
  assert.deepEqual(missingCapabilities(route, [node(["gpu", "rust"])]), []);
  assert.deepEqual(missingCapabilities(route, []), ["gpu", "rust"]);
  assert.deepEqual(missingCapabilities(parseRoute(routeText({ capabilities: [] })), []), [
    "agent:any",
  ]);
});

test("a cycle is found exactly when there is one, however deep", () => {
  fc.assert(
    fc.property(fc.array(fc.array(fc.nat(19), { maxLength: 3 }), { maxLength: 20 }), (edges) => {
      const graph = edges.map((list) => list.filter((to) => to < edges.length));
      const cycle = findCycle(graph);
      if (cycle === undefined) {
        assert.equal(sortable(graph), true);
        return;
      }
      for (const [i, at] of cycle.entries()) {
        assert.ok(graph[at]?.includes(cycle[(i + 1) % cycle.length] ?? -1));
      }
    }),
  );
  const chain = Array.from({ length: 100_000 }, (_, i) => (i === 0 ? [] : [i - 1]));
  assert.equal(findCycle(chain), undefined);
  chain[0] = [99_999];
  assert.equal(findCycle(chain)?.length, 100_000);
});

/** Kahn's algorithm, as the other opinion. */
function sortable(graph: readonly (readonly number[])[]): boolean {
  const left = new Set(graph.keys());
  for (let removed = true; removed; ) {
    removed = false;
    for (const at of left) {
      if (graph[at]?.some((to) => left.has(to))) continue;
      left.delete(at);
      removed = true;
    }
  }
  return left.size === 0;
}

test("parents are made before their children", () => {
  const nodes = [
    { key: "c", after: [], parent: "b" },
    { key: "b", after: [], parent: "a" },
    { key: "d", after: [], parent: "b" },
    { key: "a", after: [] },
  ];
  assert.deepEqual(parentsFirst(resolveGraph(nodes)), [3, 1, 0, 2]);
});

test("a root with 10,000 turns does not lock out one with three", () => {
  const big = Array.from({ length: 10_000 }, (_, i) =>
    head(`task_a${String(i).padStart(5, "0")}`, i + 1),
  );
  const late = [0, 1, 2].reduce<Head[]>(
    (queued) => [
      ...queued,
      head(`task_b${queued.length}`, nextTurn(500, queued.at(-1)?.turn ?? null)),
    ],
    [],
  );

  const order = [...big.slice(499), ...late].sort(byOrder).slice(0, 6);

  assert.equal(order.filter(({ id }) => id.startsWith("task_b")).length, 3);
});

test("heads go to the agent that has most of what is preferred, then to the least loaded", () => {
  const offers = [
    { agent: "busy", capabilities: [], slots: 4 },
    { agent: "idle", capabilities: [], slots: 4 },
    { agent: "liked", capabilities: ["rust"], slots: 4 },
  ];
  const free = { busy: 1, idle: 4, liked: 1 };
  const heads = [head("task_1", 1, ["rust"]), head("task_2", 1, ["rust"]), head("task_3", 1)];

  const chosen = assignHeads(heads, new Map([["r", offers]]), free, 10);

  assert.deepEqual(
    chosen.map(({ agent }) => agent),
    ["liked", "idle", "idle"],
  );
  assert.equal(assignHeads(heads, new Map([["r", offers]]), free, 2).length, 2);
});

const head = (id: string, turn: number, preferred: readonly string[] = []): Head => ({
  id,
  route: "r",
  urgency: 5,
  turn,
  preferred,
});
