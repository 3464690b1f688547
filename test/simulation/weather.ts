// What one seed's world is like: how many processes, and how often what goes wrong.
import type { Millis } from "../../src/platform/index.ts";
import type { StoreFaults } from "./faults.ts";
import { type LifeFaults, NO_FAULTS } from "./life.ts";
import type { ModelFaults } from "./model.ts";
import { pick, upTo } from "./script.ts";

export type Weather = {
  readonly nodes: number;
  readonly slots: number;
  readonly lostRings: number;
  readonly conflicts: number;
  readonly life: LifeFaults;
  /** Chance to die at one side of one call while a hub starts. */
  readonly startCrash: number;
  readonly store: StoreFaults;
  readonly model: ModelFaults;
};

/** `isParked`: one process, one task at a time, and no fault but death at each step. */
export function weatherOf(
  random: () => number,
  leaseMs: Millis,
  { isParked }: { readonly isParked: boolean },
): Weather {
  const some = (max: number): number => (random() < 0.35 ? 0 : random() * max);
  const weather: Weather = {
    nodes: upTo(random, 2),
    slots: 1 + upTo(random, 4),
    lostRings: some(0.5),
    conflicts: some(0.3),
    life: {
      crash: some(0.012),
      stall: some(0.008),
      stallMsMax: 3 * leaseMs,
      jump: some(0.006),
      jumpMsMax: pick(random, [leaseMs, 20 * leaseMs]),
    },
    startCrash: some(0.3),
    store: { lostBefore: some(0.03), lostAfter: some(0.03) },
    model: { fails: some(0.15), silent: some(0.03) },
  };
  if (!isParked) return weather;
  const store = { lostBefore: 0, lostAfter: 0 };
  return { ...weather, nodes: 0, slots: 1, life: NO_FAULTS, startCrash: 0, store };
}
