// Bodies in a row on one connection: those that wait at the same time share one commit.
//
// DESIGN. A commit costs an fsync, a statement some microseconds. So bodies are gathered until the
// next turn of the event loop and run one after another between one BEGIN and one COMMIT. A promise
// resolves only after COMMIT, so acknowledged means durable (P1), and a COMMIT that fails rejects
// all it would have kept.
//
// One that throws is undone alone. Most that throw have changed nothing yet: a rule said no, and
// there is nothing to undo. For the rare other case the batch is undone and run again, then with a
// savepoint around each body; savepoints around all of them always would cost a fifth of the CPU.
//
// Statements are synchronous, so a body that awaits only its `tx` is over before the event loop
// turns. One that is still there some turns later awaits something else and would hold everybody:
// it is undone and told so.
import { CadreError } from "../../errors.ts";
import type { Tx } from "../store.ts";
import { classify } from "./classify.ts";
import { type Access, type Connection, SqliteTx } from "./tx.ts";

const BODIES_PER_COMMIT_MAX = 256;
const TURNS_PER_BODY_MAX = 3;

type Job = {
  readonly access: Access;
  readonly body: (tx: Tx) => Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
};

export class Lane {
  readonly #on: Connection;
  readonly #access: Access;
  #waiting: Job[] = [];
  #isBusy = false;
  #isClosed = false;
  #onIdle: (() => void) | undefined;
  /** Counts bodies, so that the watch can see whether anything moves. */
  #bodies = 0;
  #giveUp: ((error: Error) => void) | undefined;

  /** `access` is what the connection can do; a writing lane also takes bodies that read. */
  constructor(on: Connection, access: Access) {
    this.#on = on;
    this.#access = access;
  }

