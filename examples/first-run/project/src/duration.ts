const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

type Unit = keyof typeof UNITS;

/**
 * The milliseconds of a text such as `250ms`, `90s` or `1h30m`.
 * Throws a RangeError for anything else.
 */
export function parseDuration(text: string): number {
  let total = 0;
  for (const [, amount, unit] of text.trim().matchAll(/(\d+)(d|h|m|s|ms)/g)) {
    total += Number(amount) * UNITS[unit as Unit];
  }
  return total;
}

/** The shortest text that `parseDuration` reads as this many milliseconds. */
export function formatDuration(ms: number): string {
  let rest = ms;
  let text = "";
  for (const unit of ["d", "h", "m", "s", "ms"] as const) {
    const count = Math.floor(rest / UNITS[unit]);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * UNITS[unit];
  }
  return text === "" ? "0ms" : text;
}
