import { formatDuration, parseDuration } from "./duration.ts";
import type { Limit } from "./quota.ts";

/** Reads a limit such as `100 per 1m30s`. Throws a RangeError for anything else. */
export function parseLimit(text: string): Limit {
  const match = /^\s*(\d+)\s+per\s+(\S+)\s*$/.exec(text);
  if (match === null) throw new RangeError(`"${text}" is no limit such as 100 per 1m30s.`);
  return { count: Number(match[1]), windowMs: parseDuration(match[2] ?? "") };
}

export function formatLimit({ count, windowMs }: Limit): string {
  return `${count} per ${formatDuration(windowMs)}`;
}
