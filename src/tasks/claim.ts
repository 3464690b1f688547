// T5. Workers pull: a node takes the heads of the lines it can serve.
//
// DESIGN. Which lines exist is read off the queue's own index by jumping from one route to the
// next, so nothing has to be kept in step with it, and its cost is the number of lines that have
// something ready. One batch is one transaction of a few statements, whatever the queue's length.
import type { z } from "zod";
import { iso, type Millis, type NodeId, type RunId, type Tx } from "../platform/index.ts";
import type { Work } from "./moves.ts";
import type { claimAnswer, claimRequest } from "./operations/work.ts";
import { assignHeads, servable } from "./order.ts";
import { type NodeOffer, parseOffer, pinnedRoute } from "./route.ts";
import { coreOf, type FullRow, fullRow, parsed, type StoredSpec } from "./rows.ts";
import { transition } from "./transition.ts";
import { NO_USAGE, taskViews, viewOf } from "./views.ts";

type Input = z.output<typeof claimRequest>;
type Output = z.input<typeof claimAnswer>;

export async function claim(work: Work, input: Input): Promise<Output> {
  const { node, dueAt } = await loadNode(work.tx, input.node);
  if (node === undefined) return { claims: [], readyAt: null };
  const due = dueAt !== null && dueAt <= work.now;
  if (due) await endBackoffs(work);

  const lines = servable(await routesQueued(work.tx), node, input.free);
  const heads: Head[] = [];
  for (const route of lines.keys()) heads.push(...(await headsOf(work.tx, route, input.limit)));
  const chosen = assignHeads(heads, lines, input.free, input.limit);

  const claims: Claimed[] = [];
  for (const { head, agent } of chosen) claims.push(await take(work, head, agent, input));
  const next = due ? await nextDue(work.tx) : dueAt;
  return { claims: await claimViews(work, claims), readyAt: next === null ? null : iso(next) };
}

const NEXT_DUE = `SELECT available_at FROM tasks
  WHERE state = 'queued' AND available_at > 0 ORDER BY available_at LIMIT 1`;

async function loadNode(
  tx: Tx,
  id: string,
): Promise<{ readonly node: NodeOffer | undefined; readonly dueAt: Millis | null }> {
  const row = await tx.get(`SELECT body, (${NEXT_DUE}) AS due FROM offers WHERE node = ?`, id);
  if (row === undefined) return { node: undefined, dueAt: null };
  return {
    node: parseOffer(String(row["body"])),
    dueAt: row["due"] === null ? null : Number(row["due"]),
  };
}

async function nextDue(tx: Tx): Promise<Millis | null> {
  const row = await tx.get(NEXT_DUE);
  return row === undefined ? null : Number(row["available_at"]);
}

/** T6. A backoff that is over puts its task back into its line. */
async function endBackoffs(work: Work): Promise<void> {
  await work.tx.run(
    "UPDATE tasks SET available_at = 0 WHERE state = 'queued' AND available_at > 0 AND available_at <= ?",
    work.now,
  );
}

const READY = "state = 'queued' AND paused = 0 AND available_at = 0";

/** The lines in which something stands ready. */
async function routesQueued(tx: Tx): Promise<string[]> {
  const rows = await tx.all(
    `WITH RECURSIVE lines (route) AS (
      SELECT (SELECT MIN(route) FROM tasks WHERE ${READY})
      UNION ALL
      SELECT (SELECT MIN(route) FROM tasks WHERE ${READY} AND route > lines.route)
        FROM lines WHERE lines.route IS NOT NULL
    )
    SELECT route FROM lines WHERE route IS NOT NULL`,
  );
  return rows.map((row) => String(row["route"]));
}

type Head = {
  readonly id: string;
  readonly route: string;
  readonly urgency: number;
  readonly turn: number;
  readonly preferred: readonly string[];
  readonly row: FullRow;
  readonly spec: StoredSpec;
};

async function headsOf(tx: Tx, route: string, limit: number): Promise<Head[]> {
  // The limit is a literal: SQLite looks into a bound one and prepares the statement anew each time.
  // It is exact: on Postgres the heads are locked, and more than asked for would hide from others.
  const rows = await tx.all(
    `SELECT * FROM tasks WHERE route = ? AND ${READY}
      ORDER BY urgency DESC, turn, id LIMIT ${limit} ${tx.sql.skipLocked}`,
    route,
  );
  return rows.map(fullRow).map((row) => {
    const spec = parsed<StoredSpec>(row.spec);
    const { id, urgency, turn } = row;
    return { id, route, urgency, turn, preferred: spec.preferred, row, spec };
  });
}

