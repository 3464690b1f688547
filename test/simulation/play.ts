// One seed played to its end, whatever the end is: what threads send each other.
import { Broken } from "./invariants.ts";
import type { Report } from "./simulate.ts";

export type Played =
  | { readonly kind: "kept"; readonly seed: number; readonly report: Report }
  | {
      readonly kind: "broken";
      readonly seed: number;
      /** The promise and by what it was broken, or the error that ended the simulation. */
      readonly what: string;
      /** The last things that happened. */
      readonly history: readonly string[];
    };

export async function play(
  seed: number,
  simulate: (seed: number) => Promise<Report>,
): Promise<Played> {
  try {
    return { kind: "kept", seed, report: await simulate(seed) };
  } catch (error) {
    if (error instanceof Broken) {
      return { kind: "broken", seed, what: error.message, history: error.history };
    }
    const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { kind: "broken", seed, what, history: [] };
  }
}
