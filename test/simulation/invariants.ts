// What must be true of the store whenever nobody is in the middle of a transaction.
import { type JournalEvent, type Row, readEvents, type Store } from "../../src/platform/index.ts";
import type { Ledger } from "./ledger.ts";

/** A promise that was broken, and by what. */
export class Broken extends Error {
  readonly promise: string;

  /** The last things that happened before it was seen. */
  history: readonly string[] = [];

  constructor(promise: string, what: string) {
    super(`${promise}: ${what}`);
    this.name = "Broken";
    this.promise = promise;
  }
}

const FINAL: ReadonlySet<string> = new Set(["completed", "failed", "cancelled", "skipped"]);
const LEASED: ReadonlySet<string> = new Set(["assigned", "executing"]);

const LETTING_GO: ReadonlySet<string> = new Set([
  "task.requeued",
  "task.waiting",
  "task.paused",
  "task.completed",
  "task.failed",
  "task.cancelled",
]);
/** More than any one step of the simulation tells. */
const NEWS_MAX = 10_000;

/** Holds what was seen before, for promises about change. */
export class Invariants {
  readonly #epochs = new Map<string, number>();
  readonly #steps = new Map<string, number>();
  readonly #ended = new Map<string, string>();
  /** Nodes by the task they were given. */
  readonly #holders = new Map<string, string>();
  #heard = 0;

  /** Tasks that have not ended. */
  #open = 0;

  /**
   * After every step: T2, T3, T14, and that nothing acknowledged is missing. What no event speaks
   * of is not looked at again before the next event does, or `everything` is asked for. Answers how
   * many tasks are open.
   */
  async check(
    store: Store,
    acknowledged: ReadonlySet<string>,
    look: "news" | "everything" = "news",
  ): Promise<{ readonly open: number; readonly news: readonly JournalEvent[] }> {
    const { tasks, runs, news } = await store.read(async (tx) => {
      const events = await readEvents(tx, {}, this.#heard, NEWS_MAX);
      if (look === "everything") {
        return { news: events, tasks: await tx.all(TASKS), runs: await tx.all(runsIn(undefined)) };
      }
      const spoken = [...new Set(events.flatMap(({ run }) => run ?? []))];
      return {
        news: events,
        // A step is no change of any task.
        tasks: events.some(({ type }) => type !== "run.step") ? await tx.all(TASKS) : undefined,
        runs: spoken.length === 0 ? [] : await tx.all(runsIn(spoken.length), ...spoken),
      };
    });
    for (const event of news) this.#hear(event);
    for (const row of runs) this.#checkRun(row);
    if (tasks !== undefined) this.#checkTasks(tasks, acknowledged);
    return { open: this.#open, news };
  }

  #checkTasks(tasks: readonly Row[], acknowledged: ReadonlySet<string>): void {
    const ids = new Set(tasks.map((row) => String(row["id"])));
    for (const id of acknowledged) {
      if (!ids.has(id)) throw new Broken("P1", `${id} was acknowledged and is missing`);
    }
    for (const row of tasks) this.#checkTask(row);
    this.#open = tasks.filter((row) => row["ended_at"] === null).length;
  }

  /** T3. Whoever writes a step is the one who was given the task last, and still has it. */
  #hear({ position, type, task = "", actor, data }: JournalEvent): void {
    this.#heard = position;
    if (type === "task.assigned") this.#holders.set(task, String(data["node"]));
    else if (LETTING_GO.has(type)) this.#holders.delete(task);
    else if (type === "run.step" && this.#holders.get(task) !== actor) {
      const holder = this.#holders.get(task) ?? "nobody";
      throw new Broken("T3", `${actor} wrote a step of ${task}, which ${holder} holds`);
    }
  }

