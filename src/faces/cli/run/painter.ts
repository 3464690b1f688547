// Redraws a frame in place: only when it changed, and never more lines than it drew before.
import type { Terminal } from "../terminal.ts";
import { cleanLines, widthOf } from "../text.ts";

const CLEAR_LINE_END = "\u001b[K";
const CLEAR_BELOW = "\u001b[J";
const up = (lines: number): string => (lines === 0 ? "\r" : `\r\u001b[${lines}A`);

export type Painter = {
  draw(lines: readonly string[]): void;
  /** Takes the frame away, so that what follows starts where it stood. */
  clear(): void;
};

export function framePainter(terminal: Terminal): Painter {
  let shown: readonly string[] = [];

  // A terminal made narrower has wrapped our lines by now: count the rows they really take.
  const height = (): number =>
    shown.reduce((rows, line) => {
      const width = widthOf(cleanLines(line));
      return rows + Math.max(1, Math.ceil(width / Math.max(1, terminal.columns)));
    }, 0);

  return {
    draw(lines) {
      if (lines.length === shown.length && lines.every((line, i) => line === shown[i])) return;
      if (shown.length === 0) terminal.hideCursor();
      const text = lines.map((line) => `${line}${CLEAR_LINE_END}\n`).join("");
      terminal.out(up(shown.length === 0 ? 0 : height()) + text + CLEAR_BELOW);
      shown = lines;
    },
    clear() {
      if (shown.length > 0) terminal.out(up(height()) + CLEAR_BELOW);
      shown = [];
      terminal.showCursor();
    },
  };
}
