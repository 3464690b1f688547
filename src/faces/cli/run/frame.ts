// The live frame as lines of text: objective, totals, agents, plan, what happened, keys. Pure.
import type { Millis } from "../../../platform/index.ts";
import type { TaskView } from "../../../tasks/index.ts";
import {
  counted,
  dot,
  ellipsis,
  type Look,
  lackText,
  type MarkName,
  mark,
  markOfTask,
  money,
  paint,
  shortId,
  span,
} from "../look.ts";
import { clean, cut, cutPainted, padEnd, padStart, widthOf } from "../text.ts";
import { doneOf, type Happening, isEnded, phaseOf, planOf, rootOf, type View } from "./view.ts";

export type FrameFacts = {
  readonly now: Millis;
  /** Lines the terminal can hold; the frame never scrolls. */
  readonly rows: number;
  /** The last line: which keys do what. */
  readonly keys: string;
  /** all: every task, nothing else; for `t`. */
  readonly shows: "parts" | "all";
  /** Set while the hub is away: how old what is shown is. */
  readonly dataOf: Millis | undefined;
};

const AGENT_WIDTH = 16;
const ID_WIDTH = 11;
const RIGHT_WIDTH = 10;
const BAR_CELLS = 20;
const TAIL_LINES = 5;

/** `left … right` over the whole width; the left side gives way. */
function spread(look: Look, left: string, right: string): string {
  const room = look.columns - widthOf(right) - 2;
  return padEnd(cut(left, room, ellipsis(look)), room + 2) + right;
}

export function renderFrame(view: View, look: Look, facts: FrameFacts): string[] {
  const top = [
    spread(look, clean(view.objective), shortId(view.root)),
    totalsLine(view, look, facts.now),
    ...awayLines(look, facts.dataOf),
    ...(isRehearsed(view) ? [paint(look, "yellow", "rehearsal: no model was called")] : []),
    "",
  ];
  const bottom = ["", `  ${paint(look, "dim", cut(facts.keys, look.columns - 2, ellipsis(look)))}`];
  // One row stays free: the cursor stands below the frame.
  let room = facts.rows - 1 - top.length - bottom.length;
  if (facts.shows === "all") {
    const lines = limited(look, planLines(view, look), room);
    return [...top, ...lines, ...bottom].map((line) => cutPainted(line, look.columns));
  }

  const agents = limited(
    look,
    agentLines(view, look, facts.now),
    Math.max(3, Math.floor(room / 2)),
  );
  room -= agents.length;
  const tail = view.tail.slice(-TAIL_LINES).map((happening) => tailLine(view, look, happening));
  const planRoom = room - (tail.length + 1) - 2;
  const plan = planRoom >= 2 ? limited(look, planLines(view, look), planRoom) : [];
  const parts = [
    agents,
    ...(plan.length > 0 ? [["  Plan", ...plan]] : []),
    ...(tail.length > 0 ? [tail] : []),
  ];
  return [...top, ...parts.flatMap((part, i) => (i === 0 ? part : ["", ...part])), ...bottom]
    .slice(0, Math.max(1, facts.rows - 1))
    .map((line) => cutPainted(line, look.columns));
}

/** Says that the hub is away, and how old what is shown is. */
export const awayLines = (look: Look, dataOf: Millis | undefined): readonly string[] =>
  dataOf === undefined
    ? []
    : [paint(look, "yellow", `! reconnecting, data of ${look.timeOfDay(dataOf)}`)];

export const isRehearsed = (view: View): boolean =>
  rootOf(view)?.usage.rehearsed === true || view.tasks.some((task) => task.usage.rehearsed);

function limited(look: Look, lines: readonly string[], max: number): readonly string[] {
  if (lines.length <= max) return lines;
  return [
    ...lines.slice(0, max - 1),
    paint(look, "dim", `  ${ellipsis(look)} ${lines.length - max + 1} more`),
  ];
}

function totalsLine(view: View, look: Look, now: Millis): string {
  const root = rootOf(view);
  const { done, all } = doneOf(view);
  const since = root === undefined ? 0 : now - Date.parse(root.createdAt);
  const progress = all === 0 ? [] : [`${done} of ${all} done ${bar(look, done / all)}`];
  return [phaseOf(view), span(since), ...progress, costOf(view)].join(dot(look));
}

function bar(look: Look, share: number): string {
  const full = Math.round(share * BAR_CELLS);
  const [on, off] = look.ascii ? ["=", "."] : ["━", "─"];
  return on.repeat(full) + paint(look, "dim", off.repeat(BAR_CELLS - full));
}

function costOf(view: View): string {
  const usage = rootOf(view)?.usage;
  const cost = usage === undefined || usage.modelCalls === 0 ? "$0.00" : money(usage.costUsd);
  // The budget is that of the root's own run: once others work too, the sum is not bounded by it.
  const isAlone = planOf(view).length === 0;
  return view.budgetUsd === undefined || !isAlone ? cost : `${cost} of ${money(view.budgetUsd)}`;
}

