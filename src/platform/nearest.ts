// The name somebody probably meant.

const NAME_CHARS_MAX = 64;

/**
 * The candidate closest to a mistyped name, undefined when none is close. Letter case, dashes and
 * underscores don't count; among equals the first wins.
 */
export function nearest(name: string, candidates: Iterable<string>): string | undefined {
  const wanted = plain(name);
  let best: string | undefined;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const other = plain(candidate);
    const distance = editDistance(wanted, other);
    if (distance < bestDistance && isClose(distance, wanted, other)) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

const plain = (name: string): string =>
  name.slice(0, NAME_CHARS_MAX).toLowerCase().replace(/[-_]/g, "");

// A third of the letters may be wrong, but never all of the shorter name.
function isClose(distance: number, a: string, b: string): boolean {
  return (
    distance <= Math.ceil(Math.max(a.length, b.length) / 3) &&
    distance < Math.max(1, Math.min(a.length, b.length))
  );
}

/** Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b`. */
function editDistance(a: string, b: string): number {
  let older: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let least = Math.min((previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1, substitution);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, (older[j - 2] ?? 0) + 1);
      }
      current.push(least);
    }
    older = previous;
    previous = current;
  }
  return previous[b.length] ?? 0;
}
