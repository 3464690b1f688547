import assert from "node:assert/strict";
import { test } from "node:test";
import type { JournalEvent } from "../../../platform/index.ts";
import type { Look } from "../look.ts";
import { recordingTerminal } from "../terminal.testing.ts";
import { cleanLines, widthOf } from "../text.ts";
import { NOON, plainLook, taskView, teamAtWork, UNUSED } from "../views.testing.ts";
import { type FrameFacts, renderFrame } from "./frame.ts";
import { framePainter } from "./painter.ts";
import { emptyView, phaseOf, type View, withEvent, withTasks } from "./view.ts";

const ROOT = "task_0000000000aaaaaa";
const facts: FrameFacts = {
  now: NOON + 180_000,
  rows: 30,
  keys: "p pause   q leave",
  shows: "parts",
  dataOf: undefined,
};

const event = (
  type: string,
  task: string,
  data: JournalEvent["data"],
  seconds: number,
): JournalEvent => ({
  position: seconds,
  type,
  at: NOON + seconds * 1_000,
  actor: "node_a",
  root: ROOT,
  task,
  data,
});

function working(): View {
  const events = [
    event("task.completed", "task_0000000000bbbbbb", {}, 170),
    event("task.started", "task_0000000000cccccc", {}, 171),
    event(
      "run.step",
      "task_0000000000cccccc",
      { kind: "tool_began", tool: "edit", text: '{"path":"src/limit/bucket.ts","old"' },
      177,
    ),
    event(
      "run.step",
      "task_0000000000dddddd",
      { kind: "model_asked", model: "anthropic/claude-sonnet-4-5" },
      171,
    ),
  ];
  const empty = emptyView(ROOT, "Add rate limiting to the public API", 12);
  return events.reduce(withEvent, withTasks(empty, teamAtWork()));
}

test("a working team at 80 columns", () => {
  const lines = renderFrame(working(), plainLook(), facts);

  assert.deepEqual(lines, [
    "Add rate limiting to the public API                                  task_aaaaaa",
    "working · 3 min · 1 of 4 done ━━━━━─────────────── · $4.92",
    "",
    "  ◓ coder            task_cccccc  edit src/limit/bucket.ts                   3 s",
    "  ◓ coder            task_dddddd  model, anthropic/claude-sonnet-4-5         9 s",
    "  ⧗ planner          task_aaaaaa  waits for 3 tasks                   2 min 59 s",
    "",
    "  Plan",
    "  ✓  1  Survey existing middleware                coder",
    "  ◐  2  Token-bucket core, Redis and in-process   coder",
    "  ◐  3  Per-key quota columns and migration       coder",
    "  ◌  4  Run all tests                             tester              after 2, 3",
    "",
    "  12:02:50  ✓ task_bbbbbb Survey existing middleware            2 min 40 s $0.37",
    "  12:02:51  ◐ task_cccccc Token-bucket core, Redis and in-process       to coder",
    "",
    "  p pause   q leave",
  ]);
});

test("a rehearsal says so in every frame", () => {
  const usage = { ...UNUSED, rehearsed: true, modelCalls: 1 };
  const tasks = [taskView({ id: ROOT, state: "executing", usage })];
  const view = withTasks(emptyView(ROOT, "Mend it", undefined), tasks);

  const lines = renderFrame(view, plainLook(), facts);

  assert.ok(lines.includes("rehearsal: no model was called"));
});

test("an unpriced run never looks free", () => {
  const usage = { ...UNUSED, costUsd: null, modelCalls: 1 };
  const view = withTasks(emptyView(ROOT, "Mend it", undefined), [taskView({ id: ROOT, usage })]);

  assert.match(renderFrame(view, plainLook(), facts)[1] ?? "", /unpriced$/);
});

