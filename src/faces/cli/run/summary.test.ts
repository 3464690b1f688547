import assert from "node:assert/strict";
import { test } from "node:test";
import type { JournalEvent } from "../../../platform/index.ts";
import { atNoon, NOON, plainLook, taskView, teamAtWork, UNUSED } from "../views.testing.ts";
import { isTold, plainLine } from "./lines.ts";
import { renderSummary, type Summary } from "./summary.ts";
import { exitOf } from "./watch.ts";

const ROOT = "task_0000000000aaaaaa";
const CHECKED = {
  command: "npm test",
  exitCode: 0,
  task: "task_0000000000eeeeee",
  title: "Run all tests",
};

function finished(): Summary {
  const [root, ...plan] = teamAtWork().map((task) => ({
    ...task,
    state: "completed" as const,
    endedAt: atNoon(580),
  }));
  if (root === undefined) throw new Error("the fixture has a root");
  return {
    root: {
      ...root,
      result: { text: "The API limits its callers now." },
      usage: {
        ...UNUSED,
        costUsd: 4.92,
        tokensIn: 4_100_000,
        tokensCached: 3_239_000,
        tokensOut: 212_000,
        modelCalls: 9,
      },
    },
    plan,
    diff: {
      files: 2,
      insertions: 1904,
      deletions: 212,
      commits: 4,
      paths: [
        { path: "src/limit/bucket.ts", insertions: 1900, deletions: 200 },
        { path: "src/http.ts", insertions: 4, deletions: 12 },
      ],
    },
    checks: [CHECKED],
    budgetUsd: 12,
    next: [["cadre runs merge task_aaaaaa", "merge it into your branch"]],
  };
}

test("the end of an objective at 80 columns", () => {
  assert.deepEqual(renderSummary(plainLook(), finished()), [
    "✓ Add rate limiting to the public API                                task_aaaaaa",
    "",
    "  4 of 4 tasks done                                                   9 min 40 s",
    "  Cost      $4.92                   4.1 M tokens in, 79 % cached, 212 k out",
    `  Branch    cadre/${ROOT}`,
    "  Changed   4 commits, 2 files, +1,904 −212",
    "            src/limit/bucket.ts  +1900 −200",
    "            src/http.ts          +4 −12",
    "  Checks    ✓ npm test: exit 0  task_eeeeee Run all tests",
    "",
    "  The API limits its callers now.",
    "",
    "Next  cadre runs merge task_aaaaaa  merge it into your branch",
  ]);
});

test("a failed objective says what failed, not that it is done", () => {
  const summary = finished();
  const failure = { code: "gave_up", message: "2 of 10 tests fail.", retry: "never" } as const;
  const root = { ...summary.root, state: "failed" as const, failure };
  const plan = summary.plan.map((task, i) =>
    i === 3 ? { ...task, state: "failed" as const, failure } : task,
  );
  const checks = [{ ...CHECKED, exitCode: 1 }];

  const text = renderSummary(plainLook(), { ...summary, root, plan, checks }).join("\n");

  assert.match(text, /^✗ /);
  assert.match(text, /3 of 4 tasks done, 1 failed/);
  assert.match(text, /✗ npm test: exit 1 {2}task_eeeeee Run all tests/);
  assert.match(text, /! task_eeeeee Run all tests: 2 of 10 tests fail\./);
});

test("the summary labels a rehearsal and an unknown price", () => {
  const summary = finished();
  const usage = { ...summary.root.usage, rehearsed: true, costUsd: null };

  const text = renderSummary(plainLook(), { ...summary, root: { ...summary.root, usage } }).join(
    "\n",
  );

  assert.match(text, /rehearsal: no model was called/);
  assert.match(text, /Cost {6}unpriced /);
});

test("a budget bounds one run: it is shown beside the cost of that run, never of a whole tree", () => {
  const summary = finished();
  const text = (shown: Summary) => renderSummary(plainLook(), shown).join("\n");

  assert.match(text({ ...summary, plan: [] }), /\$4\.92 of \$12\.00/);
  assert.doesNotMatch(text(summary), /12\.00/);
});

test("checks are a tester's own commands: none is said to be none, a cut-off one no success", () => {
  const summary = finished();
  const text = (checks: Summary["checks"]) =>
    renderSummary(plainLook(), { ...summary, checks }).join("\n");

  assert.match(text([]), /Checks {4}none: no tester ran a command on this change/);
  assert.match(text([{ ...CHECKED, exitCode: undefined }]), /✗ npm test: did not end by itself/);
});

test("the exit code tells the outcome", () => {
  assert.equal(exitOf({ state: "completed", degraded: false }, true), 0);
  assert.equal(exitOf({ state: "completed", degraded: true }, false), 0);
  assert.equal(exitOf({ state: "completed", degraded: true }, true), 1);
  assert.equal(exitOf({ state: "failed", degraded: false }, false), 1);
  assert.equal(exitOf({ state: "cancelled", degraded: false }, false), 1);
});

test("a plain line is absolute, whole and greppable", () => {
  const event: JournalEvent = {
    position: 7,
    type: "task.completed",
    at: NOON + 580_000,
    actor: "node_a",
    root: ROOT,
    task: "task_0000000000bbbbbb",
    data: {},
  };
  const task = taskView({
    id: "task_0000000000bbbbbb",
    agent: "coder",
    startedAt: atNoon(10),
    endedAt: atNoon(580),
    usage: { ...UNUSED, costUsd: 0.41, rehearsed: true },
  });

  assert.equal(
    plainLine(event, task),
    "2026-11-20T12:09:40.000Z task_0000000000bbbbbb completed agent=coder took=570.0s cost=0.41 rehearsal=true",
  );
});

test("a value that could be read as more than one is quoted, on one line", () => {
  const event: JournalEvent = {
    position: 7,
    type: "task.cancelled",
    at: NOON,
    actor: "user:local",
    task: "task_0000000000bbbbbb",
    data: { reason: 'not "needed"\nany more \u001b[31m' },
  };

  assert.equal(
    plainLine(event, undefined),
    '2026-11-20T12:00:00.000Z task_0000000000bbbbbb cancelled reason="not \\"needed\\" any more"',
  );
  assert.equal(isTold({ ...event, type: "run.step" }), false);
});
