// Reads: lists in the order people want them, one task's story, and why it does not run.
import type { z } from "zod";
import type { Context } from "../operations/index.ts";
import {
  CadreError,
  iso,
  pageRows,
  type RunId,
  readEvents,
  type SqlValue,
  type TaskId,
  type Tx,
} from "../platform/index.ts";
import type {
  runFilter,
  runList,
  taskFilter,
  taskList,
  taskStory,
  whyAnswer,
} from "./operations/ask.ts";
import { missingCapabilities, parseRoute } from "./route.ts";
import { type CoreRow, coreOf, type FullRow, fullRow, runRow } from "./rows.ts";
import { loadCore, loadFull } from "./store.ts";
import { isFinal, type StateKind } from "./transition.ts";
import { allOffers, runViewOf, taskViews } from "./views.ts";
import { type Other, why } from "./why.ts";

/** What needs someone or moves, then what waits; last, newest first, what has ended. */
const LIST_ORDER = [
  "waiting",
  "reviewing",
  "executing",
  "assigned",
  "queued",
  "created",
  "ended",
] as const;
type Part = (typeof LIST_ORDER)[number];

type ListInput = z.output<typeof taskFilter>;

export async function list(tx: Tx, input: ListInput): Promise<z.input<typeof taskList>> {
  const filter = filterOf(input);
  const from = parseCursor(input.cursor);
  const rows: FullRow[] = [];
  const parts = partsOf(input);
  // One more than asked for tells whether there is a next page.
  const wanted = input.limit + 1;
  if (from !== undefined && !parts.includes(from.part)) throw badCursor();
  for (const part of parts.slice(from === undefined ? 0 : parts.indexOf(from.part))) {
    if (rows.length >= wanted) break;
    const after = from?.part === part ? from.id : undefined;
    rows.push(...(await readPart(tx, part, filter, after, wanted - rows.length)));
  }
  const shown = rows.slice(0, input.limit);
  const last = shown.at(-1);
  const next = rows.length > input.limit && last !== undefined ? cursorOf(last) : null;
  return { items: await taskViews(tx, shown), next };
}

type Filter = { readonly where: readonly string[]; readonly params: readonly SqlValue[] };

function filterOf(input: ListInput): Filter {
  const where: string[] = [];
  const params: SqlValue[] = [];
  const add = (condition: string, ...values: SqlValue[]) => {
    where.push(condition);
    params.push(...values);
  };
  if (input.root !== undefined)
    add("(id = ? OR (root = ? AND parent IS NOT NULL))", input.root, input.root);
  if (input.parent !== undefined) add("parent = ? AND parent IS NOT NULL", input.parent);
  if (input.agent !== undefined) add("(agent = ? OR lease_agent = ?)", input.agent, input.agent);
  if (input.type !== undefined) add("type = ?", input.type);
  if (input.state !== undefined) add("state = ?", input.state);
  if (input.label !== undefined) {
    // Labels are one flat JSON object: a pair stands in it exactly as it is written alone.
    const [name = "", ...value] = input.label.split("=");
    const pair = `${JSON.stringify(name)}:${JSON.stringify(value.join("="))}`;
    add("REPLACE(labels, ?, '') <> labels", pair);
  }
  return { where, params };
}

function partsOf(input: ListInput): Part[] {
  if (input.state !== undefined) return [isFinal(input.state) ? "ended" : (input.state as Part)];
  return LIST_ORDER.filter((part) => part !== "ended" || input.open !== true);
}

async function readPart(
  tx: Tx,
  part: Part,
  filter: Filter,
  after: string | undefined,
  limit: number,
): Promise<FullRow[]> {
  const ended = part === "ended";
  const where = [
    ended ? "ended_at IS NOT NULL" : "state = ? AND ended_at IS NULL",
    ...filter.where,
  ];
  const params: SqlValue[] = [...(ended ? [] : [part]), ...filter.params];
  if (after !== undefined) {
    where.push(ended ? "id < ?" : "id > ?");
    params.push(after);
  }
  const order = ended ? "id DESC" : "id";
  const rows = await tx.all(
    `SELECT * FROM tasks WHERE ${where.join(" AND ")} ORDER BY ${order} LIMIT ${pageRows(limit)}`,
    ...params,
  );
  return rows.slice(0, limit).map(fullRow);
}

