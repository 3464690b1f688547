import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { agent, notedWorkspaces, workerBench, workspace } from "../../test/support/worker.ts";
import type { Client } from "../operations/index.ts";
import { CadreError } from "../platform/index.ts";
import type { TaskContract } from "../tasks/index.ts";
import { defineTool } from "../tools/index.ts";

const REPOSITORY = { kind: "worktree", repository: "/nowhere" } as const;

/** A tool that counts what it does, and takes as long as it is told. */
function counting(options: {
  readonly effect: "queryable" | "irreversible";
  readonly ms?: number;
}) {
  const did: string[] = [];
  const tool = defineTool({
    name: "act",
    description: "Acts.",
    input: z.strictObject({ what: z.string() }),
    kind: "internal",
    effect: options.effect,
    timeoutMs: 10_000_000,
    async run({ world, signal, isRepeat }, { what }) {
      if (isRepeat && options.effect === "irreversible")
        return { kind: "unknown", text: "Unsure." };
      did.push(isRepeat ? `${what} again` : what);
      await world.clock.sleep(options.ms ?? 0, signal);
      return { kind: "done", text: `Did ${what}.` };
    },
  });
  return { did, tool };
}

/** A model that says nothing until it is told to stop. */
const silentUntil = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });

const act = (what: string) => ({ calls: [{ tool: "act", input: { what } }] });

test("a task is claimed, worked on and completed with the model's last words", async (t) => {
  const { tool, did } = counting({ effect: "queryable" });
  const bench = await workerBench(t, {
    tools: [tool],
    answer: (_, asked) => (asked === 0 ? act("one") : { text: "All done." }),
  });
  await bench.start();
  const { id } = await bench.client.call("tasks.submit", { title: "Do it" });

  const task = await bench.ended(id);

  assert.equal(task.state, "completed");
  assert.equal(task.result?.text, "All done.");
  assert.deepEqual(did, ["one"]);
  assert.deepEqual(
    (await bench.steps(id)).map(({ kind }) => kind),
    [
      "started",
      "model_asked",
      "model_answered",
      "tool_began",
      "tool_settled",
      "model_asked",
      "model_answered",
      "ended",
    ],
  );
});

test("a task that is ready when it is submitted is claimed at once, not at the next look", async (t) => {
  const bench = await workerBench(t, { answer: () => ({ text: "Done." }) });
  await bench.start();
  await bench.time.settle();

  const { id } = await bench.client.call("tasks.submit", { title: "Do it" });

  const task = await bench.ended(id);
  assert.equal(task.startedAt, task.createdAt);
});

test("outcomes travel with the next intent: one durable write before each effect", async (t) => {
  const { tool } = counting({ effect: "queryable" });
  const bench = await workerBench(t, {
    tools: [tool],
    answer: (_, asked) => (asked < 3 ? act(`${asked}`) : { text: "Done." }),
  });
  await bench.start();
  const { id } = await bench.client.call("tasks.submit", { title: "Do it" });

  await bench.ended(id);

  // Four questions to the model and three calls, and the end with the operation itself.
  assert.equal(bench.calls.filter((name) => name === "runs.record").length, 7);
  assert.equal(bench.calls.filter((name) => name === "tasks.complete").length, 1);
});

test("a record whose answer was lost is not written twice", async (t) => {
  let lost = 0;
  const forgetful = (client: Client<TaskContract>): Client<TaskContract> => ({
    ...client,
    async call(name, input, options) {
      const output = await client.call(name, input, options);
      if (name !== "runs.record" || lost >= 2) return output;
      lost += 1;
      throw new CadreError("store_unavailable", "The answer was lost.");
    },
  });
  const bench = await workerBench(t, { between: forgetful, answer: () => ({ text: "Done." }) });
  await bench.start();
  const { id } = await bench.client.call("tasks.submit", { title: "Do it" });

  const task = await bench.ended(id);

  assert.equal(task.state, "completed");
  assert.equal(lost, 1);
  assert.deepEqual(
    (await bench.steps(id)).map(({ kind }) => kind),
    ["started", "model_asked", "model_answered", "ended"],
  );
});

