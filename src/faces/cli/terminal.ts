// The terminal port: where answers, notes and keys go and come from.

/** `closed`: whoever read our output is gone (`cadre events | head`). */
export type Interrupt = "SIGINT" | "SIGTERM" | "SIGHUP" | "closed";

export interface Terminal {
  /** True when answers are seen by a person: frames may be redrawn. */
  readonly isInteractive: boolean;
  readonly columns: number;
  readonly rows: number;
  /** The answer. */
  out(text: string): void;
  /** Everything else: progress, notes, errors. */
  err(text: string): void;
  /** Hears single keys until the returned function is called. Silent where there is no keyboard. */
  onKey(listener: (key: string) => void): () => void;
  onResize(listener: () => void): () => void;
  /** Hears Ctrl C and the polite signals; while nobody listens they end the process as usual. */
  onInterrupt(listener: (interrupt: Interrupt) => void): () => void;
  /** Puts the cursor away for redrawn frames; it comes back at the end, also after a crash. */
  hideCursor(): void;
  showCursor(): void;
}

const HIDE = "\u001b[?25l";
const SHOW = "\u001b[?25h";
const CTRL_C = "\u0003";
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** The terminal of this process. */
export function processTerminal(): Terminal {
  const { stdin, stdout, stderr } = process;
  const interrupted = new Set<(interrupt: Interrupt) => void>();
  const keyed = new Set<(key: string) => void>();
  let isClosed = false;
  let isHidden = false;

  const tell = (interrupt: Interrupt) => {
    for (const listener of interrupted) listener(interrupt);
  };
  const onSignal = (signal: NodeJS.Signals) => tell(signal as Interrupt);
  const onInput = (chunk: Buffer) => {
    const key = chunk.toString("utf8");
    // In raw mode the terminal driver no longer makes a signal of it.
    if (key === CTRL_C) tell("SIGINT");
    else for (const listener of keyed) listener(key);
  };
  const showCursor = () => {
    if (!isHidden) return;
    isHidden = false;
    stdout.write(SHOW);
  };

  const onBrokenPipe = (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    if (isClosed) return;
    isClosed = true;
    if (interrupted.size === 0) process.exit();
    tell("closed");
  };
  stdout.on("error", onBrokenPipe);
  stderr.on("error", onBrokenPipe);
  // Also runs after a crash: the person's terminal must stay usable.
  process.on("exit", () => {
    showCursor();
    if (stdin.isTTY && stdin.isRaw) stdin.setRawMode(false);
  });

  return {
    isInteractive: stdout.isTTY === true,
    get columns() {
      return stdout.columns ?? 80;
    },
    get rows() {
      return stdout.rows ?? 24;
    },
    out(text) {
      if (!isClosed) stdout.write(text);
    },
    err(text) {
      if (!isClosed) stderr.write(text);
    },
    onKey(listener) {
      if (!stdin.isTTY) return () => undefined;
      keyed.add(listener);
      if (keyed.size === 1) {
        stdin.setRawMode(true);
        stdin.on("data", onInput);
        stdin.resume();
      }
      return () => {
        if (!keyed.delete(listener) || keyed.size > 0) return;
        stdin.off("data", onInput);
        stdin.setRawMode(false);
        stdin.pause();
      };
    },
    onResize(listener) {
      stdout.on("resize", listener);
      return () => stdout.off("resize", listener);
    },
    onInterrupt(listener) {
      interrupted.add(listener);
      if (interrupted.size === 1) for (const signal of SIGNALS) process.on(signal, onSignal);
      return () => {
        if (!interrupted.delete(listener) || interrupted.size > 0) return;
        for (const signal of SIGNALS) process.off(signal, onSignal);
      };
    },
    hideCursor() {
      if (isHidden || isClosed) return;
      isHidden = true;
      stdout.write(HIDE);
    },
    showCursor,
  };
}