  add<T>(access: Access, body: (tx: Tx) => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#isClosed) {
        reject(
          new CadreError("store_unavailable", `${this.#on.file} was closed: Cadre is stopping.`),
        );
        return;
      }
      this.#waiting.push({ access, body, resolve: resolve as (value: unknown) => void, reject });
      if (this.#isBusy) return;
      this.#isBusy = true;
      setImmediate(this.#turn);
    });
  }

  /** Resolves when all that was added has ended; nothing can be added any more. */
  close(): Promise<void> {
    this.#isClosed = true;
    if (!this.#isBusy) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onIdle = resolve;
    });
  }

  readonly #turn = async (): Promise<void> => {
    const batch = this.#waiting.slice(0, BODIES_PER_COMMIT_MAX);
    this.#waiting = this.#waiting.slice(BODIES_PER_COMMIT_MAX);
    const unwatch = this.#watch();
    try {
      const begun = await this.#runBatch(batch);
      // The engine gave the transaction up half way: who has not begun yet gets another one.
      if (begun < batch.length) this.#waiting = [...batch.slice(begun), ...this.#waiting];
    } catch (error) {
      const known = classify(error, this.#on.file);
      for (const job of batch) job.reject(known);
      this.#abandonAtLast();
    } finally {
      unwatch();
    }
    if (this.#waiting.length > 0) {
      setImmediate(this.#turn);
      return;
    }
    this.#isBusy = false;
    this.#onIdle?.();
  };

  /** Runs the bodies and commits; how many were begun. Throws when none could be kept. */
  async #runBatch(batch: readonly Job[], guard: Guard = "none"): Promise<number> {
    const ended: Ended[] = [];
    this.#exec(this.#access === "write" ? "BEGIN IMMEDIATE" : "BEGIN");
    for (const job of batch) {
      const outcome = await this.#runBody(job, guard);
      if (outcome.kind === "undone" && outcome.leftChanges) {
        this.#abandon();
        if (batch.length > 1) return await this.#runBatch(batch, "savepoints");
      }
      ended.push({ job, outcome });
      if (!this.#on.db.isTransaction) return this.#settleLost(ended, outcome);
    }
    this.#exec("COMMIT");
    for (const { job, outcome } of ended) this.#settle(job, outcome);
    return batch.length;
  }

  #settle(job: Job, outcome: Outcome): void {
    if (outcome.kind === "kept") job.resolve(outcome.value);
    else job.reject(classify(outcome.error, this.#on.file));
  }

  /** The engine undid all of the transaction because of the last body: nothing was kept. */
  #settleLost(ended: readonly Ended[], last: Outcome): number {
    const cause = last.kind === "undone" ? last.cause : undefined;
    for (const { job, outcome } of ended) {
      if (outcome.kind === "kept") job.reject(this.#lostWith(cause));
      else this.#settle(job, outcome);
    }
    return ended.length;
  }

  async #runBody(job: Job, guard: Guard): Promise<Outcome> {
    const hasSavepoint = guard === "savepoints" && job.access === "write";
    const isGuarded = job.access === "read" && this.#access === "write";
    const tx = new SqliteTx(this.#on, job.access);
    try {
      if (isGuarded) this.#exec("PRAGMA query_only = TRUE");
      if (hasSavepoint) this.#exec("SAVEPOINT body");
      const value = await this.#settled(job.body(tx));
      tx.end();
      if (tx.failure !== undefined) throw tx.failure.error;
      if (hasSavepoint) this.#exec("RELEASE body");
      return { kind: "kept", value };
    } catch (error) {
      tx.end();
      if (hasSavepoint) this.#undoBody();
      const leftChanges = !hasSavepoint && tx.mayHaveChanged;
      return { kind: "undone", error, cause: tx.failure?.error ?? error, leftChanges };
    } finally {
      if (isGuarded) this.#exec("PRAGMA query_only = FALSE");
    }
  }

  #settled(running: Promise<unknown>): Promise<unknown> {
    this.#bodies += 1;
    return new Promise((resolve, reject) => {
      this.#giveUp = reject;
      running.then(resolve, reject);
    });
  }

  /** What bodies hear whose work the engine undid together with another one's. */
  #lostWith(cause: unknown): unknown {
    const known = classify(cause, this.#on.file);
    if (known instanceof CadreError && known.code.startsWith("store_")) return known;
    return new CadreError(
      "store_unavailable",
      `${this.#on.file} gave up a shared transaction; nothing of it was kept. Ask again.`,
      { cause },
    );
  }

  #undoBody(): void {
    // A full disk makes the engine roll all of it back by itself; then there is no savepoint.
    if (!this.#on.db.isTransaction) return;
    try {
      this.#exec("ROLLBACK TO body");
      this.#exec("RELEASE body");
    } catch {
      // What can't be undone alone must not be committed with the others.
      this.#abandon();
    }
  }

  #abandon(): void {
    if (this.#on.db.isTransaction) this.#exec("ROLLBACK");
  }

  #abandonAtLast(): void {
    try {
      this.#abandon();
    } catch {
      // Everyone was told already; if it still holds, the next BEGIN fails and tells again.
    }
  }

  #exec(sql: string): void {
    this.#on.prepare(sql).statement.run();
  }

  #watch(): () => void {
    let seen = this.#bodies;
    let turns = 0;
    const look = () => {
      turns = seen === this.#bodies ? turns + 1 : 0;
      seen = this.#bodies;
      if (turns >= TURNS_PER_BODY_MAX) {
        this.#giveUp?.(
          new Error("A transaction awaited something other than its tx; it was undone."),
        );
      }
      next = setImmediate(look);
    };
    let next = setImmediate(look);
    return () => clearImmediate(next);
  }
}

/** How bodies are kept apart in one transaction. */
type Guard = "none" | "savepoints";

type Ended = { readonly job: Job; readonly outcome: Outcome };

type Outcome =
  | { readonly kind: "kept"; readonly value: unknown }
  | {
      readonly kind: "undone";
      readonly error: unknown;
      /** The statement's own error when one failed, else what the body threw. */
      readonly cause: unknown;
      /** What it changed still stands in the transaction. */
      readonly leftChanges: boolean;
    };
