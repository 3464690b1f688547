// The world outside: it counts what was done to it, whoever asked and however often.
import { z } from "zod";
import type { EffectClass } from "../../src/tasks/index.ts";
import {
  defineTool,
  type MergeOutcome,
  type Tool,
  type Workspaces,
} from "../../src/tools/index.ts";
import type { Life } from "./life.ts";

export class Ledger {
  /** How often each effect was applied, by what it is: class, run and call. */
  readonly applied = new Map<string, number>();
  /** Tasks whose work is in the common branch. */
  readonly merged = new Set<string>();
  /** Tasks whose work conflicts until somebody resolves it. */
  readonly conflicting = new Set<string>();
  /** Tasks that have a work tree, by the machine it is on. */
  readonly #trees = new Map<string, Set<string>>();

  treesOn(machine: string): Set<string> {
    const known = this.#trees.get(machine);
    if (known !== undefined) return known;
    const trees = new Set<string>();
    this.#trees.set(machine, trees);
    return trees;
  }

  apply(effect: EffectClass, identity: string): void {
    const key = `${effect} ${identity}`;
    this.applied.set(key, (this.applied.get(key) ?? 0) + 1);
  }

  has(effect: EffectClass, identity: string): boolean {
    return this.applied.has(`${effect} ${identity}`);
  }
}

const EFFECT_MS_MAX = 6_000;

/** One tool of each class, each doing to the ledger what its class may do to the world. */
export function ledgerTools(ledger: Ledger, life: Life, random: () => number): readonly Tool[] {
  const classes: readonly EffectClass[] = ["pure", "keyed", "queryable", "irreversible"];
  return classes.map((effect) =>
    defineTool({
      name: effect,
      description: `Has an effect of the class ${effect}.`,
      input: z.strictObject({ turn: z.int(), index: z.int() }),
      kind: "internal",
      effect,
      timeoutMs: 600_000,
      async run({ run, isRepeat, signal }, { turn, index }) {
        const identity = `${run} ${turn}.${index}`;
        if (isRepeat && effect === "irreversible") {
          return { kind: "unknown", text: "Nobody knows whether it happened." };
        }
        await life.atOnce(`the effect ${effect}`, () => {
          // Only a repetition asks first: whoever believes it is the first one just does it.
          if (effect === "queryable" && isRepeat && ledger.has(effect, identity)) return;
          ledger.apply(effect, identity);
        });
        // Long enough to outlive a lease, or to be stopped half way.
        await life.sleep(random() * EFFECT_MS_MAX, signal);
        return { kind: "done", text: `${effect} ${turn}.${index}` };
      },
    }),
  );
}

/** Work trees without files: what is merged, and what conflicts. */
export function ledgerWorkspaces(
  ledger: Ledger,
  life: Life,
  random: () => number,
  conflicts: number,
): Workspaces {
  const trees = ledger.treesOn(life.machine);
  const takeAway = async (tasks: readonly { readonly task: string }[]) => {
    for (const { task } of tasks) trees.delete(task);
  };
  return {
    open: ({ task, policy }) =>
      life.through("a workspace", async () => ({
        path: treeOf(task, policy.kind),
        readable: [],
        commit: () =>
          life.through("a commit", async () =>
            policy.kind === "none"
              ? undefined
              : { branch: `cadre/${task}`, commit: "c", files: 1, insertions: 1, deletions: 0 },
          ),
        merge: () => life.through("a merge", async () => mergeOf(task)),
        beginResolution: () =>
          life.through("a resolution", async () => {
            ledger.conflicting.delete(task);
            return ["a.ts"];
          }),
      })),
    reset: (task) => life.through("a reset", () => takeAway([task])),
    collect: (ended) => life.through("a collection", () => takeAway(ended)),
    list: () => life.through("a look at the work trees", async () => [...trees]),
  };

  function treeOf(task: string, kind: string): string | null {
    if (kind === "none") return null;
    trees.add(task);
    return `/sim/${task}`;
  }

  function mergeOf(task: string): MergeOutcome {
    if (ledger.merged.has(task)) return { kind: "nothing" };
    if (random() < conflicts) ledger.conflicting.add(task);
    if (ledger.conflicting.has(task)) return { kind: "conflict", files: ["a.ts"] };
    ledger.merged.add(task);
    return { kind: "merged", commit: "m" };
  }
}
