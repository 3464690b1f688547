// How things look: symbols, colours, widths, amounts. One table, so that every view agrees.
import type { Millis, World } from "../../platform/index.ts";
import type { TaskView } from "../../tasks/index.ts";

export type Look = {
  /** Cells of a line; at least 40. */
  readonly columns: number;
  readonly ascii: boolean;
  readonly color: boolean;
  /** False: the symbol of a moving line stands still. */
  readonly motion: boolean;
  /** A time of day for live views, in the person's own time zone. */
  timeOfDay(at: Millis): string;
};

export type Tone = "green" | "red" | "yellow" | "blue" | "cyan" | "magenta" | "dim" | "bold";

// The sixteen colours of the terminal's own theme, no shades of ours.
const CODES: Readonly<Record<Tone, number>> = {
  bold: 1,
  dim: 2,
  red: 31,
  green: 32,
  yellow: 33,
  blue: 34,
  magenta: 35,
  cyan: 36,
};

export const paint = (look: Pick<Look, "color">, tone: Tone, text: string): string =>
  look.color && text !== "" ? `\u001b[${CODES[tone]}m${text}\u001b[0m` : text;

type Mark = { readonly symbol: string; readonly ascii: string; readonly tone: Tone };

const MARKS = {
  created: { symbol: "◌", ascii: ".", tone: "dim" },
  queued: { symbol: "○", ascii: "o", tone: "dim" },
  assigned: { symbol: "◔", ascii: ">", tone: "cyan" },
  executing: { symbol: "◐", ascii: "*", tone: "blue" },
  reviewing: { symbol: "◉", ascii: "@", tone: "magenta" },
  waiting: { symbol: "⧗", ascii: "w", tone: "yellow" },
  paused: { symbol: "‖", ascii: "p", tone: "yellow" },
  completed: { symbol: "✓", ascii: "+", tone: "green" },
  degraded: { symbol: "◑", ascii: "%", tone: "yellow" },
  failed: { symbol: "✗", ascii: "x", tone: "red" },
  cancelled: { symbol: "⊘", ascii: "-", tone: "dim" },
  skipped: { symbol: "⊘", ascii: "-", tone: "dim" },
  unknown: { symbol: "?", ascii: "?", tone: "magenta" },
  warning: { symbol: "!", ascii: "!", tone: "yellow" },
  next: { symbol: "→", ascii: "->", tone: "dim" },
  told: { symbol: "↩", ascii: "<", tone: "dim" },
  idle: { symbol: "·", ascii: "-", tone: "dim" },
} as const satisfies Record<string, Mark>;

export type MarkName = keyof typeof MARKS;

export function mark(look: Pick<Look, "ascii" | "color">, name: MarkName): string {
  const { symbol, ascii, tone } = MARKS[name];
  return paint(look, tone, look.ascii ? ascii : symbol);
}

export const ellipsis = (look: Pick<Look, "ascii">): string => (look.ascii ? "..." : "…");
export const dot = (look: Pick<Look, "ascii">): string => (look.ascii ? " - " : " · ");

/** What stands for a task: its state, unless something about it matters more. */
export function markOfTask(task: Pick<TaskView, "state" | "paused" | "degraded">): MarkName {
  if (task.paused) return "paused";
  if (task.state === "completed" && task.degraded) return "degraded";
  return task.state;
}

// ---- Ids and amounts ----------------------------------------------------------------------

/** Short enough for a column, and accepted wherever an id is. */
export const SHORT_ID_CHARACTERS = 6;

export function shortId(id: string): string {
  const cutAt = id.indexOf("_") + 1;
  const rest = id.slice(cutAt);
  return id.slice(0, cutAt) + rest.slice(-SHORT_ID_CHARACTERS);
}

/** `41 s`, `2 min 40 s`, `58 min`, `3 h 5 min`, `2 d 4 h`. */
export function span(ms: Millis): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return joined(`${minutes} min`, seconds % 60, "s");
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return joined(`${hours} h`, minutes % 60, "min");
  return joined(`${Math.floor(hours / 24)} d`, hours % 24, "h");
}

const joined = (head: string, rest: number, unit: string): string =>
  rest === 0 ? head : `${head} ${rest} ${unit}`;

/** `40s`, `5m`, `3h`, `2d`: for a narrow column. */
export function age(ms: Millis): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}

/** Null is "unpriced", never $0. */
export const money = (costUsd: number | null): string =>
  costUsd === null ? "unpriced" : `$${costUsd.toFixed(2)}`;

/** `0`, `950`, `212 k`, `4.1 M`. */
export function amount(count: number): string {
  if (count < 1_000) return String(count);
  if (count < 1_000_000) return `${Math.round(count / 1_000)} k`;
  return `${(count / 1_000_000).toFixed(1)} M`;
}

/** `1 task`, `2 tasks`. */
export const counted = (count: number, noun: string): string =>
  `${count} ${noun}${count === 1 ? "" : "s"}`;

/** T5. What nobody offers, of a task's `unroutable`: capabilities, `agent:coder`, `label:gpu=yes`. */
export function lackText(missing: readonly string[]): string {
  const parts = missing.map((one) => {
    if (one === "agent:any") return "any agent at all";
    return one.includes(":") ? one.replace(":", " ") : `capability ${one}`;
  });
  return `no node offers ${parts.join(", ")}`;
}

// ---- What the terminal can do -------------------------------------------------------------

export type LookWishes = { readonly noColor: boolean };

/** Section 8 of the design: colour on terminals only, ASCII where the locale isn't UTF-8. */
export function lookOf(
  terminal: { readonly isInteractive: boolean; readonly columns: number },
  env: World["env"],
  wishes: LookWishes,
): Look {
  const isDumb = env("TERM") === "dumb";
  const refused = wishes.noColor || env("NO_COLOR") !== undefined || isDumb;
  const forced = env("FORCE_COLOR") !== undefined && env("FORCE_COLOR") !== "0";
  const locale = env("LC_ALL") ?? env("LC_CTYPE") ?? env("LANG") ?? "";
  return {
    columns: Math.max(40, terminal.columns),
    color: !refused && (terminal.isInteractive || forced),
    ascii: isDumb || env("CADRE_ASCII") !== undefined || !/utf-?8/i.test(locale),
    motion: env("CADRE_MOTION") !== "none",
    timeOfDay: (at) => new Date(at).toTimeString().slice(0, 8),
  };
}