const cursorOf = (row: FullRow): string => `${isFinal(row.state) ? "ended" : row.state}:${row.id}`;

function parseCursor(
  cursor: string | undefined,
): { readonly part: Part; readonly id: string } | undefined {
  if (cursor === undefined) return undefined;
  const [name = "", id = ""] = cursor.split(":");
  const part = LIST_ORDER.find((known) => known === name);
  if (part !== undefined && id.startsWith("task_")) return { part, id };
  throw badCursor();
}

const badCursor = (): CadreError =>
  new CadreError("invalid_input", "The cursor is not one this list gave. Start again without it.");

const DAY_MS = 86_400_000;

export async function counts({ tx, now }: Context) {
  const open = await tx.all(
    "SELECT state, COUNT(*) AS n FROM tasks WHERE ended_at IS NULL GROUP BY state",
  );
  const ended = await tx.all(
    "SELECT state, COUNT(*) AS n FROM tasks WHERE ended_at IS NOT NULL AND ended_at >= ? GROUP BY state",
    now - (now % DAY_MS),
  );
  const byState = (rows: typeof open) =>
    Object.fromEntries(rows.map((row) => [String(row["state"]), Number(row["n"])]));
  return { open: byState(open), endedToday: byState(ended) };
}

/** How far back a short name reaches. */
const FIND_AMONG = 50_000;

export async function find(tx: Tx, suffix: string): Promise<{ id: TaskId }> {
  const rows = await tx.all(
    `SELECT id FROM (SELECT id FROM tasks ORDER BY id DESC LIMIT ${FIND_AMONG}) AS recent
      WHERE id LIKE ? ORDER BY id DESC LIMIT 6`,
    `%${suffix}`,
  );
  const ids = rows.map((row) => row["id"] as TaskId);
  const [id, ...others] = ids;
  if (id === undefined) {
    throw new CadreError(
      "not_found",
      `No recent task's id ends with "${suffix}". See which there are: cadre tasks list`,
      {
        next: ["cadre tasks list"],
      },
    );
  }
  if (others.length === 0) return { id };
  throw new CadreError(
    "limit_exceeded",
    `Several tasks' ids end with "${suffix}": ${ids.slice(0, 5).join(", ")}. Give more of it.`,
    { details: { ids: ids.slice(0, 5) } },
  );
}

/** Beyond this the story is told from its start only. */
const HISTORY_MAX = 10_000;

export async function history(
  { tx, now }: Context,
  id: TaskId,
): Promise<z.input<typeof taskStory>> {
  await loadCore(tx, id);
  const events = await readEvents(tx, { task: id, types: ["task.*"] }, 0, HISTORY_MAX);
  const transitions = events.flatMap(({ at, type, actor, position, data }) => {
    const { from, to } = data as { from?: StateKind; to?: StateKind };
    if (to === undefined) return [];
    return [
      { at: iso(at), event: type, ...(from === undefined ? {} : { from }), to, actor, position },
    ];
  });
  const durationsMs: { [K in StateKind]?: number } = {};
  for (const [index, { at, to }] of transitions.entries()) {
    if (isFinal(to)) continue;
    const next = transitions[index + 1];
    const until = next === undefined ? now : Date.parse(next.at);
    // The wall clock may have jumped back: no state ever took less than nothing.
    durationsMs[to] = (durationsMs[to] ?? 0) + Math.max(0, until - Date.parse(at));
  }
  return { transitions, durationsMs };
}

const WAITS_SHOWN = 20;
const AHEAD_MAX = 1_000;

