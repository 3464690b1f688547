// What a transcript is: the steps of a run in order, each with its time.
import type { Json, Millis } from "../../platform/index.ts";
import type { Step, ToolCallView } from "../../tasks/index.ts";

/** A step with the time it was made. Its index is its place in the array. */
export type Entry = { readonly at: Millis; readonly step: Step };
export type Transcript = readonly Entry[];

export type Answer = Extract<Step, { kind: "model_answered" }>;

/**
 * Who speaks in a `told` step. The first four are heard by the model before it goes on; the last
 * two tell how a finished answer is being merged, which is no business of the model any more.
 */
export const TELLERS = {
  dependencies: "dependencies",
  children: "children",
  loop: "cadre",
  workspace: "workspace",
  conflict: "conflict",
  resolution: "resolution",
} as const;

export const UNHEARD: ReadonlySet<string> = new Set([TELLERS.conflict, TELLERS.resolution]);

/** A provider may use a call's id twice; in a run each is used once. `known`: those it has used. */
export function withUniqueIds(
  calls: readonly ToolCallView[],
  known: ReadonlySet<string>,
): ToolCallView[] {
  const used = new Set<string>();
  const isUsed = (id: string) => known.has(id) || used.has(id);
  return calls.map((call) => {
    let id = call.id;
    for (let n = 2; isUsed(id); n++) id = `${call.id}_${n}`;
    used.add(id);
    return { ...call, id };
  });
}

/** The object a call's arguments are, or undefined when they are no JSON. */
export function parsedArguments(text: string): Json | undefined {
  try {
    return JSON.parse(text.trim() === "" ? "{}" : text) as Json;
  } catch {
    // What the model wrote is no JSON: the caller tells it so.
    return undefined;
  }
}