// ---- Agents -------------------------------------------------------------------------------

const isHeld = (task: TaskView): boolean => task.state === "executing" || task.state === "assigned";

function agentLines(view: View, look: Look, now: Millis): string[] {
  const held = view.tasks.filter(isHeld).toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const waiting = view.tasks.filter((task) => task.state === "waiting");
  const lines = [...held, ...waiting].map((task) => agentLine(view, look, task, now));
  return lines.length > 0
    ? lines
    : [`  ${mark(look, "idle")} ${paint(look, "dim", idleText(view))}`];
}

function idleText(view: View): string {
  const missing = view.tasks.flatMap((task) => task.unroutable ?? []);
  if (missing.length > 0) return lackText([...new Set(missing)]);
  const queued = view.tasks.filter((task) => task.state === "queued").length;
  return queued > 0 ? `${queued} queued, no agent is free yet` : "nothing runs right now";
}

/** The symbol moves only when the line made progress: a hung agent's stands still. */
const TURNS = ["◐", "◓", "◑", "◒"];

function agentLine(view: View, look: Look, task: TaskView, now: Millis): string {
  const activity = view.activity.get(task.id);
  const doing =
    task.state === "waiting"
      ? `waits for ${counted(task.gate?.open ?? 0, "task")}`
      : (activity?.text ?? task.state);
  const since = activity?.at ?? Date.parse(task.startedAt ?? task.updatedAt);
  const agent = task.lease?.agent ?? task.agent ?? "";
  const fixed = 4 + AGENT_WIDTH + 1 + ID_WIDTH + 2 + 1 + RIGHT_WIDTH;
  const textWidth = look.columns - fixed;
  const moves = look.motion && !look.ascii && task.state === "executing";
  const symbol = moves
    ? paint(look, "blue", TURNS[(activity?.steps ?? 0) % TURNS.length] ?? "◐")
    : mark(look, markOfTask(task));
  return [
    `  ${symbol} `,
    padEnd(cut(clean(agent), AGENT_WIDTH, ellipsis(look)), AGENT_WIDTH + 1),
    padEnd(shortId(task.id), ID_WIDTH + 2),
    padEnd(cut(clean(doing), textWidth, ellipsis(look)), textWidth + 1),
    padStart(span(now - since), RIGHT_WIDTH),
  ].join("");
}

// ---- Plan and tail ------------------------------------------------------------------------

function planLines(view: View, look: Look): string[] {
  const plan = planOf(view);
  const numbers = new Map(plan.map((task, i) => [task.id as string, i + 1]));
  return plan.map((task, i) => {
    const after = task.after.map((id) => numbers.get(id)).filter((number) => number !== undefined);
    const right = after.length === 0 || isEnded(task) ? "" : `after ${after.join(", ")}`;
    const agent = cut(
      clean(task.lease?.agent ?? task.agent ?? task.capabilities.join(", ")),
      AGENT_WIDTH,
      ellipsis(look),
    );
    const titleWidth = look.columns - 4 - 4 - AGENT_WIDTH - 2 - 14;
    return `  ${mark(look, markOfTask(task))} ${padStart(String(i + 1), 2)}  ${padEnd(cut(clean(task.title), titleWidth, ellipsis(look)), titleWidth + 2)}${padEnd(agent, AGENT_WIDTH)}${padStart(cut(right, 14, ellipsis(look)), 14)}`.trimEnd();
  });
}

const TAIL_MARKS: Readonly<Record<string, MarkName>> = {
  "task.started": "executing",
  "task.waiting": "waiting",
  "task.completed": "completed",
  "task.failed": "failed",
  "task.cancelled": "cancelled",
  "task.skipped": "skipped",
  "task.paused": "paused",
  "task.resumed": "queued",
  "task.requeued": "queued",
  "task.retried": "queued",
};

function tailLine(view: View, look: Look, happening: Happening): string {
  const task = view.tasks.find((one) => one.id === happening.task);
  const left = `  ${look.timeOfDay(happening.at)}  ${mark(look, TAIL_MARKS[happening.type] ?? "idle")} ${shortId(happening.task)} `;
  const leftWidth = 2 + 8 + 2 + 1 + 1 + widthOf(shortId(happening.task)) + 1;
  const right = tailRight(happening, task);
  const room = look.columns - leftWidth - widthOf(right) - 2;
  return left + padEnd(cut(clean(task?.title ?? ""), room, ellipsis(look)), room + 2) + right;
}

function tailRight(happening: Happening, task: TaskView | undefined): string {
  if (
    happening.type === "task.completed" &&
    task?.startedAt !== undefined &&
    task.endedAt !== undefined
  ) {
    const took = span(Date.parse(task.endedAt) - Date.parse(task.startedAt));
    return `${took} ${money(task.usage.costUsd)}`;
  }
  if (happening.type === "task.started")
    return `to ${clean(task?.lease?.agent ?? task?.agent ?? happening.text)}`;
  return cut(clean(happening.text), 28);
}
