// The same for a pipe: one line for each fact, absolute times, whole ids, never cut to a width.
import { iso, type JournalEvent, type Json } from "../../../platform/index.ts";
import type { TaskView } from "../../../tasks/index.ts";
import { factText } from "../views/lists.ts";

/** Events a plain run tells of. Steps are left to `cadre runs show`, but for what tools did. */
const TOLD = new Set([
  "task.created",
  "task.started",
  "task.waiting",
  "task.completed",
  "task.failed",
  "task.cancelled",
  "task.skipped",
  "task.paused",
  "task.resumed",
  "task.requeued",
  "task.retried",
  "task.mended",
]);

export const isTold = (event: JournalEvent): boolean => TOLD.has(event.type);

const isAboutEnd = (event: JournalEvent): boolean =>
  event.type === "task.completed" || event.type === "task.failed";

/** Does the line say more when the task is looked up? */
export const saysMore = (event: JournalEvent): boolean =>
  event.type === "task.started" || isAboutEnd(event);

const pair = (key: string, value: Json | undefined): string[] =>
  value === undefined || value === null || value === "" ? [] : [`${key}=${factText(value)}`];

/** `time id event key=value …` for one event; `task` as it was when the event was heard. */
export function plainLine(event: JournalEvent, task: TaskView | undefined): string {
  const verb = event.type.slice(event.type.indexOf(".") + 1);
  return [iso(event.at), event.task ?? event.root ?? "-", verb, ...facts(event, task)].join(" ");
}

function facts(event: JournalEvent, task: TaskView | undefined): string[] {
  const { data } = event;
  const shared = [
    ...pair("title", data["title"]),
    ...pair("agent", data["agent"] ?? task?.lease?.agent ?? task?.agent),
  ];
  const reason = [...pair("reason", data["reason"] ?? data["why"] ?? data["message"])];
  if (task === undefined || !isAboutEnd(event)) return [...shared, ...reason];
  const took =
    task.startedAt === undefined || task.endedAt === undefined
      ? []
      : [`took=${((Date.parse(task.endedAt) - Date.parse(task.startedAt)) / 1_000).toFixed(1)}s`];
  return [
    ...shared,
    ...took,
    `cost=${task.usage.costUsd === null ? "unpriced" : task.usage.costUsd.toFixed(2)}`,
    ...(task.usage.rehearsed ? ["rehearsal=true"] : []),
    ...(task.degraded ? ["degraded=true"] : []),
    ...(task.failure === undefined
      ? []
      : [...pair("code", task.failure.code), ...pair("message", task.failure.message)]),
  ];
}
