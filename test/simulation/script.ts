// What the scripted agents do: written into each task's instructions, read back by the model.
import type { EffectClass } from "../../src/tasks/index.ts";

export type Script =
  | {
      readonly kind: "work";
      /** Tools called in each turn, in order. */
      readonly turns: readonly (readonly EffectClass[])[];
      readonly end: "finish" | "give_up" | "babble";
    }
  | {
      readonly kind: "plan";
      /** How many plans are no good before the one that is; two are one too many. */
      readonly invalidFirst: number;
      readonly tasks: readonly PlannedScript[];
    };

export type PlannedScript = {
  readonly key: string;
  readonly after: readonly string[];
  readonly onFailure: "fail" | "skip" | "continue";
  readonly script: Script;
};

const MARK = "SCRIPT ";

export const instructionsOf = (script: Script): string => `${MARK}${JSON.stringify(script)}`;

/** Tasks that Cadre itself makes, for conflicts, carry no script. */
const UNSCRIPTED: Script = { kind: "work", turns: [["keyed"]], end: "finish" };

export function scriptIn(text: string): Script {
  const line = text.split("\n").find((it) => it.startsWith(MARK));
  return line === undefined ? UNSCRIPTED : (JSON.parse(line.slice(MARK.length)) as Script);
}

type Chance = () => number;

const EFFECTS = ["pure", "keyed", "queryable", "irreversible"] as const satisfies EffectClass[];

export const pick = <T>(random: Chance, list: readonly T[]): T => {
  const one = list[Math.floor(random() * list.length)];
  if (one === undefined) throw new Error("There is nothing to pick from.");
  return one;
};

export const upTo = (random: Chance, max: number): number => Math.floor(random() * (max + 1));

export function someWork(random: Chance): Script {
  const turns = Array.from({ length: upTo(random, 3) }, () =>
    Array.from({ length: 1 + upTo(random, 2) }, () => pick(random, EFFECTS)),
  );
  const roll = random();
  if (roll < 0.08) return { kind: "work", turns, end: "give_up" };
  return { kind: "work", turns, end: roll < 0.11 ? "babble" : "finish" };
}

export function somePlan(random: Chance): Script {
  const keys = Array.from({ length: 1 + upTo(random, 4) }, (_, index) => `t${index}`);
  const tasks = keys.map((key, index) => ({
    key,
    after: keys.slice(0, index).filter(() => random() < 0.35),
    onFailure: pick(random, ["fail", "skip", "continue"] as const),
    script: someWork(random),
  }));
  const roll = random();
  const invalidFirst = roll < 0.05 ? 2 : Number(roll < 0.2);
  return { kind: "plan", invalidFirst, tasks };
}
