// A task on its way in: what is known of it before its row is written, and the row itself.
import { assert, type Millis, type TaskId } from "../platform/index.ts";
import type { ResolvedNode } from "./graph.ts";
import { routeText } from "./route.ts";
import type { CoreRow, FullRow, StoredSpec } from "./rows.ts";
import type { TaskSpec } from "./task.ts";
import { isFinal } from "./transition.ts";

/** A task to be made. Its key names it inside the graph; "" for a single one. */
export type NewTask = Omit<TaskSpec, "parent" | "idempotencyKey"> & {
  readonly key: string;
  readonly parent?: string | undefined;
};

export type Draft = {
  readonly key: string;
  readonly id: TaskId;
  readonly root: TaskId;
  readonly parent: TaskId | null;
  readonly paused: boolean;
  readonly after: readonly TaskId[];
  readonly blockers: number;
  readonly runAt: Millis | null;
  readonly workspace: StoredSpec["workspace"];
  readonly spec: NewTask;
  readonly notices: readonly string[];
  /** T4. 0: it waits. */
  turn: number;
  children: number;
  hasDependants: boolean;
};

export type Around = {
  readonly tasks: ReadonlyMap<string, CoreRow>;
  readonly workspaces: ReadonlyMap<string, StoredSpec["workspace"]>;
};

type Piece = { readonly id: TaskId; readonly spec: NewTask; readonly node: ResolvedNode };

export function draftOf(
  { id, spec, node }: Piece,
  around: Around,
  made: ReadonlyMap<number, Draft>,
  ids: readonly TaskId[],
): Draft {
  const parent = parentOf(node, around, made);
  const after = node.after.map((to) => (to.kind === "inside" ? ids[to.index] : to.id) as TaskId);
  const ended = after
    .map((blocker) => around.tasks.get(blocker))
    .filter((row) => row && isFinal(row.state));
  const missed = ended.filter((row) => row !== undefined && row.state !== "completed");
  const goesOn = spec.onFailure === "continue" ? missed : [];
  return {
    key: spec.key,
    id,
    root: parent?.root ?? id,
    parent: parent?.id ?? null,
    paused: parent?.paused ?? false,
    after,
    // One that ended badly still counts: the policy decides about it, in `applyPolicies`.
    blockers: after.length - ended.length + missed.length - goesOn.length,
    runAt: spec.runAt === undefined ? null : Date.parse(spec.runAt),
    workspace: spec.workspace ?? parent?.workspace ?? { kind: "none" },
    spec,
    notices: goesOn.map(
      (row) => `${row?.id} (${row?.title}) is ${row?.state}; this went on without it.`,
    ),
    turn: 0,
    children: 0,
    hasDependants: false,
  };
}

type Above = Pick<Draft, "id" | "root" | "paused" | "workspace">;

function parentOf(
  node: ResolvedNode,
  around: Around,
  made: ReadonlyMap<number, Draft>,
): Above | undefined {
  if (node.parent === undefined) return undefined;
  if (node.parent.kind === "inside") return made.get(node.parent.index);
  const row = around.tasks.get(node.parent.id);
  assert(row !== undefined, "the parent was loaded");
  const workspace = around.workspaces.get(row.id) ?? { kind: "none" };
  return { id: row.id, root: row.root, paused: row.paused === 1, workspace };
}

export const waits = (draft: Draft, now: Millis): boolean =>
  draft.blockers > 0 || (draft.runAt !== null && draft.runAt > now);

/** What is set from the start; the other columns begin as null. */
export const INSERTED = [
  "id",
  "root",
  "parent",
  "state",
  "paused",
  "version",
  "priority",
  "urgency",
  "turn",
  "lifted_at",
  "available_at",
  "attempts",
  "attempts_max",
  "attempt_timeout_ms",
  "lease_epoch",
  "progressed",
  "blockers",
  "dependencies",
  "has_dependants",
  "open_children",
  "children",
  "run_at",
  "deadline",
  "created_at",
  "updated_at",
  "degraded",
  "on_failure",
  "route",
  "home_route",
  "type",
  "agent",
  "title",
  "labels",
  "notices",
  "spec",
] as const satisfies readonly (keyof FullRow)[];

export function rowOf(draft: Draft, now: Millis): FullRow {
  const { spec } = draft;
  const route = routeText(spec);
  const stored: StoredSpec = {
    instructions: spec.instructions,
    capabilities: spec.capabilities,
    preferred: spec.preferred,
    inputs: spec.inputs,
    ...(spec.placement === undefined ? {} : { placement: spec.placement }),
    budget: spec.budget,
    workspace: draft.workspace,
  };
  return {
    ...UNTOUCHED,
    id: draft.id,
    root: draft.root,
    parent: draft.parent,
    state: waits(draft, now) ? "created" : "queued",
    paused: draft.paused ? 1 : 0,
    priority: spec.priority,
    urgency: spec.priority,
    turn: draft.turn,
    lifted_at: now,
    attempts_max: spec.attemptsMax,
    attempt_timeout_ms: spec.attemptTimeoutMs,
    blockers: draft.blockers,
    dependencies: draft.after.length,
    has_dependants: draft.hasDependants ? 1 : 0,
    open_children: draft.children,
    children: draft.children,
    run_at: draft.runAt,
    deadline: spec.deadline === undefined ? null : Date.parse(spec.deadline),
    created_at: now,
    updated_at: now,
    on_failure: spec.onFailure,
    route,
    home_route: route,
    type: spec.type,
    agent: spec.agent ?? null,
    title: spec.title,
    labels: JSON.stringify(spec.labels),
    notices: JSON.stringify(draft.notices),
    spec: JSON.stringify(stored),
  };
}

const UNTOUCHED = {
  version: 1,
  available_at: 0,
  attempts: 0,
  lease_epoch: 0,
  lease_node: null,
  lease_agent: null,
  lease_expires_at: null,
  attempt_ends_at: null,
  progressed: 0,
  run: null,
  started_at: null,
  ended_at: null,
  degraded: 0,
  progress: null,
  note: null,
  reason: null,
  failure: null,
  result: null,
} as const satisfies Partial<FullRow>;
