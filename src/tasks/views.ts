// Rows as outsiders see them. What a view needs from other tables is read for a whole page at once.
import type { z } from "zod";
import { iso, type TaskId, type Tx } from "../platform/index.ts";
import { missingCapabilities, type NodeOffer, parseOffer, parseRoute } from "./route.ts";
import {
  type FullRow,
  failureOf,
  parsed,
  type RunRow,
  type StoredSpec,
  type UsageRow,
} from "./rows.ts";
import type { runView } from "./run.ts";
import { allIn } from "./store.ts";
import type { TaskResult, TaskSpec, taskView, Usage } from "./task.ts";

type View = z.input<typeof taskView>;

/** Few statements for any number of rows. */
export async function taskViews(tx: Tx, rows: readonly FullRow[]): Promise<View[]> {
  const after = await edgesOf(
    tx,
    rows.filter((row) => row.dependencies > 0),
  );
  const usage = await usageOf(tx, rows);
  const queued = rows.some((row) => row.state === "queued" || row.state === "created");
  const nodes = queued ? await allOffers(tx) : [];
  const missing = new Map<string, string[]>();
  return rows.map((row) => {
    const facts = { after: after.get(row.id) ?? [], usage: usage.get(row.id) ?? NO_USAGE };
    if (row.state !== "queued" && row.state !== "created") return viewOf(row, facts);
    let lacks = missing.get(row.route);
    if (lacks === undefined) {
      lacks = missingCapabilities(parseRoute(row.route), nodes);
      missing.set(row.route, lacks);
    }
    return viewOf(row, lacks.length === 0 ? facts : { ...facts, unroutable: lacks });
  });
}

export async function taskViewOf(tx: Tx, row: FullRow): Promise<View> {
  const [view] = await taskViews(tx, [row]);
  if (view === undefined) throw new Error("One row has one view.");
  return view;
}

type Facts = {
  readonly after: TaskId[];
  readonly usage: Usage;
  readonly unroutable?: string[];
};

export function viewOf(
  row: FullRow,
  facts: Facts,
  spec: StoredSpec = parsed<StoredSpec>(row.spec),
): View {
  const leased = row.lease_expires_at !== null && row.lease_node !== null;
  const view: View = {
    id: row.id,
    root: row.root,
    title: row.title,
    instructions: spec.instructions,
    type: row.type,
    state: row.state,
    paused: row.paused === 1,
    priority: row.priority,
    capabilities: spec.capabilities,
    preferred: spec.preferred,
    after: facts.after,
    onFailure: row.on_failure,
    inputs: spec.inputs,
    labels: JSON.parse(row.labels) as TaskSpec["labels"],
    workspace: spec.workspace,
    budget: spec.budget,
    attempts: row.attempts,
    attemptsMax: row.attempts_max,
    attemptTimeoutMs: row.attempt_timeout_ms,
    degraded: row.degraded === 1,
    notices: row.notices === "[]" ? [] : parsed<string[]>(row.notices),
    usage: facts.usage,
    createdAt: iso(row.created_at),
    updatedAt: iso(row.updated_at),
    version: row.version,
  };
  if (row.parent !== null) view.parent = row.parent;
  if (row.agent !== null) view.agent = row.agent;
  if (leased) view.lease = leaseOf(row);
  if (row.state === "waiting") view.gate = { kind: "children", open: row.open_children };
  if (row.available_at > 0) view.availableAt = iso(row.available_at);
  if (row.run_at !== null) view.runAt = iso(row.run_at);
  if (row.deadline !== null) view.deadline = iso(row.deadline);
  if (row.progress !== null) view.progress = row.progress;
  if (row.note !== null) view.note = row.note;
  if (row.result !== null) view.result = resultOf(row.result);
  if (row.state === "failed") view.failure = failureOf(row);
  if (row.reason !== null) view.reason = row.reason;
  if (facts.unroutable !== undefined) view.unroutable = facts.unroutable;
  if (row.started_at !== null) view.startedAt = iso(row.started_at);
  if (row.ended_at !== null) view.endedAt = iso(row.ended_at);
  return view;
}

const leaseOf = (row: FullRow): NonNullable<View["lease"]> => ({
  node: row.lease_node ?? "",
  agent: row.lease_agent ?? "",
  epoch: row.lease_epoch,
  expiresAt: iso(row.lease_expires_at ?? 0),
});

