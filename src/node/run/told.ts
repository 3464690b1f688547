// What a run is told of other tasks: how each ended, in words a model can use.
import type { TaskView } from "../../tasks/index.ts";

type Ended = Pick<
  TaskView,
  "id" | "title" | "state" | "agent" | "result" | "failure" | "reason" | "degraded" | "notices"
>;

/** All accounts together stay well below what one step may hold, and what a model can use. */
const ACCOUNTS_LENGTH_MAX = 60_000;
const ACCOUNT_LENGTH_MIN = 160;

export const childrenTold = (tasks: readonly Ended[]): string =>
  `The tasks you asked for have ended.\n\n${accounts(tasks)}`;

export const dependenciesTold = (tasks: readonly Ended[]): string =>
  `What the tasks this one builds on came to:\n\n${accounts(tasks)}`;

function accounts(tasks: readonly Ended[]): string {
  const lengthMax = Math.max(
    ACCOUNT_LENGTH_MIN,
    Math.floor(ACCOUNTS_LENGTH_MAX / Math.max(1, tasks.length)),
  );
  return tasks.map((task) => account(task, lengthMax)).join("\n\n");
}

function account(task: Ended, lengthMax: number): string {
  const by = task.agent === undefined ? "" : `, by ${task.agent}`;
  const lines = [`## [${task.state}] ${task.title} (${task.id}${by})`];
  const text = whatCame(task);
  if (text !== "") lines.push(shortened(text, lengthMax));
  const change = task.result?.change;
  if (change?.commit !== undefined) {
    const { files, insertions, deletions, branch } = change;
    lines.push(`Changed ${files} files (+${insertions} -${deletions}) on ${branch}.`);
  }
  if (task.degraded) lines.push(`Incomplete: ${shortened(task.notices.join(" "), lengthMax)}`);
  return lines.join("\n");
}

function whatCame(task: Ended): string {
  if (task.result !== undefined) return task.result.text;
  if (task.failure !== undefined) return `${task.failure.code}: ${task.failure.message}`;
  return task.reason ?? "";
}

/** Head and tail, for what matters most often stands at either end. */
export function shortened(text: string, lengthMax: number): string {
  if (text.length <= lengthMax) return text;
  const head = Math.ceil(lengthMax * 0.7);
  const tail = lengthMax - head;
  const left = text.length - head - tail;
  return `${text.slice(0, head)}\n[... ${left} characters left out ...]\n${text.slice(text.length - tail)}`;
}

const FILES_NAMED_MAX = 50;

const fileList = (files: readonly string[]): string => {
  const named = files.slice(0, FILES_NAMED_MAX).map((file) => `- ${file}`);
  const more = files.length - named.length;
  return [...named, ...(more > 0 ? [`- and ${more} more`] : [])].join("\n");
};

/** To the agent that is to resolve a conflict, whose marks stand in its work tree. */
export function resolutionTold(files: readonly string[]): string {
  if (files.length === 0) {
    return "The other side has been merged into your work tree without a conflict. Check that the whole still works, then finish.";
  }
  return `The other side has been merged into your work tree. These files carry conflict marks:\n${fileList(files)}\nResolve each so that the intent of both sides is kept, check that the whole works, then finish.`;
}

export const conflictTold = (files: readonly string[]): string =>
  `The work could not be merged; these files conflict with the work of others:\n${fileList(files)}`;

export function conflictTitle(title: string, files: readonly string[]): string {
  const named = files.slice(0, 3).join(", ");
  const more = files.length > 3 ? ` and ${files.length - 3} more files` : "";
  return shortenedLine(
    `Resolve the conflict between "${shortenedLine(title, 200)}" and the work of others in ${named}${more}`,
    480,
  );
}

const shortenedLine = (text: string, lengthMax: number): string =>
  text.length <= lengthMax ? text : `${text.slice(0, lengthMax - 1)}…`;

export const conflictInstructions = (title: string, files: readonly string[]): string =>
  [
    `The work of "${title}" is done, but merging it into the common branch conflicts in:`,
    fileList(files),
    "Your work tree is that of the task, with the common branch merged in and conflict marks where both changed the same lines. Keep the intent of both sides. Do nothing else.",
  ].join("\n\n");
