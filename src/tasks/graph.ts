// A graph of tasks as it is handed in: keys resolved, and refused when it could never end.
//
// DESIGN. One relation, "waits for": a task waits for what stands in its `after`, and a parent for
// its children (it may park until they have ended). A cycle in it is a wait without end. The walk
// is iterative, since a chain may be as long as the graph is large.
import { CadreError, nearest } from "../platform/index.ts";

export type GraphNode = {
  readonly key: string;
  readonly after: readonly string[];
  readonly parent?: string | undefined;
};

/** Where a task of the graph points: another one of it, by index, or a task that exists. */
export type Target =
  | { readonly kind: "inside"; readonly index: number }
  | { readonly kind: "outside"; readonly id: string };

export type ResolvedNode = {
  readonly after: readonly Target[];
  readonly parent: Target | undefined;
};

/** Resolves keys. Throws `not_found` for an unknown one, `invalid_input` for a doubled one. */
export function resolveGraph(nodes: readonly GraphNode[]): ResolvedNode[] {
  const indexes = new Map<string, number>();
  for (const [index, node] of nodes.entries()) {
    if (indexes.has(node.key)) {
      throw new CadreError(
        "invalid_input",
        `Two tasks of the graph have the key "${node.key}". Give each its own.`,
      );
    }
    indexes.set(node.key, index);
  }
  const resolve = (from: GraphNode, name: string, what: string): Target => {
    const index = indexes.get(name);
    if (index !== undefined) return { kind: "inside", index };
    if (/^task_[0-9a-z]{1,40}$/.test(name)) return { kind: "outside", id: name };
    throw unknownName(from.key, name, what, [...indexes.keys()]);
  };
  return nodes.map((node) => ({
    after: [...new Set(node.after)].map((name) => resolve(node, name, "dependency")),
    parent: node.parent === undefined ? undefined : resolve(node, node.parent, "parent"),
  }));
}

function unknownName(
  key: string,
  name: string,
  what: string,
  known: readonly string[],
): CadreError {
  const near = nearest(
    name,
    known.filter((other) => other !== key),
  );
  const hint =
    near === undefined
      ? `A ${what} is a key of the same graph or the id of a task.`
      : `Did you mean "${near}"?`;
  const of = key === "" ? "" : ` of "${key}"`;
  return new CadreError("not_found", `There is no ${what} "${name}"${of}. ${hint}`, {
    details: { name, ...(near === undefined ? {} : { nearest: near }) },
  });
}

/** Indexes each task waits for. */
export function waitsFor(resolved: readonly ResolvedNode[]): number[][] {
  const waits = resolved.map((node) => inside(node.after));
  for (const [child, node] of resolved.entries()) {
    if (node.parent?.kind === "inside") waits[node.parent.index]?.push(child);
  }
  return waits;
}

const inside = (targets: readonly Target[]): number[] =>
  targets.flatMap((target) => (target.kind === "inside" ? [target.index] : []));

/** The first cycle found, as indexes in the order of waiting; undefined when there is none. */
export function findCycle(waits: readonly (readonly number[])[]): number[] | undefined {
  const NEW = 0;
  const OPEN = 1;
  const DONE = 2;
  const marks = new Uint8Array(waits.length);
  const cursor = new Uint32Array(waits.length);
  for (let start = 0; start < waits.length; start++) {
    if (marks[start] !== NEW) continue;
    const path = [start];
    marks[start] = OPEN;
    for (let at = path.at(-1); at !== undefined; at = path.at(-1)) {
      const position = cursor[at] ?? 0;
      const next = waits[at]?.[position];
      if (next === undefined) {
        marks[at] = DONE;
        path.pop();
        continue;
      }
      cursor[at] = position + 1;
      if (marks[next] === OPEN) return path.slice(path.indexOf(next));
      if (marks[next] === NEW) {
        marks[next] = OPEN;
        path.push(next);
      }
    }
  }
  return undefined;
}

const CYCLE_NAMES_MAX = 12;

/** Refuses a graph that waits for itself, with the cycle named. */
export function refuseCycle(
  nodes: readonly GraphNode[],
  waits: readonly (readonly number[])[],
): void {
  const cycle = findCycle(waits);
  if (cycle === undefined) return;
  const keys = cycle.map((index) => nodes[index]?.key ?? "");
  const shown =
    keys.length <= CYCLE_NAMES_MAX ? keys : [...keys.slice(0, CYCLE_NAMES_MAX - 1), "…"];
  throw new CadreError(
    "invalid_input",
    `The graph has a cycle: ${[...shown, keys[0]].join(" → ")}, each waiting for the next. Remove one of these dependencies.`,
    { details: { cycle: keys.slice(0, 1_000) } },
  );
}

/** Everything that can be reached from these, themselves included. */
export function reachable(
  waits: readonly (readonly number[])[],
  from: readonly number[],
): Set<number> {
  const seen = new Set(from);
  const stack = [...seen];
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    for (const next of waits[at] ?? []) {
      if (seen.has(next)) continue;
      seen.add(next);
      stack.push(next);
    }
  }
  return seen;
}

/** Parents before their children. The graph has no cycle. */
export function parentsFirst(resolved: readonly ResolvedNode[]): number[] {
  const order: number[] = [];
  const placed = new Uint8Array(resolved.length);
  for (let start = 0; start < resolved.length; start++) {
    const path: number[] = [];
    for (let at: number | undefined = start; at !== undefined && placed[at] === 0; ) {
      path.push(at);
      placed[at] = 1;
      const parent: Target | undefined = resolved[at]?.parent;
      at = parent?.kind === "inside" ? parent.index : undefined;
    }
    order.push(...path.reverse());
  }
  return order;
}
