// A terminal that remembers what it was told, and whose keys a test presses.
import type { Interrupt, Terminal } from "./terminal.ts";

export type RecordingTerminal = Terminal & {
  /** All that was written to stdout, and to stderr. */
  readonly stdout: string;
  readonly stderr: string;
  press(key: string): void;
  interrupt(kind: Interrupt): void;
  /** Resolves as soon as stdout holds the text. */
  shows(text: string): Promise<void>;
  readonly isCursorHidden: boolean;
};

export function recordingTerminal(
  options: { readonly isInteractive?: boolean; readonly columns?: number } = {},
): RecordingTerminal {
  const keys = new Set<(key: string) => void>();
  const interrupts = new Set<(interrupt: Interrupt) => void>();
  let waiting: { readonly text: string; readonly found: () => void }[] = [];
  let stdout = "";
  let stderr = "";
  let isCursorHidden = false;

  const look = () => {
    for (const { text, found } of waiting) if (stdout.includes(text)) found();
    waiting = waiting.filter(({ text }) => !stdout.includes(text));
  };

  return {
    isInteractive: options.isInteractive ?? false,
    columns: options.columns ?? 80,
    rows: 24,
    get stdout() {
      return stdout;
    },
    get stderr() {
      return stderr;
    },
    get isCursorHidden() {
      return isCursorHidden;
    },
    out(text) {
      stdout += text;
      look();
    },
    err(text) {
      stderr += text;
    },
    onKey(listener) {
      keys.add(listener);
      return () => keys.delete(listener);
    },
    onResize: () => () => undefined,
    onInterrupt(listener) {
      interrupts.add(listener);
      return () => interrupts.delete(listener);
    },
    hideCursor() {
      isCursorHidden = true;
    },
    showCursor() {
      isCursorHidden = false;
    },
    press(key) {
      for (const listener of keys) listener(key);
    },
    interrupt(kind) {
      for (const listener of interrupts) listener(kind);
    },
    shows(text) {
      return new Promise((resolve) => {
        waiting.push({ text, found: resolve });
        look();
      });
    },
  };
}
