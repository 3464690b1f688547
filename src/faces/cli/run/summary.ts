// What stays on the screen when an objective has ended. Pure.
import type { TaskView } from "../../../tasks/index.ts";
import type { DiffStat } from "../host.ts";
import {
  amount,
  counted,
  ellipsis,
  type Look,
  mark,
  markOfTask,
  money,
  paint,
  shortId,
  span,
} from "../look.ts";
import {
  clean,
  cleanLines,
  cut,
  cutMiddle,
  padEnd,
  padStart,
  reflow,
  widthOf,
  wrap,
} from "../text.ts";
import { nextLines } from "../views/lists.ts";

/** What a tester's last command came to. */
export type Checked = {
  readonly command: string;
  /** Undefined when it did not end by itself: refused, cut off, or not known. */
  readonly exitCode: number | undefined;
  readonly task: string;
  readonly title: string;
};

export type Summary = {
  readonly root: TaskView;
  /** The tasks below it. */
  readonly plan: readonly TaskView[];
  readonly diff: DiffStat | undefined;
  readonly checks: readonly Checked[];
  /** Bounds the root's own run, not what the tasks below it cost. */
  readonly budgetUsd: number | undefined;
  readonly next: readonly (readonly [string, string])[];
};

const PATHS_MAX = 8;
const WORDS_LINES_MAX = 16;

export function renderSummary(look: Look, summary: Summary): string[] {
  const { root } = summary;
  const title = cut(clean(root.title), look.columns - 2 - 13, ellipsis(look));
  const first = `${mark(look, markOfTask(root))} ${padEnd(title, look.columns - 2 - widthOf(shortId(root.id)))}${shortId(root.id)}`;
  return [
    first,
    "",
    doneLine(look, summary),
    ...amountLines(look, summary),
    ...wordLines(look, summary),
    ...noticeLines(look, summary),
    ...nextLines(look, summary.next),
  ];
}

function doneLine(look: Look, { root, plan }: Summary): string {
  const of = (state: TaskView["state"]) => plan.filter((task) => task.state === state).length;
  const parts =
    plan.length === 0
      ? [root.state === "completed" ? "done" : root.state]
      : [
          `${of("completed")} of ${counted(plan.length, "task")} done`,
          ...(["failed", "skipped", "cancelled"] as const)
            .filter((state) => of(state) > 0)
            .map((state) => `${of(state)} ${state}`),
        ];
  const degraded = root.degraded ? " (degraded)" : "";
  const end = root.endedAt ?? root.updatedAt;
  const took = span(Date.parse(end) - Date.parse(root.createdAt));
  const left = `  ${parts.join(", ")}${degraded}`;
  return left + padStart(took, look.columns - widthOf(left));
}

const fact = (name: string, value: string): string => `  ${padEnd(name, 10)}${value}`.trimEnd();

function amountLines(look: Look, { root, plan, diff, checks, budgetUsd }: Summary): string[] {
  const { usage } = root;
  const of = budgetUsd === undefined || plan.length > 0 ? "" : ` of ${money(budgetUsd)}`;
  const cost = `${usage.modelCalls === 0 ? "$0.00" : money(usage.costUsd)}${of}`;
  const cached =
    usage.tokensIn > 0 && usage.tokensCached > 0
      ? `, ${Math.round((usage.tokensCached / usage.tokensIn) * 100)} % cached`
      : "";
  const tokens = `${amount(usage.tokensIn)} tokens in${cached}, ${amount(usage.tokensOut)} out`;
  return [
    fact("Cost", `${padEnd(cost, 24)}${tokens}`),
    ...(usage.rehearsed
      ? [`  ${" ".repeat(10)}${paint(look, "yellow", "rehearsal: no model was called")}`]
      : []),
    ...branchLines(look, root, diff),
    ...checkLines(look, checks, diff),
  ];
}

function branchLines(look: Look, root: TaskView, diff: DiffStat | undefined): string[] {
  if (diff === undefined) return [];
  const signs = `+${thousands(diff.insertions)} ${look.ascii ? "-" : "−"}${thousands(diff.deletions)}`;
  const changed = `${counted(diff.commits, "commit")}, ${counted(diff.files, "file")}, ${signs}`;
  const shown = diff.paths.slice(0, PATHS_MAX);
  const width = Math.min(48, Math.max(0, ...shown.map(({ path }) => widthOf(clean(path)))));
  const rest = diff.paths.length - shown.length;
  return [
    fact("Branch", `cadre/${root.id}`),
    fact("Changed", changed),
    ...shown.map(({ path, insertions, deletions }) =>
      fact(
        "",
        `${padEnd(cutMiddle(clean(path), width, ellipsis(look)), width + 2)}${paint(look, "green", `+${insertions}`)} ${paint(look, "red", `${look.ascii ? "-" : "−"}${deletions}`)}`,
      ),
    ),
    ...(rest > 0 ? [fact("", `${ellipsis(look)} ${counted(rest, "file")} more`)] : []),
  ];
}

function checkLines(look: Look, checks: readonly Checked[], diff: DiffStat | undefined): string[] {
  if (checks.length === 0) {
    return diff === undefined || diff.files === 0
      ? []
      : [fact("Checks", "none: no tester ran a command on this change")];
  }
  return checks.map((check, i) => fact(i === 0 ? "Checks" : "", checkText(look, check)));
}

function checkText(look: Look, { command, exitCode, task, title }: Checked): string {
  const symbol = mark(look, exitCode === 0 ? "completed" : "failed");
  const how = exitCode === undefined ? "did not end by itself" : `exit ${exitCode}`;
  const width = look.columns - 14;
  const what = `${cut(clean(command), width - widthOf(how) - 2, ellipsis(look))}: ${how}`;
  const room = width - widthOf(what) - 2;
  // Named as far as there is room; the id always leads to it.
  const where = cut(`${shortId(task)} ${clean(title)}`, Math.max(room, 11), ellipsis(look));
  return room < 11 ? `${symbol} ${what}` : `${symbol} ${what}  ${where}`;
}

/** The root's own last words, or why it failed. */
function wordLines(look: Look, { root }: Summary): string[] {
  const words =
    root.failure === undefined ? (root.result?.text ?? root.reason ?? "") : root.failure.message;
  const lines = reflow(cleanLines(words).trim(), look.columns - 4);
  if (words.trim() === "") return [];
  const shown =
    lines.length <= WORDS_LINES_MAX ? lines : [...lines.slice(0, WORDS_LINES_MAX), ellipsis(look)];
  return ["", ...shown.map((line) => `  ${line}`.trimEnd())];
}

function noticeLines(look: Look, { root, plan }: Summary): string[] {
  const failed = plan.filter((task) => task.failure !== undefined);
  const lines = [
    ...root.notices.map(clean),
    ...failed.map(
      (task) => `${shortId(task.id)} ${clean(task.title)}: ${clean(task.failure?.message ?? "")}`,
    ),
  ];
  if (lines.length === 0) return [];
  return [
    "",
    ...lines.flatMap((line) =>
      wrap(line, look.columns - 4).map((part, i) =>
        i === 0 ? `  ${mark(look, "warning")} ${part}` : `    ${part}`,
      ),
    ),
  ];
}

const thousands = (count: number): string => String(count).replace(/\B(?=(\d{3})+$)/g, ",");
