// Ids one can read in a log: `task_01k9rzv3m4x7p2qa`.
//
// DESIGN. 80 bits in Crockford's base 32: 45 bits of milliseconds, then 35 of chance, so that ids
// sort by the time they were made and an index grows at its right edge. Within one millisecond, or
// when the clock jumps back, the number before is counted up instead: a process never repeats one.
import type { World } from "./world.ts";

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const CHANCE_MAX = 2 ** 35;

export type NewId = <K extends string>(kind: K) => `${K}_${string}`;

/** A maker of ids for one process. */
export function idMaker(world: Pick<World, "clock" | "random">): NewId {
  let atMs = 0;
  let chance = 0;

  return (kind) => {
    const nowMs = world.clock.now();
    if (nowMs > atMs) {
      atMs = nowMs;
      // Half the range stays free above the start, so that counting up has room.
      chance = Math.floor((world.random() * CHANCE_MAX) / 2);
    } else {
      chance += 1;
    }
    return `${kind}_${base32(atMs, 9)}${base32(chance, 7)}`;
  };
}

function base32(value: number, width: number): string {
  let text = "";
  let rest = value;
  for (let i = 0; i < width; i++) {
    text = ALPHABET.charAt(rest % 32) + text;
    rest = Math.floor(rest / 32);
  }
  return text;
}
