// Which paths a glob pattern means: `*`, `?`, `[a-z]`, `{a,b}`, `**` for folders of any depth.
//
// DESIGN. Patterns come from models, so no pattern may be slow: braces are spread out first, within
// a bound, and the rest is matched by filling a table of (part of the pattern, part of the path),
// never by trying again. The time is the product of the two lengths.

const ALTERNATIVES_MAX = 256;

export type PathMatcher = (path: string) => boolean;

/** A pattern without a slash means a name in any folder. Undefined when braces spread too far. */
export function globMatcher(pattern: string): PathMatcher | undefined {
  const spread = spreadBraces(pattern.replace(/^\.\//, ""));
  if (spread === undefined) return undefined;
  const alternatives = spread.map((it) => (it.includes("/") ? it : `**/${it}`).split("/"));
  return (path) => {
    const names = path.split("/");
    return alternatives.some((parts) => matchesAll(parts, names, ofNames));
  };
}

function spreadBraces(pattern: string): string[] | undefined {
  const ready: string[] = [];
  const open = [pattern];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const found = innermostBraces(next);
    if (found === undefined) ready.push(next);
    else open.push(...found);
    if (ready.length + open.length > ALTERNATIVES_MAX) return undefined;
  }
  return ready;
}

function innermostBraces(pattern: string): string[] | undefined {
  const close = pattern.indexOf("}");
  const start = close === -1 ? -1 : pattern.lastIndexOf("{", close);
  if (start === -1) return undefined;
  const [before, after] = [pattern.slice(0, start), pattern.slice(close + 1)];
  return pattern
    .slice(start + 1, close)
    .split(",")
    .map((one) => before + one + after);
}

type Grammar<T> = {
  /** The part that stands for any number of items. */
  readonly many: string;
  matches(part: string, item: T): boolean;
};

const ofNames: Grammar<string> = {
  many: "**",
  matches: (part, name) => matchesAll(tokensOf(part), [...name], ofLetters),
};

const ofLetters: Grammar<string> = {
  many: "*",
  matches: (token, letter) => {
    if (token === "?") return true;
    return token.length > 1 && token.startsWith("[") ? isInClass(token, letter) : token === letter;
  },
};

/** Fills the table row by row: reached[i] says whether the parts so far can end before item i. */
function matchesAll<T>(
  parts: readonly string[],
  items: readonly T[],
  grammar: Grammar<T>,
): boolean {
  let reached = [true, ...items.map(() => false)];
  for (const part of parts) {
    const next = reached.map(() => false);
    const isMany = part === grammar.many;
    if (isMany) next[0] = reached[0] === true;
    for (const [index, item] of items.entries()) {
      next[index + 1] = isMany
        ? reached[index + 1] === true || next[index] === true
        : reached[index] === true && grammar.matches(part, item);
    }
    reached = next;
  }
  return reached[items.length] === true;
}

function tokensOf(part: string): string[] {
  return part.match(/\[[!^]?\]?[^\]]*\]|./gsu) ?? [];
}

function isInClass(token: string, letter: string): boolean {
  const isNegated = token[1] === "!" || token[1] === "^";
  const letters = [...token.slice(isNegated ? 2 : 1, -1)];
  let isIn = false;
  for (let at = 0; at < letters.length; at++) {
    const first = letters[at] ?? "";
    const isRange = letters[at + 1] === "-" && at + 2 < letters.length;
    const last = isRange ? (letters[at + 2] ?? "") : first;
    if (isRange) at += 2;
    if (letter >= first && letter <= last) isIn = true;
  }
  return isIn !== isNegated;
}