test("a cancelled task's effect is stopped, and nothing is recorded after it", async (t) => {
  const { tool } = counting({ effect: "irreversible", ms: 1_000_000 });
  const bench = await workerBench(t, { tools: [tool], answer: () => act("long") });
  const worker = await bench.start();
  const { id } = await bench.client.call("tasks.submit", { title: "Do it" });
  await bench.until(async () => (await bench.steps(id)).at(-1)?.kind === "tool_began");

  await bench.client.call("tasks.cancel", { id });
  const before = bench.time.elapsed;
  await bench.until(() => worker.held === 0);

  assert.equal((await bench.steps(id)).at(-1)?.kind, "tool_began");
  assert.equal(bench.time.elapsed, before, "the bus wakes it, not its next beat");
});

test("a graceful stop gives the task back at the next boundary; another goes on from there", async (t) => {
  const { tool, did } = counting({ effect: "irreversible", ms: 5_000 });
  const bench = await workerBench(t, {
    tools: [tool],
    answer: (request) =>
      request.messages.some(({ role }) => role === "tool") ? { text: "Done." } : act("once"),
  });
  const first = await bench.start();
  const { id } = await bench.client.call("tasks.submit", { title: "Do it" });
  await bench.until(async () => (await bench.steps(id)).at(-1)?.kind === "tool_began");

  let isStopped = false;
  const stopping = first.stop("graceful").then(() => {
    isStopped = true;
  });
  await bench.until(() => isStopped);
  await stopping;
  const released = await bench.client.call("tasks.get", { id });
  await bench.start();
  const task = await bench.ended(id);

  assert.equal(released.state, "queued");
  assert.equal(released.attempts, 0);
  assert.equal(task.state, "completed");
  assert.deepEqual(did, ["once"]);
});

test("a worker stopped at once leaves; the call in flight is repeated as a repetition", async (t) => {
  const { tool, did } = counting({ effect: "queryable", ms: 5_000 });
  const bench = await workerBench(t, {
    tools: [tool],
    answer: (request) =>
      request.messages.some(({ role }) => role === "tool") ? { text: "Done." } : act("it"),
  });
  const first = await bench.start("node_same");
  const { id } = await bench.client.call("tasks.submit", { title: "Do it" });
  await bench.until(async () => (await bench.steps(id)).at(-1)?.kind === "tool_began");

  await first.stop("now");
  await first.stop("now");
  const { requeued } = await bench.client.call("tasks.abandon", { node: "node_same" });
  await bench.start("node_same");
  const task = await bench.ended(id);

  assert.equal(requeued, 1);
  assert.equal(task.state, "completed");
  assert.deepEqual(did, ["it", "it again"]);
  assert.equal((await bench.steps(id)).filter(({ kind }) => kind === "tool_began").length, 1);
});

test("a model that does not hear the stop is left behind, and has no effect when it answers", async (t) => {
  const { tool, did } = counting({ effect: "queryable" });
  let answer = () => {};
  const bench = await workerBench(t, {
    tools: [tool],
    answer: () =>
      new Promise((resolve) => {
        answer = () => resolve(act("late"));
      }),
  });
  const worker = await bench.start();
  const { id } = await bench.client.call("tasks.submit", { title: "Do it" });
  await bench.until(async () => (await bench.steps(id)).at(-1)?.kind === "model_asked");

  let stops = 0;
  const stopping = Promise.all([
    worker.stop("graceful").then(() => stops++),
    worker.stop("now").then(() => stops++),
  ]);
  await bench.until(() => stops === 2);
  await stopping;
  answer();
  await bench.until(() => worker.held === 0);

  assert.deepEqual(did, []);
  assert.equal((await bench.steps(id)).at(-1)?.kind, "model_asked");
});

test("a provider that names a pause is given it, up to a minute", async (t) => {
  const askedAt: number[] = [];
  const pauses = [20_000, 3_600_000];
  const bench = await workerBench(t, {
    answer: () => {
      askedAt.push(bench.time.elapsed);
      const retryAfterMs = pauses[askedAt.length - 1];
      if (retryAfterMs === undefined) return { text: "Done." };
      throw new CadreError("model_failed", "Too much.", { details: { retryAfterMs } });
    },
  });
  await bench.start();
  const { id } = await bench.client.call("tasks.submit", { title: "Do it" });

  const task = await bench.ended(id);

  assert.equal(task.state, "completed");
  assert.deepEqual(
    askedAt.map((at, index) => at - (askedAt[index - 1] ?? at)),
    [0, 20_000, 60_000],
  );
});

