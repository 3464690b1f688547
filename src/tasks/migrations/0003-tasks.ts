// Tables tasks, task_edges, runs, run_steps, offers.
//
// The indexes on tasks are partial over what is open, so that a million finished rows cost nothing.
// `urgency`, `turn`: T4. A backoff is the only thing that sets `available_at` above 0: what stands
// in the queue's index can be claimed at once. Narrow rows lie in their key's own tree (`byKey`):
// one page less to write for each. Wide columns come last: SQLite reads a row in order.
import type { Migration } from "../../platform/index.ts";

type Types = { readonly time: string; readonly real: string; readonly byKey: string };

const QUEUED = "state = 'queued' AND paused = 0 AND available_at = 0";

const statements = ({ time, real, byKey }: Types): readonly string[] => [
  `CREATE TABLE tasks (
    id TEXT PRIMARY KEY, root TEXT NOT NULL, parent TEXT,
    state TEXT NOT NULL, paused INTEGER NOT NULL, version INTEGER NOT NULL,
    priority INTEGER NOT NULL, urgency INTEGER NOT NULL, turn ${time} NOT NULL,
    lifted_at ${time} NOT NULL, available_at ${time} NOT NULL,
    attempts INTEGER NOT NULL, attempts_max INTEGER NOT NULL, attempt_timeout_ms ${time} NOT NULL,
    lease_epoch INTEGER NOT NULL, lease_node TEXT, lease_agent TEXT, lease_expires_at ${time},
    attempt_ends_at ${time}, progressed INTEGER NOT NULL, run TEXT,
    blockers INTEGER NOT NULL, dependencies INTEGER NOT NULL, has_dependants INTEGER NOT NULL,
    open_children INTEGER NOT NULL, children INTEGER NOT NULL,
    run_at ${time}, deadline ${time},
    created_at ${time} NOT NULL, updated_at ${time} NOT NULL, started_at ${time}, ended_at ${time},
    degraded INTEGER NOT NULL, progress ${real}, on_failure TEXT NOT NULL,
    route TEXT NOT NULL, home_route TEXT NOT NULL, type TEXT NOT NULL, agent TEXT,
    title TEXT NOT NULL, note TEXT, reason TEXT, labels TEXT NOT NULL, notices TEXT NOT NULL,
    failure TEXT, spec TEXT NOT NULL, result TEXT
  )`,
  `CREATE INDEX tasks_queue ON tasks (route, urgency DESC, turn, id) WHERE ${QUEUED}`,
  `CREATE INDEX tasks_now ON tasks (urgency, turn) WHERE ${QUEUED}`,
  `CREATE INDEX tasks_turn ON tasks (root, urgency, turn) WHERE ${QUEUED} AND parent IS NOT NULL`,
  "CREATE INDEX tasks_backoff ON tasks (available_at) WHERE state = 'queued' AND available_at > 0",
  "CREATE INDEX tasks_lease ON tasks (lease_expires_at) WHERE lease_expires_at IS NOT NULL",
  `CREATE INDEX tasks_start ON tasks (run_at)
    WHERE state = 'created' AND blockers = 0 AND run_at IS NOT NULL`,
  "CREATE INDEX tasks_deadline ON tasks (deadline) WHERE ended_at IS NULL AND deadline IS NOT NULL",
  "CREATE INDEX tasks_open ON tasks (state, id) WHERE ended_at IS NULL",
  "CREATE INDEX tasks_ended ON tasks (ended_at, state) WHERE ended_at IS NOT NULL",
  "CREATE INDEX tasks_root ON tasks (root, id) WHERE parent IS NOT NULL",
  "CREATE INDEX tasks_parent ON tasks (parent, id) WHERE parent IS NOT NULL",
  `CREATE TABLE task_edges (
    task TEXT NOT NULL, blocker TEXT NOT NULL, position INTEGER NOT NULL, PRIMARY KEY (task, blocker)
  )`,
  "CREATE INDEX task_edges_blocker ON task_edges (blocker, task)",
  `CREATE TABLE runs (
    id TEXT PRIMARY KEY, task TEXT NOT NULL, root TEXT NOT NULL, agent TEXT NOT NULL,
    attempt INTEGER NOT NULL, state TEXT NOT NULL, node TEXT NOT NULL, steps INTEGER NOT NULL,
    tokens_in ${time} NOT NULL, tokens_out ${time} NOT NULL, tokens_cached ${time} NOT NULL,
    cost_usd ${real} NOT NULL, unpriced INTEGER NOT NULL, model_calls INTEGER NOT NULL,
    tool_calls INTEGER NOT NULL, rehearsed INTEGER NOT NULL,
    started_at ${time} NOT NULL, ended_at ${time}
  )${byKey}`,
  "CREATE INDEX runs_task ON runs (task, id)",
  "CREATE INDEX runs_root ON runs (root, id) WHERE root <> task",
  `CREATE TABLE run_steps (
    run TEXT NOT NULL, position INTEGER NOT NULL, at ${time} NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (run, position)
  )`,
  `CREATE TABLE offers (
    node TEXT PRIMARY KEY, at ${time} NOT NULL, body TEXT NOT NULL
  )`,
];

export const taskMigrations: readonly Migration[] = [
  {
    id: "0003-tasks",
    up: {
      sqlite: statements({ time: "INTEGER", real: "REAL", byKey: " WITHOUT ROWID" }),
      postgres: statements({ time: "BIGINT", real: "DOUBLE PRECISION", byKey: "" }),
    },
  },
];