const resultOf = (text: string): NonNullable<View["result"]> =>
  parsed<TaskResult>(text) as NonNullable<View["result"]>;

async function edgesOf(
  tx: Tx,
  rows: readonly { readonly id: TaskId }[],
): Promise<Map<TaskId, TaskId[]>> {
  const edges = new Map<TaskId, TaskId[]>();
  const found = await allIn(
    tx,
    "SELECT task, blocker FROM task_edges WHERE task IN $in ORDER BY task, position",
    rows.map((row) => row.id),
  );
  for (const row of found) {
    const task = row["task"] as TaskId;
    const list = edges.get(task) ?? [];
    list.push(row["blocker"] as TaskId);
    edges.set(task, list);
  }
  return edges;
}

// ---- Usage ----------------------------------------------------------------------------------

export const NO_USAGE: Usage = {
  tokensIn: 0,
  tokensOut: 0,
  tokensCached: 0,
  costUsd: 0,
  modelCalls: 0,
  toolCalls: 0,
  rehearsed: false,
};

const SUMS = `CAST(SUM(tokens_in) AS BIGINT) AS tokens_in, CAST(SUM(tokens_out) AS BIGINT) AS tokens_out,
  CAST(SUM(tokens_cached) AS BIGINT) AS tokens_cached, SUM(cost_usd) AS cost_usd,
  CAST(SUM(unpriced) AS BIGINT) AS unpriced, CAST(SUM(model_calls) AS BIGINT) AS model_calls,
  CAST(SUM(tool_calls) AS BIGINT) AS tool_calls, MAX(rehearsed) AS rehearsed`;

/** Of a root that has children: of its whole tree. Of any other task: of its own runs. */
async function usageOf(tx: Tx, rows: readonly FullRow[]): Promise<Map<TaskId, Usage>> {
  const sums = new Map<TaskId, Usage>();
  const ran = rows.filter((row) => row.started_at !== null).map((row) => row.id);
  const own = await allIn(
    tx,
    `SELECT task AS id, ${SUMS} FROM runs WHERE task IN $in GROUP BY task`,
    ran,
  );
  const trees = rows.filter((row) => row.parent === null && row.children > 0).map((row) => row.id);
  const below = await allIn(
    tx,
    `SELECT root AS id, ${SUMS} FROM runs WHERE root <> task AND root IN $in GROUP BY root`,
    trees,
  );
  for (const row of [...own, ...below]) {
    const id = row["id"] as TaskId;
    const usage = usageView(row as unknown as UsageRow);
    const known = sums.get(id);
    sums.set(id, known === undefined ? usage : plus(known, usage));
  }
  return sums;
}

const usageView = (row: UsageRow): Usage => ({
  tokensIn: row.tokens_in,
  tokensOut: row.tokens_out,
  tokensCached: row.tokens_cached,
  costUsd: row.unpriced > 0 ? null : row.cost_usd,
  modelCalls: row.model_calls,
  toolCalls: row.tool_calls,
  rehearsed: row.rehearsed > 0,
});

const plus = (a: Usage, b: Usage): Usage => ({
  tokensIn: a.tokensIn + b.tokensIn,
  tokensOut: a.tokensOut + b.tokensOut,
  tokensCached: a.tokensCached + b.tokensCached,
  costUsd: a.costUsd === null || b.costUsd === null ? null : a.costUsd + b.costUsd,
  modelCalls: a.modelCalls + b.modelCalls,
  toolCalls: a.toolCalls + b.toolCalls,
  rehearsed: a.rehearsed || b.rehearsed,
});

export const runViewOf = (row: RunRow): z.input<typeof runView> => ({
  id: row.id,
  task: row.task,
  root: row.root,
  agent: row.agent,
  attempt: row.attempt,
  state: row.state,
  node: row.node,
  steps: row.steps,
  usage: usageView(row),
  startedAt: iso(row.started_at),
  ...(row.ended_at === null ? {} : { endedAt: iso(row.ended_at) }),
});

// ---- Offers ---------------------------------------------------------------------------------

export async function allOffers(tx: Tx): Promise<NodeOffer[]> {
  const rows = await tx.all("SELECT body FROM offers ORDER BY node");
  return rows.map((row) => parseOffer(String(row["body"])));
}