test("what a workspace has to say is told to the model, and people see it on the task", async (t) => {
  const notes = ["You have uncommitted changes.", "There are submodules."];
  const heard: string[] = [];
  const bench = await workerBench(t, {
    workspaces: notedWorkspaces(() => workspace({ path: "/nowhere", notes })),
    answer: ({ messages }) => {
      heard.push(...messages.flatMap((it) => (it.role === "user" ? [it.text] : [])));
      return { text: "Done." };
    },
  });
  await bench.start();
  const { id } = await bench.client.call("tasks.submit", { title: "Do it" });

  const task = await bench.ended(id);

  assert.equal(task.note, notes[0]);
  assert.deepEqual(heard, ["# Do it", notes.join("\n")]);
  assert.deepEqual((await bench.steps(id))[1], {
    kind: "told",
    from: "workspace",
    text: notes.join("\n"),
  });
});

test("a worker that slept through its lease starts no effect on waking", async (t) => {
  const { tool, did } = counting({ effect: "irreversible" });
  let sleeps = true;
  const bench = await workerBench(t, {
    tools: [tool],
    answer: (request) =>
      request.messages.some(({ role }) => role === "tool") ? { text: "Done." } : act("it"),
    between: (client) => ({
      ...client,
      async call(name, input, options) {
        // No beat gets through, and the answer that the intent is durable comes a minute late.
        if (sleeps && name === "tasks.heartbeat") {
          throw new CadreError("not_ready", "The hub is away.");
        }
        const output = await client.call(name, input, options);
        const isIntent = JSON.stringify(input).includes('"tool_began"');
        if (sleeps && isIntent) await bench.time.sleep(60_000);
        return output;
      },
    }),
  });
  const worker = await bench.start();
  await bench.client.call("tasks.submit", { title: "Do it" });

  await bench.until(() => bench.time.elapsed >= 61_000 && worker.held === 0);
  assert.deepEqual(did, []);

  sleeps = false;
  await worker.stop("now");
});

test("an attempt that takes too long is stopped and fails as timed out", async (t) => {
  const { tool } = counting({ effect: "queryable", ms: 1_000_000 });
  const bench = await workerBench(t, { tools: [tool], answer: () => act("long") });
  await bench.start();
  const { id } = await bench.client.call("tasks.submit", {
    title: "Do it",
    attemptTimeoutMs: 5_000,
    attemptsMax: 1,
  });

  const task = await bench.ended(id);

  assert.equal(task.failure?.code, "timed_out");
});

test("a bug in a run is logged and fails the attempt, never the worker", async (t) => {
  const logged: string[] = [];
  const bench = await workerBench(t, {
    log: {
      debug: () => undefined,
      info: () => undefined,
      warn: () => undefined,
      error: (_, message) => logged.push(message),
    },
    answer: (_, asked) => {
      if (asked === 0) throw new TypeError("undefined is not a function");
      return { text: "Done." };
    },
  });
  await bench.start();
  const { id } = await bench.client.call("tasks.submit", { title: "Do it" });

  const task = await bench.ended(id);

  assert.equal(task.state, "completed");
  assert.equal(task.attempts, 2);
  assert.ok(logged.includes("A run died of a bug."));
});

