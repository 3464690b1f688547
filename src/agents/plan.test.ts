import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { checkPlan, PLAN_TASKS_MAX, type Plan, type PlanTeam, planSchema } from "./plan.ts";

const team: PlanTeam = [
  { name: "planner", roles: ["planner"], capabilities: ["planning"] },
  { name: "strategist", roles: ["planner"], capabilities: [] },
  { name: "coder", roles: ["worker"], capabilities: ["code", "typescript"] },
  { name: "tester", roles: ["worker"], capabilities: ["test"] },
];

type Task = Plan["tasks"][number];
const task = (key: string, rest: Partial<Task> = {}): Task => ({
  key,
  title: `Do ${key}`,
  instructions: `Please do ${key}.`,
  agent: "coder",
  ...rest,
});
const check = (...tasks: Task[]) => checkPlan({ summary: "All of it.", tasks }, team, "planner");

function problems(...tasks: Task[]): string {
  const checked = check(...tasks);
  return checked.kind === "invalid" ? checked.problems.join("\n") : "valid";
}

test("a good plan becomes tasks with every default spelled out", () => {
  const checked = check(
    task("a"),
    task("b", { agent: "tester", after: ["a", "a"], onFailure: "skip", priority: 7 }),
  );

  assert.deepEqual(checked, {
    kind: "valid",
    tasks: [
      {
        key: "a",
        title: "Do a",
        instructions: "Please do a.",
        agent: "coder",
        capabilities: [],
        after: [],
        onFailure: "fail",
      },
      {
        key: "b",
        title: "Do b",
        instructions: "Please do b.",
        agent: "tester",
        capabilities: [],
        after: ["a"],
        priority: 7,
        onFailure: "skip",
      },
    ],
  });
});

const refused: readonly (readonly [string, readonly Task[], RegExp])[] = [
  ["an empty plan", [], /has no task/],
  [
    "more tasks than allowed",
    Array.from({ length: PLAN_TASKS_MAX + 1 }, (_, n) => task(`t${n}`)),
    /201 tasks; at most 200/,
  ],
  ["an unknown agent", [task("a", { agent: "codr" })], /"codr".*not in the team.*mean "coder"/],
  ["the planner itself", [task("a", { agent: "planner" })], /given to you, planner/],
  ["one who only plans", [task("a", { agent: "strategist" })], /strategist, which only plans/],
  ["nobody at all", [{ ...task("a"), agent: undefined } as never], /neither an agent nor cap/],
  [
    "an unknown capability",
    [{ ...task("a", { capabilities: ["typscript"] }), agent: undefined } as never],
    /"typscript", which no agent has.*mean "typescript"/,
  ],
  [
    "capabilities no single agent has",
    [{ ...task("a", { capabilities: ["code", "test"] }), agent: undefined } as never],
    /no agent has all of them/,
  ],
  [
    "a capability its agent lacks",
    [task("a", { capabilities: ["test"] })],
    /wants test of coder, which does not/,
  ],
  ["a key that stands twice", [task("a"), task("a")], /Two tasks have the key "a"/],
  ["an unknown key", [task("build"), task("b", { after: ["biuld"] })], /"biuld".*mean "build"/],
  ["a task that waits for itself", [task("a", { after: ["a"] })], /a after a\. /],
  [
    "a cycle, named without what only leads to it",
    [
      task("start", { after: ["a"] }),
      task("a", { after: ["b"] }),
      task("b", { after: ["c"] }),
      task("c", { after: ["a"] }),
      task("free"),
    ],
    /wait for each other: a after b after c after a\. /,
  ],
];

for (const [name, tasks, sentence] of refused) {
  test(`a plan with ${name} is refused in words that help to repair it`, () => {
    assert.match(problems(...tasks), sentence);
  });
}

test("a planner that also works gives itself no task, and another one that does may get one", () => {
  const both: PlanTeam = ["lead", "deputy"].map((name) => ({
    name,
    roles: ["planner", "worker"],
    capabilities: [],
  }));
  const kindFor = (agent: string) =>
    checkPlan({ summary: "s", tasks: [task("a", { agent })] }, both, "lead").kind;

  assert.equal(kindFor("lead"), "invalid");
  assert.equal(kindFor("deputy"), "valid");
});

test("all problems of a plan are told at once", () => {
  const text = problems(task("a", { agent: "nobody" }), task("b", { after: ["x"] }), task("b"));

  assert.equal(text.split("\n").length, 3);
});

test("capabilities alone are enough when one agent has them all", () => {
  const { agent: _, ...open } = task("a", { capabilities: ["typescript", "code", "code"] });

  const checked = check(open);

  assert.ok(checked.kind === "valid");
  assert.deepEqual(checked.tasks[0]?.capabilities, ["typescript", "code"]);
  assert.ok(!("agent" in (checked.tasks[0] ?? {})));
});

test("the schema refuses fields it does not know and bounds what it does", () => {
  const plan = { summary: "s", tasks: [task("a")] };

  assert.ok(planSchema.safeParse(plan).success);
  assert.ok(!planSchema.safeParse({ ...plan, extra: 1 }).success);
  assert.ok(!planSchema.safeParse({ ...plan, tasks: [task("a", { title: " " })] }).success);
  assert.ok(!planSchema.safeParse({ ...plan, tasks: [task("../x")] }).success);
});

// ---- Properties -------------------------------------------------------------------------------

const keys = fc.constantFrom("a", "b", "c", "d", "e", "f");
const anyTask = fc.record({
  key: keys,
  title: fc.constant("t"),
  instructions: fc.constant("i"),
  agent: fc.constantFrom("coder", "tester", "planner", "nobody"),
  after: fc.array(keys, { maxLength: 3 }),
});

/** Can the tasks be put in an order in which each comes after what it waits for? */
function canBeOrdered(tasks: readonly { key: string; after: readonly string[] }[]): boolean {
  const done = new Set<string>();
  for (let round = 0; round <= tasks.length; round++) {
    for (const { key, after } of tasks) if (after.every((other) => done.has(other))) done.add(key);
  }
  return tasks.every(({ key }) => done.has(key));
}

test("a plan is valid exactly when its keys are unique, its agents work and it can be ordered", () => {
  fc.assert(
    fc.property(fc.array(anyTask, { minLength: 1, maxLength: 6 }), (tasks) => {
      const isGood =
        new Set(tasks.map(({ key }) => key)).size === tasks.length &&
        tasks.every(({ agent }) => agent === "coder" || agent === "tester") &&
        canBeOrdered(tasks);

      assert.equal(check(...tasks).kind === "valid", isGood);
    }),
    { numRuns: 2_000 },
  );
});

test("a named cycle is one: each task in it waits for the next", () => {
  const edges = fc.array(fc.tuple(fc.nat(7), fc.nat(7)), { maxLength: 24 });
  fc.assert(
    fc.property(edges, (pairs) => {
      const tasks = Array.from({ length: 8 }, (_, n) =>
        task(`t${n}`, {
          after: pairs.filter(([from]) => from === n).map(([, to]) => `t${to}`),
        }),
      );

      const named = /each other: (.*)\. Take/.exec(problems(...tasks))?.[1]?.split(" after ") ?? [];

      if (named.length > 0) assert.equal(named[0], named.at(-1));
      for (const [index, key] of named.slice(0, -1).entries()) {
        const waits = tasks.find((one) => one.key === key)?.after ?? [];
        assert.ok(waits.includes(named[index + 1] ?? ""), named.join(" after "));
      }
    }),
    { numRuns: 500 },
  );
});
