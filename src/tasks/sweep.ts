// Moves what time moves, and mends what broke a promise. Runs all the time, in small bites.
//
// DESIGN. Each pass reads a partial index from its head, so its cost is what is due, not what is
// there. T14 is checked over all open tasks when they are few, else over a window that starts at a
// random place, so that everything is looked at in the end.
import { iso, type Json, type Millis, type Row, type SqlValue } from "../platform/index.ts";
import { move, takeTurn, type Work } from "./moves.ts";
import { AGE_STEP_MS, URGENCY_MAX } from "./order.ts";
import { CORE_COLUMNS, type CoreRow, coreRow } from "./rows.ts";
import { becomeReady, doomOf, passGate, settle } from "./settle.ts";
import { expire } from "./steer.ts";
import { loadCore, smallestTurn } from "./store.ts";
import { isFinal } from "./transition.ts";
import { loseLease, timeOut } from "./work.ts";

export type Swept = {
  readonly moved: number;
  readonly mended: number;
  readonly dueAt: string | null;
};

export async function sweep(work: Work, limit: number): Promise<Swept> {
  let moved = 0;
  moved += await startDue(work, limit);
  moved += await endLeases(work, limit);
  moved += await endLate(work, limit);
  const age = await liftAged(work);
  moved += age.lifted;
  const mended = await mend(work, limit);
  const dueAt = await nextDue(work, age.dueAt);
  return { moved, mended, dueAt: dueAt === null ? null : iso(dueAt) };
}

const STARTS = "state = 'created' AND blockers = 0 AND run_at IS NOT NULL";
const LEASES = "lease_expires_at IS NOT NULL";
const DEADLINES = "ended_at IS NULL AND deadline IS NOT NULL";

async function cores(work: Work, tail: string, ...params: SqlValue[]): Promise<CoreRow[]> {
  const rows = await work.tx.all(`SELECT ${CORE_COLUMNS} FROM tasks WHERE ${tail}`, ...params);
  return rows.map(coreRow);
}

async function startDue(work: Work, limit: number): Promise<number> {
  const due = await cores(
    work,
    `${STARTS} AND run_at <= ? ORDER BY run_at LIMIT ?`,
    work.now,
    limit,
  );
  for (const row of due) await becomeReady(work, row);
  return due.length;
}

async function endLeases(work: Work, limit: number): Promise<number> {
  const tail = `${LEASES} AND lease_expires_at <= ? ORDER BY lease_expires_at LIMIT ?`;
  const over = await cores(work, tail, work.now, limit);
  for (const row of over) {
    const timedOut = row.attempt_ends_at !== null && row.attempt_ends_at <= work.now;
    if (timedOut) await timeOut(work, row);
    else await loseLease(work, row, "lease expired");
  }
  return over.length;
}

async function endLate(work: Work, limit: number): Promise<number> {
  const late = await cores(
    work,
    `${DEADLINES} AND deadline <= ? ORDER BY deadline LIMIT ?`,
    work.now,
    limit,
  );
  for (const row of late) {
    // An earlier one of this batch may have ended it, as its parent or its dependency.
    const fresh = await loadCore(work.tx, row.id);
    if (!isFinal(fresh.state)) await expire(work, fresh);
  }
  return late.length;
}

/** Heads looked at per urgency and sweep: those in front are the next to be claimed anyway. */
const AGE_BATCH = 100;

/** T4. Lifts what has waited long. */
async function liftAged(
  work: Work,
): Promise<{ readonly lifted: number; readonly dueAt: Millis | null }> {
  let lifted = 0;
  let dueAt: Millis | null = null;
  // From the top down, so that nothing is lifted twice in one sweep.
  for (let urgency = URGENCY_MAX; urgency >= 0; urgency--) {
    const heads = await cores(
      work,
      `urgency = ? AND state = 'queued' AND paused = 0 AND available_at = 0
        ORDER BY turn LIMIT ${AGE_BATCH}`,
      urgency,
    );
    for (const row of heads) {
      const at = row.lifted_at + AGE_STEP_MS;
      if (at > work.now) {
        dueAt = earlier(dueAt, at);
        continue;
      }
      await lift(work, row);
      lifted += 1;
    }
  }
  return { lifted, dueAt: lifted === 0 ? dueAt : earlier(dueAt, work.now + AGE_STEP_MS) };
}

async function lift(work: Work, row: CoreRow): Promise<void> {
  const isTop = row.urgency >= URGENCY_MAX;
  const urgency = isTop ? row.urgency : row.urgency + 1;
  const turn = isTop
    ? ((await smallestTurn(work.tx, urgency)) ?? row.turn)
    : await takeTurn(work, row, urgency);
  await work.tx.run(
    "UPDATE tasks SET urgency = ?, turn = ?, lifted_at = ? WHERE id = ? AND state = 'queued'",
    urgency,
    turn,
    work.now,
    row.id,
  );
}

