// Creates tasks: one, a graph of them, or the children of a claimed one. All of it or nothing.
import { assert, CadreError, type TaskId } from "../platform/index.ts";
import { type Around, type Draft, draftOf, INSERTED, type NewTask, rowOf, waits } from "./draft.ts";
import {
  parentsFirst,
  type ResolvedNode,
  reachable,
  refuseCycle,
  resolveGraph,
  type Target,
  waitsFor,
} from "./graph.ts";
import { move, takeTurn, type Work } from "./moves.ts";
import { type CoreRow, coreRow, type FullRow, parsed, type StoredSpec } from "./rows.ts";
import { doomOf, settle } from "./settle.ts";
import { allIn, coresOf, insertMany, loadFull } from "./store.ts";
import { isFinal } from "./transition.ts";

export type Created = { readonly key: string; readonly id: TaskId };

/** Errors: `not_found`, `invalid_input` (a cycle, a doubled key), `illegal_transition`. */
export async function createTasks(work: Work, tasks: readonly NewTask[]): Promise<Created[]> {
  const rows = await create(work, tasks);
  return rows.map(({ id }, index) => ({ key: tasks[index]?.key ?? "", id }));
}

/** One task; the row as it stands afterwards. */
export async function createTask(work: Work, task: Omit<NewTask, "key">): Promise<FullRow> {
  const [row] = await create(work, [{ ...task, key: "" }]);
  assert(row !== undefined, "one specification makes one task");
  // Only the policy about a dependency can have moved it since it was written.
  return row.dependencies === 0 ? row : await loadFull(work.tx, row.id);
}

async function create(work: Work, tasks: readonly NewTask[]): Promise<FullRow[]> {
  const resolved = resolveGraph(tasks);
  const waits = waitsFor(resolved);
  refuseCycle(tasks, waits);
  const around = await loadAround(work, resolved);
  await refuseOuterCycle(work, resolved, waits, around);

  const made = new Map<number, Draft>();
  const ids = tasks.map(() => work.newId("task"));
  for (const index of parentsFirst(resolved)) {
    const node = resolved[index];
    const spec = tasks[index];
    const id = ids[index];
    assert(node !== undefined && spec !== undefined && id !== undefined, "the graph is whole");
    made.set(index, draftOf({ id, spec, node }, around, made, ids));
  }
  const drafts = tasks.map((_, index) => made.get(index)).filter((draft) => draft !== undefined);
  await giveTurns(work, drafts);
  const rows = await insertDrafts(work, drafts);
  await applyPolicies(work, drafts, around);
  return rows;
}

/** The tasks outside that the graph names; held still until the end of the transaction. */
async function loadAround(work: Work, resolved: readonly ResolvedNode[]): Promise<Around> {
  const blockers = outside(resolved.flatMap((node) => node.after));
  const parents = outside(resolved.flatMap((node) => (node.parent ? [node.parent] : [])));
  if (blockers.length + parents.length === 0) return { tasks: new Map(), workspaces: new Map() };
  // The mark is true from now on, and taking it locks the row: the blocker can't end unseen.
  await allIn(
    work.tx,
    "UPDATE tasks SET has_dependants = 1 WHERE id IN $in RETURNING id",
    blockers,
  );
  const specs = await allIn(
    work.tx,
    "UPDATE tasks SET children = children WHERE id IN $in RETURNING id, spec",
    parents,
  );
  const tasks = await coresOf(work.tx, [...new Set([...blockers, ...parents])]);
  for (const [what, names] of [
    ["dependency", blockers],
    ["parent", parents],
  ] as const) {
    const unknown = names.find((id) => !tasks.has(id as TaskId));
    if (unknown === undefined) continue;
    throw new CadreError(
      "not_found",
      `There is no ${what} ${unknown}. See which tasks there are: cadre tasks list`,
      {
        details: { name: unknown },
      },
    );
  }
  for (const parent of parents) refuseEndedParent(tasks.get(parent as TaskId));
  const workspaces = specs.map((row) => {
    const { workspace } = parsed<StoredSpec>(String(row["spec"]));
    return [String(row["id"]), workspace] as const;
  });
  return { tasks, workspaces: new Map(workspaces) };
}

const outside = (targets: readonly Target[]): string[] => [
  ...new Set(targets.flatMap((target) => (target.kind === "outside" ? [target.id] : []))),
];

function refuseEndedParent(parent: CoreRow | undefined): void {
  if (parent === undefined || !isFinal(parent.state)) return;
  throw new CadreError(
    "illegal_transition",
    `Task ${parent.id} is ${parent.state}: nothing can be added below it. Submit the task without a parent.`,
    { details: { task: parent.id, state: parent.state, event: "add child" } },
  );
}