type Claimed = {
  readonly row: FullRow;
  readonly spec: StoredSpec;
  readonly run: RunId;
  readonly steps: number;
  readonly endsAt: Millis;
};

async function take(work: Work, head: Head, agent: string, input: Input): Promise<Claimed> {
  const { row, spec } = head;
  const node = input.node as NodeId;
  const endsAt = work.now + row.attempt_timeout_ms;
  // T3: no heartbeat carries an attempt past its end, so the lease never starts beyond it.
  const leaseMs = Math.min(input.leaseMs, row.attempt_timeout_ms);
  const out = transition(coreOf(row), { kind: "claim", node, agent, leaseMs }, work.now);
  if (out.kind === "refused") throw new Error(`${row.id} stood in the queue and is ${row.state}.`);
  const run = await openRun(work, row, agent, out.task.attempts, node);
  // The row was read for this claim alone: it is written on, not copied with its fifty columns.
  const after: FullRow = Object.assign(row, {
    state: "assigned" as const,
    attempts: out.task.attempts,
    lease_epoch: out.task.epoch,
    lease_node: node,
    lease_agent: agent,
    lease_expires_at: work.now + leaseMs,
    attempt_ends_at: endsAt,
    progressed: 0 as const,
    run: run.id,
    route: pinnedRoute(row.route, agent),
    started_at: row.started_at ?? work.now,
    updated_at: work.now,
    version: row.version + 1,
  });
  // The heads were read under this transaction's lock: the row can't have moved since.
  await work.tx.run(
    `UPDATE tasks SET state = 'assigned', attempts = ?, lease_epoch = ?, lease_node = ?,
      lease_agent = ?, lease_expires_at = ?, attempt_ends_at = ?, progressed = 0, run = ?, route = ?,
      started_at = ?, updated_at = ?, version = ? WHERE id = ?`,
    after.attempts,
    after.lease_epoch,
    node,
    agent,
    after.lease_expires_at,
    endsAt,
    run.id,
    after.route,
    after.started_at,
    work.now,
    after.version,
    row.id,
  );
  const { id: task, root } = row;
  const facts = { agent, node, attempt: after.attempts, epoch: after.lease_epoch };
  work.emit({
    type: "task.assigned",
    root,
    task,
    run: run.id,
    data: { from: "queued", to: "assigned", ...facts },
  });
  return { row: after, spec, run: run.id, steps: run.steps, endsAt };
}

type OpenRun = { readonly id: RunId; readonly steps: number };

/** Takes the open run up again, or begins one. */
async function openRun(
  work: Work,
  row: FullRow,
  agent: string,
  attempt: number,
  node: NodeId,
): Promise<OpenRun> {
  if (row.run !== null) {
    const known = await work.tx.get(
      "UPDATE runs SET node = ? WHERE id = ? AND state = 'open' RETURNING steps",
      node,
      row.run,
    );
    if (known !== undefined) return { id: row.run, steps: Number(known["steps"]) };
  }
  const id = work.newId("run");
  await work.tx.run(
    `INSERT INTO runs (id, task, root, agent, attempt, state, node, steps, tokens_in, tokens_out,
      tokens_cached, cost_usd, unpriced, model_calls, tool_calls, rehearsed, started_at)
      VALUES (?, ?, ?, ?, ?, 'open', ?, 0, 0, 0, 0, 0, 0, 0, 0, 0, ?)`,
    id,
    row.id,
    row.root,
    agent,
    attempt,
    node,
    work.now,
  );
  return { id, steps: 0 };
}

/** The common claim, a first attempt that depended on nothing, needs no further statement. */
async function claimViews(work: Work, claims: readonly Claimed[]): Promise<Output["claims"]> {
  const rows = claims.map((claimed) => claimed.row);
  const isPlain = claims.every(
    ({ row, steps }) => row.dependencies + row.children + steps === 0 && row.attempts === 1,
  );
  const views = isPlain
    ? claims.map(({ row, spec }) => viewOf(row, { after: [], usage: NO_USAGE }, spec))
    : await taskViews(work.tx, rows);
  return claims.flatMap((claimed, index) => {
    const task = views[index];
    if (task === undefined) return [];
    const { run, steps } = claimed;
    const attemptEndsAt = iso(claimed.endsAt);
    return [{ task, epoch: claimed.row.lease_epoch, run, steps, attemptEndsAt }];
  });
}