  #checkTask(row: Row): void {
    const id = String(row["id"]);
    const state = String(row["state"]);
    const epoch = Number(row["lease_epoch"]);
    if (epoch < (this.#epochs.get(id) ?? 0)) throw new Broken("T3", `${id}: its epoch went back`);
    this.#epochs.set(id, epoch);
    const hasLease = row["lease_expires_at"] !== null && row["lease_node"] !== null;
    if (hasLease !== LEASED.has(state)) {
      throw new Broken("T3", `${id} is ${state} and ${hasLease ? "has a" : "has no"} lease`);
    }
    const endedAs = this.#ended.get(id);
    if (endedAs !== undefined && endedAs !== state && !isRevived(row)) {
      throw new Broken("T2", `${id} had ended as ${endedAs} and is ${state}`);
    }
    if (FINAL.has(state)) {
      this.#ended.set(id, state);
      if (row["ended_at"] === null) throw new Broken("T2", `${id} is ${state} without an end`);
      if (Number(row["open_runs"]) > 0) throw new Broken("T2", `${id} ended, its run is open`);
      return;
    }
    this.#ended.delete(id);
    const trouble = misplaced(row, state);
    if (trouble !== undefined) throw new Broken("T14", `${id} is ${state}: ${trouble}`);
  }

  #checkRun(row: Row): void {
    const id = String(row["id"]);
    const steps = Number(row["steps"]);
    const count = Number(row["count"]);
    const last = row["last"] === null ? -1 : Number(row["last"]);
    if (steps !== count || last !== count - 1) {
      throw new Broken("A3", `${id} has ${count} steps up to ${last}, and counts ${steps}`);
    }
    if (steps < (this.#steps.get(id) ?? 0)) throw new Broken("A3", `${id} lost steps`);
    this.#steps.set(id, steps);
  }
}

/** `tasks.retry` is the one way back; it gives fresh attempts. */
const isRevived = (row: Row): boolean =>
  Number(row["retries"]) > 0 && !FINAL.has(String(row["state"]));

/** Why an open task is in none of T14's classes; undefined when it is in one. */
function misplaced(row: Row, state: string): string | undefined {
  const blockers = Number(row["blockers"]);
  const openBlockers = Number(row["actual_blockers"]);
  const openChildren = Number(row["actual_children"]);
  if (state === "created") {
    if (blockers !== openBlockers) return `counts ${blockers} blockers of ${openBlockers}`;
    if (blockers === 0 && row["run_at"] === null) return "waits for nothing";
    return undefined;
  }
  if (state === "waiting") {
    if (Number(row["open_children"]) !== openChildren) {
      return `counts ${Number(row["open_children"])} open children of ${openChildren}`;
    }
    return openChildren === 0 ? "waits for children that have all ended" : undefined;
  }
  if (state === "queued") return blockers > 0 ? "is queued with blockers" : undefined;
  return LEASED.has(state) ? undefined : "is in no class";
}

const OPEN = "state NOT IN ('completed', 'failed', 'cancelled', 'skipped')";

const TASKS = `SELECT t.id, t.state, t.paused, t.lease_epoch, t.lease_node, t.lease_expires_at,
  t.ended_at, t.blockers, t.run_at, t.open_children,
  (SELECT count(*) FROM runs r WHERE r.task = t.id AND r.state = 'open') AS open_runs,
  (SELECT count(*) FROM journal j WHERE j.task = t.id AND j.type = 'task.retried') AS retries,
  (SELECT count(*) FROM task_edges e JOIN tasks b ON b.id = e.blocker
    WHERE e.task = t.id AND b.${OPEN}) AS actual_blockers,
  (SELECT count(*) FROM tasks c WHERE c.parent = t.id AND c.${OPEN}) AS actual_children
  FROM tasks t ORDER BY t.id`;

const runsIn = (count: number | undefined): string => `SELECT r.id, r.steps,
  (SELECT count(*) FROM run_steps s WHERE s.run = r.id) AS count,
  (SELECT max(position) FROM run_steps s WHERE s.run = r.id) AS last
  FROM runs r ${count === undefined ? "" : `WHERE r.id IN (${Array(count).fill("?").join(", ")})`}
  ORDER BY r.id`;

// ---- When all is over ---------------------------------------------------------------------------

const ENDINGS = ["task.completed", "task.failed", "task.cancelled", "task.skipped"];

/** Failures a script, an operator or a limit may bring about; anything else is a bug of ours. */
const EXPECTED_FAILURES: ReadonlySet<string> = new Set([
  "gave_up",
  "invalid_plan",
  "dependency_failed",
  "workspace_failed",
  "model_failed",
]);

/** Attempts of every task the operator asks for. */
export const ATTEMPTS_ENOUGH = 60;

/** After the last step: effects, endings, the journal. */
export async function checkEnd(
  store: Store,
  ledger: Ledger,
  acknowledged: ReadonlySet<string>,
): Promise<void> {
  checkEffects(ledger);
  const { tasks, events, steps } = await store.read(async (tx) => ({
    tasks: await tx.all("SELECT id, parent, state, failure, attempts_max FROM tasks ORDER BY id"),
    events: await tx.all("SELECT task, type FROM journal WHERE task IS NOT NULL"),
    steps: await tx.all("SELECT run, body FROM run_steps ORDER BY run, position"),
  }));
  for (const row of tasks) checkEnding(row, events);
  const unasked = tasks.find(
    (row) => row["parent"] === null && !acknowledged.has(String(row["id"])),
  );
  if (unasked !== undefined) {
    throw new Broken(
      "T1",
      `${unasked["id"]} is a second task of one intent: nobody was told of it`,
    );
  }
  checkTranscripts(steps, ledger);
}

function checkEffects(ledger: Ledger): void {
  for (const [key, count] of ledger.applied) {
    const mayRepeat = key.startsWith("pure ") || key.startsWith("keyed ");
    if (count > 1 && !mayRepeat) throw new Broken("P5", `${key} was applied ${count} times`);
  }
}

function checkEnding(row: Row, events: readonly Row[]): void {
  const id = String(row["id"]);
  const state = String(row["state"]);
  if (!FINAL.has(state)) throw new Broken("T14", `${id} is still ${state} at the end`);
  const own = events.filter((event) => event["task"] === id).map((event) => String(event["type"]));
  const endings = own.filter((type) => ENDINGS.includes(type));
  const revivals = own.filter((type) => type === "task.retried").length;
  if (endings.length - revivals !== 1 || endings.at(-1) !== `task.${state}`) {
    throw new Broken("P12", `${id} is ${state}; its journal says ${endings.join(", ")}`);
  }
  if (state !== "failed") return;
  const failure = JSON.parse(String(row["failure"])) as { code: string; message: string };
  // What the simulation asks for itself has attempts enough to outlive all faults; what Cadre makes
  // of it, tasks of a plan for one, has the usual few, and many deaths of workers may spend them.
  const mayBePoisoned = Number(row["attempts_max"]) < ATTEMPTS_ENOUGH;
  if (mayBePoisoned && failure.code === "poisoned") return;
  if (!EXPECTED_FAILURES.has(failure.code)) {
    throw new Broken("T6", `${id} failed without a cause: ${failure.code}: ${failure.message}`);
  }
}

type AnyStep = {
  readonly kind: string;
  readonly call?: string;
  readonly tool?: string;
  readonly effect?: string;
  readonly arguments?: { readonly turn: number; readonly index: number };
  readonly calls?: readonly { readonly id: string }[];
  readonly outcome?: { readonly kind: string };
};

/** P5. What a transcript says was done, was done; each call has one intent and one outcome. */
function checkTranscripts(rows: readonly Row[], ledger: Ledger): void {
  const byRun = Map.groupBy(rows, (row) => String(row["run"]));
  for (const [run, own] of byRun) {
    const steps = own.map((row) => JSON.parse(String(row["body"])) as AnyStep);
    const begun = new Map<string, AnyStep>();
    const settled = new Set<string>();
    for (const step of steps) {
      const call = step.call ?? "";
      if (step.kind === "tool_began") {
        if (begun.has(call)) throw new Broken("A3", `${run}: ${call} began twice`);
        if (settled.has(call)) throw new Broken("A3", `${run}: ${call} began after its outcome`);
        begun.set(call, step);
      }
      if (step.kind !== "tool_settled") continue;
      if (settled.has(call)) throw new Broken("A3", `${run}: ${call} was settled twice`);
      settled.add(call);
      const intent = begun.get(call);
      if (intent?.effect === undefined || step.outcome?.kind !== "done") continue;
      const identity = `${run} ${intent.arguments?.turn}.${intent.arguments?.index}`;
      if (!ledger.applied.has(`${intent.effect} ${identity}`)) {
        throw new Broken("P5", `${run}: ${call} is recorded as done and never happened`);
      }
    }
  }
}