/** A task below P must not wait for P, nor for anything that waits for P: neither would ever end. */
async function refuseOuterCycle(
  work: Work,
  resolved: readonly ResolvedNode[],
  waits: readonly (readonly number[])[],
  around: Around,
): Promise<void> {
  const below = [...resolved.entries()].filter(([, node]) => node.parent?.kind === "outside");
  if (below.length === 0) return;
  const needed = reachable(
    waits,
    below.map(([index]) => index),
  );
  const blockers = outside(
    resolved.filter((_, index) => needed.has(index)).flatMap((n) => n.after),
  );
  if (blockers.length === 0) return;
  const ancestors = await ancestorsOf(
    work,
    outside(below.flatMap(([, n]) => (n.parent ? [n.parent] : []))),
  );
  const seen = new Set<string>(blockers);
  for (let level = openOf(blockers, around); level.length > 0; ) {
    const hit = level.find((id) => ancestors.has(id));
    if (hit !== undefined) {
      throw new CadreError(
        "invalid_input",
        `A task below ${hit} would wait for ${hit} itself, directly or through others: neither could end. Remove the dependency, or submit it without a parent.`,
        { details: { cycle: [hit] } },
      );
    }
    const next = await allIn(work.tx, WAITED_FOR, level);
    level = [];
    for (const row of next) {
      const id = String(row["id"]);
      if (seen.has(id)) continue;
      seen.add(id);
      level.push(id);
    }
  }
}

const openOf = (ids: readonly string[], around: Around): string[] =>
  ids.filter((id) => !isFinal(around.tasks.get(id)?.state ?? "completed"));

/** Open tasks these wait for: dependencies and children. */
const WAITED_FOR = `WITH asked (task) AS (SELECT id FROM tasks WHERE id IN $in)
  SELECT tasks.id FROM asked JOIN task_edges ON task_edges.task = asked.task
    JOIN tasks ON tasks.id = task_edges.blocker WHERE tasks.ended_at IS NULL
  UNION
  SELECT tasks.id FROM asked JOIN tasks ON tasks.parent = asked.task
    WHERE tasks.parent IS NOT NULL AND tasks.ended_at IS NULL`;

async function ancestorsOf(work: Work, ids: readonly string[]): Promise<Set<string>> {
  const all = new Set(ids);
  for (let level = [...ids]; level.length > 0; ) {
    const rows = await allIn(
      work.tx,
      "SELECT parent FROM tasks WHERE id IN $in AND parent IS NOT NULL",
      level,
    );
    level = rows.map((row) => String(row["parent"])).filter((id) => !all.has(id));
    for (const id of level) all.add(id);
  }
  return all;
}

async function giveTurns(work: Work, drafts: readonly Draft[]): Promise<void> {
  const byId = new Map(drafts.map((draft) => [draft.id, draft]));
  for (const draft of drafts) {
    for (const blocker of draft.after) {
      const inner = byId.get(blocker);
      if (inner !== undefined) inner.hasDependants = true;
    }
    const parent = draft.parent === null ? undefined : byId.get(draft.parent);
    if (parent !== undefined) parent.children += 1;
    if (waits(draft, work.now)) continue;
    draft.turn = await takeTurn(work, draft, draft.spec.priority);
  }
}

async function insertTasks(work: Work, rows: readonly FullRow[]): Promise<void> {
  const values = rows.map((row) => INSERTED.map((column) => row[column]));
  await insertMany(work.tx, `INSERT INTO tasks (${INSERTED.join(", ")})`, values);
}

async function insertDrafts(work: Work, drafts: readonly Draft[]): Promise<FullRow[]> {
  const rows = drafts.map((draft) => rowOf(draft, work.now));
  await insertTasks(work, rows);
  const edges = drafts.flatMap((draft) =>
    draft.after.map((to, position) => [draft.id, to, position]),
  );
  if (edges.length > 0) {
    await insertMany(work.tx, "INSERT INTO task_edges (task, blocker, position)", edges);
  }
  await countChildren(work, drafts);
  for (const draft of drafts) tellCreated(work, draft);
  return rows;
}

async function countChildren(work: Work, drafts: readonly Draft[]): Promise<void> {
  const inside = new Set(drafts.map((draft) => draft.id));
  const counts = new Map<string, number>();
  for (const { parent } of drafts) {
    if (parent !== null && !inside.has(parent)) counts.set(parent, (counts.get(parent) ?? 0) + 1);
  }
  for (const [parent, count] of counts) {
    await work.tx.run(
      "UPDATE tasks SET open_children = open_children + ?, children = children + ? WHERE id = ?",
      count,
      count,
      parent,
    );
  }
}

function tellCreated(work: Work, draft: Draft): void {
  const { id: task, root, spec } = draft;
  const facts = {
    title: spec.title,
    type: spec.type,
    ...(draft.parent === null ? {} : { parent: draft.parent }),
    ...(spec.agent === undefined ? {} : { agent: spec.agent }),
    ...(draft.after.length === 0 ? {} : { waitsFor: draft.after.length }),
  };
  const to = waits(draft, work.now) ? "created" : "queued";
  work.emit({ type: "task.created", root, task, data: { to, ...facts } });
}

/** T7. Dependencies that had ended badly before the task came. */
async function applyPolicies(work: Work, drafts: readonly Draft[], around: Around): Promise<void> {
  const ended: CoreRow[] = [];
  for (const draft of drafts) {
    if (draft.spec.onFailure === "continue") continue;
    const bad = draft.after
      .map((id) => around.tasks.get(id))
      .find((row) => row !== undefined && isFinal(row.state) && row.state !== "completed");
    if (bad === undefined) continue;
    const row = (await coresOf(work.tx, [draft.id])).get(draft.id);
    assert(row !== undefined, "the task was inserted");
    ended.push(await move(work, coreRow(row), doomOf(row, bad), { facts: { because: bad.id } }));
  }
  await settle(work, ended);
}