export async function whyNot(context: Context, id: TaskId): Promise<z.input<typeof whyAnswer>> {
  const { tx, now } = context;
  const row = await loadFull(tx, id);
  const others = await waitsFor(tx, row);
  const parent = row.parent === null ? undefined : await loadCore(tx, row.parent);
  const answer = why({
    id,
    state: coreOf(row).state,
    paused: row.paused === 1,
    degraded: row.degraded === 1,
    waitsFor: others,
    waitsForCount: row.state === "waiting" ? row.open_children : row.blockers,
    missing:
      row.state === "queued" ? missingCapabilities(parseRoute(row.route), await allOffers(tx)) : [],
    ahead: row.state === "queued" ? await ahead(tx, row) : 0,
    aheadMax: AHEAD_MAX,
    parentPaused: parent?.paused === 1 ? parent.id : undefined,
    now,
  });
  return { ...answer, next: [...answer.next], waitsFor: [...others] };
}

async function waitsFor(tx: Tx, row: CoreRow): Promise<Other[]> {
  if (row.state !== "created" && row.state !== "waiting") return [];
  const source =
    row.state === "waiting"
      ? "FROM tasks WHERE parent = ? AND parent IS NOT NULL"
      : "FROM task_edges JOIN tasks ON tasks.id = task_edges.blocker WHERE task_edges.task = ?";
  const rows = await tx.all(
    `SELECT tasks.id, tasks.title, tasks.state ${source} AND tasks.ended_at IS NULL
      ORDER BY tasks.id LIMIT ${WAITS_SHOWN}`,
    row.id,
  );
  return rows.map((other) => ({
    id: other["id"] as TaskId,
    title: String(other["title"]),
    state: other["state"] as StateKind,
  }));
}

async function ahead(tx: Tx, row: CoreRow): Promise<number> {
  const found = await tx.get(
    `SELECT COUNT(*) AS n FROM (SELECT id FROM tasks WHERE route = ? AND state = 'queued'
      AND paused = 0 AND available_at = 0 AND (urgency > ? OR (urgency = ? AND (turn < ?
      OR (turn = ? AND id < ?)))) ORDER BY urgency DESC, turn, id LIMIT ${AHEAD_MAX}) AS line`,
    row.route,
    row.urgency,
    row.urgency,
    row.turn,
    row.turn,
    row.id,
  );
  return Number(found?.["n"] ?? 0);
}

type RunsInput = z.output<typeof runFilter>;

export async function listOfRuns(tx: Tx, input: RunsInput): Promise<z.input<typeof runList>> {
  const where = ["id < ?"];
  // Ids grow with time: the newest come first, and the cursor is the last one shown.
  const params: SqlValue[] = [runCursor(input.cursor)];
  const add = (condition: string, ...values: SqlValue[]) => {
    where.push(condition);
    params.push(...values);
  };
  if (input.task !== undefined) add("task = ?", input.task);
  if (input.root !== undefined)
    add("(task = ? OR (root = ? AND root <> task))", input.root, input.root);
  if (input.agent !== undefined) add("agent = ?", input.agent);
  if (input.state !== undefined) add("state = ?", input.state);
  const found = await tx.all(
    `SELECT * FROM runs WHERE ${where.join(" AND ")} ORDER BY id DESC LIMIT ${pageRows(input.limit + 1)}`,
    ...params,
  );
  const rows = found.map(runRow);
  const shown = rows.slice(0, input.limit);
  const last: RunId | undefined = shown.at(-1)?.id;
  return {
    items: shown.map(runViewOf),
    next: rows.length > input.limit && last !== undefined ? last : null,
  };
}

/** After every id there can be. */
const LAST_RUN = "run_zzzzzzzzzzzzzzzzzzzzzzzz";

function runCursor(cursor: string | undefined): string {
  if (cursor === undefined) return LAST_RUN;
  if (/^run_[0-9a-z]{1,40}$/.test(cursor)) return cursor;
  throw badCursor();
}
