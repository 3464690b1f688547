// A unified diff of two texts, for people to read: one hunk around all that changed.

const CONTEXT_LINES = 3;
export const DIFF_BYTES_MAX = 16 * 1024;

/**
 * The lines between the common beginning and the common end, old ones and then new ones: a valid
 * diff, not the shortest. Empty when nothing changed; cut with a note when it is very long.
 */
export function unifiedDiff(path: string, before: string, after: string): string {
  if (before === after) return "";
  const old = linesOf(before);
  const now = linesOf(after);
  let start = 0;
  while (start < old.length && start < now.length && old[start] === now[start]) start += 1;
  let end = 0;
  const most = Math.min(old.length, now.length) - start;
  while (end < most && old[old.length - 1 - end] === now[now.length - 1 - end]) end += 1;
  const from = Math.max(0, start - CONTEXT_LINES);
  const oldTo = Math.min(old.length, old.length - end + CONTEXT_LINES);
  const nowTo = Math.min(now.length, now.length - end + CONTEXT_LINES);
  const text = [
    `--- ${before === "" ? "/dev/null" : `a/${path}`}`,
    `+++ b/${path}`,
    `@@ -${range(from, oldTo)} +${range(from, nowTo)} @@`,
    ...old.slice(from, start).map((line) => ` ${line}`),
    ...old.slice(start, old.length - end).map((line) => `-${line}`),
    ...now.slice(start, now.length - end).map((line) => `+${line}`),
    ...old.slice(old.length - end, oldTo).map((line) => ` ${line}`),
  ].join("\n");
  if (text.length <= DIFF_BYTES_MAX) return `${text}\n`;
  const whole = text.slice(0, DIFF_BYTES_MAX).replace(/\n[^\n]*$/, "");
  return `${whole}\n[... ${text.length - whole.length} characters of the diff left out ...]\n`;
}

/** Lines with a mark on the last when no line break ends it, as diff has it. */
function linesOf(text: string): string[] {
  if (text === "") return [];
  const lines = text.split("\n");
  const last = lines.pop() ?? "";
  return last === "" ? lines : [...lines, `${last}\n\\ No newline at end of file`];
}

/** diff counts from 1, but names the line before an empty range. */
const range = (from: number, to: number): string =>
  to === from ? `${from},0` : `${from + 1},${to - from}`;
