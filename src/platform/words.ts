// The few types every room shares, and the two ways a belief can be stated.

/** A point in time or a length of time, in whole milliseconds. */
export type Millis = number;

export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [key: string]: Json };

export type TaskId = `task_${string}`;
export type RunId = `run_${string}`;
export type NodeId = `node_${string}`;

/** The compile-time proof that a union was exhausted; at run time, a bug. */
export function unreachable(value: never): never {
  throw new Error(`Unreachable case: ${JSON.stringify(value)}`);
}

/** States a belief. When it is wrong the task run, or the process, dies loudly. */
export function assert(belief: unknown, message: string): asserts belief {
  if (!belief) throw new Error(`Broken belief: ${message}`);
}

/** A time as faces show it: RFC 3339, UTC, milliseconds. */
export const iso = (at: Millis): string => new Date(at).toISOString();