const earlier = (a: Millis | null, b: Millis | null): Millis | null => {
  if (a === null || b === null) return a ?? b;
  return Math.min(a, b);
};

async function nextDue(work: Work, ageDueAt: Millis | null): Promise<Millis | null> {
  const row: Row | undefined = await work.tx.get(
    `SELECT (SELECT MIN(run_at) FROM tasks WHERE ${STARTS}) AS start,
      (SELECT MIN(lease_expires_at) FROM tasks WHERE ${LEASES}) AS lease,
      (SELECT MIN(deadline) FROM tasks WHERE ${DEADLINES}) AS deadline`,
  );
  let due = ageDueAt;
  for (const at of [row?.["start"], row?.["lease"], row?.["deadline"]]) {
    if (at !== null && at !== undefined) due = earlier(due, Number(at));
  }
  return due;
}

// ---- T14 ------------------------------------------------------------------------------------

/** A created task that waits for no time and for fewer or more open tasks than it believes. */
const OPEN_BLOCKERS = `(SELECT COUNT(*) FROM task_edges JOIN tasks AS blocker
  ON blocker.id = task_edges.blocker WHERE task_edges.task = tasks.id AND blocker.ended_at IS NULL)`;
const OPEN_CHILDREN = `(SELECT COUNT(*) FROM tasks AS child
  WHERE child.parent = tasks.id AND child.parent IS NOT NULL AND child.ended_at IS NULL)`;

/** Breaches of T14 by state: each a condition no open task of that state may meet. */
const BREACHES = {
  created: `blockers <> ${OPEN_BLOCKERS} OR (blockers = 0 AND run_at IS NULL)`,
  waiting: `open_children <> ${OPEN_CHILDREN} OR open_children <= 0`,
  assigned: "lease_expires_at IS NULL OR lease_node IS NULL",
  executing: "lease_expires_at IS NULL OR lease_node IS NULL",
} as const;

async function mend(work: Work, limit: number): Promise<number> {
  let mended = 0;
  for (const [state, breach] of Object.entries(BREACHES)) {
    for (const row of await broken(work, state, breach, limit)) {
      await mendOne(work, row);
      mended += 1;
    }
  }
  return mended;
}

async function broken(
  work: Work,
  state: string,
  breach: string,
  limit: number,
): Promise<CoreRow[]> {
  const count = await work.tx.get(
    "SELECT COUNT(*) AS n FROM tasks WHERE state = ? AND ended_at IS NULL",
    state,
  );
  const total = Number(count?.["n"] ?? 0);
  if (total === 0) return [];
  const offset = Math.floor(work.random() * (Math.max(0, total - limit) + 1));
  return await cores(
    work,
    `id IN (SELECT id FROM tasks WHERE state = ? AND ended_at IS NULL ORDER BY id LIMIT ? OFFSET ?)
      AND state = ? AND (${breach}) ORDER BY id`,
    state,
    limit,
    offset,
    state,
  );
}

/** Puts a task where its facts say it belongs, and says so: each of these is a bug to look at. */
async function mendOne(work: Work, row: CoreRow): Promise<void> {
  const facts: { [key: string]: Json } = { state: row.state };
  if (row.state === "created") await mendCreated(work, row, facts);
  else if (row.state === "waiting") await mendWaiting(work, row, facts);
  else await loseLease(work, row, "no lease was recorded");
  work.emit({ type: "task.mended", root: row.root, task: row.id, data: facts });
}

async function mendCreated(
  work: Work,
  row: CoreRow,
  facts: { [key: string]: Json },
): Promise<void> {
  const found = await work.tx.all(
    `SELECT tasks.* FROM task_edges JOIN tasks ON tasks.id = task_edges.blocker
      WHERE task_edges.task = ?`,
    row.id,
  );
  const blockers = found.map(coreRow);
  const bad = blockers.find((other) => isFinal(other.state) && other.state !== "completed");
  if (bad !== undefined && row.on_failure !== "continue") {
    await settle(work, [await move(work, row, doomOf(row, bad), { facts: { because: bad.id } })]);
    return;
  }
  const open = blockers.filter((other) => !isFinal(other.state)).length;
  Object.assign(facts, { blockers: row.blockers, found: open });
  await work.tx.run("UPDATE tasks SET blockers = ? WHERE id = ?", open, row.id);
  await becomeReady(work, { ...row, blockers: open });
}

async function mendWaiting(
  work: Work,
  row: CoreRow,
  facts: { [key: string]: Json },
): Promise<void> {
  const count = await work.tx.get(
    `SELECT COUNT(*) AS n FROM tasks WHERE parent = ? AND parent IS NOT NULL AND ended_at IS NULL`,
    row.id,
  );
  const open = Number(count?.["n"] ?? 0);
  Object.assign(facts, { openChildren: row.open_children, found: open });
  await work.tx.run("UPDATE tasks SET open_children = ? WHERE id = ?", open, row.id);
  await passGate(work, { ...row, open_children: open });
}