test("the results of the tasks it comes after are told to a run, once", async (t) => {
  const heard: string[] = [];
  const bench = await workerBench(t, {
    answer: (request) => {
      const words = request.messages.flatMap((it) => (it.role === "user" ? [it.text] : []));
      heard.push(words.join("\n"));
      return { text: `Result of ${words[0]}` };
    },
  });
  await bench.start();
  const first = await bench.client.call("tasks.submit", { title: "First" });
  const second = await bench.client.call("tasks.submit", { title: "Second", after: [first.id] });

  await bench.ended(second.id);

  assert.match(heard[1] ?? "", /\[completed\] First .*\nResult of # First/);
});

test("a planner's tasks run with its workspace, and it ends with their results in hand", async (t) => {
  const plan = {
    summary: "One part.",
    tasks: [{ key: "part", title: "The part", instructions: "Do it.", agent: "coder" }],
  };
  const workspaces = notedWorkspaces(() => workspace({ path: "/nowhere" }));
  const bench = await workerBench(t, {
    agents: [agent("planner", { roles: ["planner"] }), agent("coder")],
    workspaces,
    answer: ({ agent: who, messages }) => {
      if (who === "coder") return { text: "The part is done." };
      const last = messages.at(-1);
      if (last?.role === "user" && last.text.startsWith("The tasks you asked for have ended.")) {
        return { text: `Sum: ${last.text}` };
      }
      return { calls: [{ tool: "plan", input: plan }] };
    },
  });
  await bench.start();
  const { id } = await bench.client.call("tasks.submit", {
    title: "Objective",
    agent: "planner",
    workspace: REPOSITORY,
  });

  const task = await bench.ended(id);
  const [child] = (await bench.client.call("tasks.list", { parent: id })).items;

  assert.equal(task.state, "completed");
  assert.match(task.result?.text ?? "", /\[completed\] The part .*by coder.*\nThe part is done\./);
  assert.deepEqual(child?.workspace, REPOSITORY);
  assert.equal(task.attempts, 1);
});

test("a plan that stays invalid after one repair fails the task with what is wrong", async (t) => {
  const bad = { summary: "Bad.", tasks: [{ key: "a", title: "A", instructions: "A", agent: "x" }] };
  const bench = await workerBench(t, {
    agents: [agent("planner", { roles: ["planner"] }), agent("coder")],
    answer: () => ({ calls: [{ tool: "plan", input: bad }] }),
  });
  await bench.start();
  const { id } = await bench.client.call("tasks.submit", { title: "Objective", agent: "planner" });

  const task = await bench.ended(id);

  assert.equal(task.failure?.code, "invalid_plan");
  assert.match(task.failure?.message ?? "", /"x"/);
});

test("an agent that is no planner is not given the tool, and a call of it is refused", async (t) => {
  const tools: string[][] = [];
  const bench = await workerBench(t, {
    answer: (request, asked) => {
      tools.push(request.tools.map(({ name }) => name));
      return asked === 0 ? { calls: [{ tool: "plan", input: {} }] } : { text: "Done myself." };
    },
  });
  await bench.start();
  const { id } = await bench.client.call("tasks.submit", { title: "Do it" });

  const task = await bench.ended(id);

  assert.equal(task.state, "completed");
  assert.deepEqual(tools[0], ["give_up"]);
});

test("a run taken up again goes on in its work tree; another attempt starts from a clean one", async (t) => {
  const workspaces = notedWorkspaces(() => workspace({ path: "/nowhere" }));
  const bench = await workerBench(t, {
    workspaces,
    answer: ({ signal }, asked) => {
      if (asked === 0) return silentUntil(signal);
      if (asked === 1) throw new TypeError("A bug.");
      return { text: "Done." };
    },
  });
  await bench.start("node_a");
  const { id } = await bench.client.call("tasks.submit", { title: "Mine", workspace: REPOSITORY });
  await bench.until(async () => (await bench.steps(id)).length > 0);

  // The node is taken for dead while its model still thinks; then the next run dies of a bug.
  await bench.client.call("tasks.abandon", { node: "node_a" });
  await bench.ended(id);

  assert.deepEqual(
    workspaces.notes.map((note) => note.split(" ")[0]),
    ["open", "open", "reset", "open", "collect"],
  );
});

test("an agent without a model fails its task at once, saying what to set", async (t) => {
  const bench = await workerBench(t, {
    answer: () => {
      throw new CadreError("no_model", "Set ANTHROPIC_API_KEY.");
    },
  });
  await bench.start();
  const { id } = await bench.client.call("tasks.submit", { title: "Do it" });

  const task = await bench.ended(id);

  assert.equal(task.failure?.code, "no_model");
  assert.equal(task.attempts, 1);
});