test("no line is wider and no frame higher than the terminal, whatever the titles say", () => {
  const nasty = "\u001b[2J日本語のタイトル ".repeat(20);
  const many = Array.from({ length: 60 }, (_, i) =>
    taskView({
      id: `task_00000000000000${10 + i}`,
      root: ROOT,
      parent: ROOT,
      title: nasty,
      state: "executing",
      agent: "an-agent-with-a-rather-long-name",
    }),
  );
  const view = withTasks(working(), [...teamAtWork(), ...many]);

  for (const columns of [40, 60, 80, 133]) {
    for (const rows of [8, 24, 60]) {
      for (const look of [
        plainLook({ columns }),
        plainLook({ columns, color: true, ascii: true }),
      ]) {
        for (const shows of ["parts", "all"] as const) {
          const lines = renderFrame(view, look, { ...facts, rows, shows });
          assert.ok(lines.length < rows, `${lines.length} lines in ${rows} rows`);
          for (const line of lines) {
            assert.ok(widthOf(cleanLines(line)) <= columns, line);
            assert.ok(!line.includes("\u001b[2J"));
          }
        }
      }
    }
  }
});

test("the symbol of a line moves with its progress and stands still without", () => {
  const before = working();
  const after = withEvent(
    before,
    event(
      "run.step",
      "task_0000000000cccccc",
      { kind: "tool_began", tool: "shell", text: '{"command":"npm test"}' },
      178,
    ),
  );
  const line = (view: View, look: Look, now: number) =>
    renderFrame(view, look, { ...facts, now })[3];

  assert.notEqual(
    line(after, plainLook(), facts.now)?.slice(0, 4),
    line(before, plainLook(), facts.now)?.slice(0, 4),
  );
  assert.equal(
    line(before, plainLook(), facts.now + 60_000)?.slice(0, 4),
    line(before, plainLook(), facts.now)?.slice(0, 4),
  );
  assert.equal(line(after, plainLook({ motion: false }), facts.now)?.slice(0, 4), "  ◐ ");
});

test("what the team is at follows from its tasks", () => {
  const phases: readonly (readonly [View, string])[] = [
    [emptyView(ROOT, "x", undefined), "starting"],
    [
      withTasks(emptyView(ROOT, "x", undefined), [
        taskView({ id: ROOT, state: "executing", startedAt: "2026-11-20T12:00:00.000Z" }),
      ]),
      "planning",
    ],
    [working(), "working"],
    [
      withTasks(
        working(),
        teamAtWork().map((task) => (task.id === ROOT ? task : { ...task, state: "completed" })),
      ),
      "finishing",
    ],
    [
      withTasks(
        working(),
        teamAtWork().map((task) => (task.id === ROOT ? { ...task, paused: true } : task)),
      ),
      "paused",
    ],
    [
      withTasks(
        working(),
        teamAtWork().map((task) => ({ ...task, state: "failed" })),
      ),
      "failed",
    ],
  ];

  for (const [view, phase] of phases) assert.equal(phaseOf(view), phase);
});

test("a frame is drawn over the one before, and not at all when nothing changed", () => {
  const terminal = recordingTerminal({ isInteractive: true });
  const painter = framePainter(terminal);

  painter.draw(["one", "two"]);
  const first = terminal.stdout;
  painter.draw(["one", "two"]);
  assert.equal(terminal.stdout, first);
  assert.equal(terminal.isCursorHidden, true);

  painter.draw(["one", "three"]);
  assert.equal(
    terminal.stdout.slice(first.length),
    "\r\u001b[2Aone\u001b[K\nthree\u001b[K\n\u001b[J",
  );

  painter.clear();
  assert.equal(terminal.isCursorHidden, false);
});

test("lines that a narrower terminal has wrapped are all taken back", () => {
  const terminal = recordingTerminal({ isInteractive: true, columns: 10 });
  const painter = framePainter(terminal);
  painter.draw(["x".repeat(25), "y"]);
  const before = terminal.stdout.length;

  painter.clear();

  assert.equal(terminal.stdout.slice(before), "\r\u001b[4A\u001b[J");
});

test("while the hub is away the frame says so, and how old what it shows is", () => {
  const lines = renderFrame(working(), plainLook(), { ...facts, dataOf: NOON + 180_000 });

  assert.equal(lines[2], "! reconnecting, data of 12:03:00");
  assert.equal(renderFrame(working(), plainLook(), facts)[2], "");
});
