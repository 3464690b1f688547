// How many rows a statement asks for, as a number to be written into its text.

// Usual pages, and one row more to see whether more follows. Few texts, so that each engine's
// statement cache holds them all.
const SIZES = [1, 11, 51, 101, 201, 501, 1_001, 10_001] as const;

/**
 * At least `limit`: the caller cuts off what is too much. A literal, because SQLite looks into a
 * bound LIMIT and prepares the statement anew each time, at several times the cost of running it.
 */
export const pageRows = (limit: number): number => SIZES.find((size) => size >= limit) ?? limit;
