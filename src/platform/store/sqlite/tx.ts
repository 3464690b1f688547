// One body's view of a SQLite connection.
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import { boundedCache } from "../bounded-cache.ts";
import { checkParams } from "../params.ts";
import type { Row, Sql, SqlValue, Tx } from "../store.ts";

const SQL: Sql = { skipLocked: "", journalPosition: "NULL + ?", journalSettled: "TRUE" };

const STATEMENTS_KEPT = 256;

export type Connection = {
  readonly db: DatabaseSync;
  /** As messages name it. */
  readonly file: string;
  readonly prepare: (sql: string) => StatementSync;
};

export function connection(db: DatabaseSync, file: string): Connection {
  return { db, file, prepare: boundedCache(STATEMENTS_KEPT, (sql) => db.prepare(sql)) };
}

export type Access = "write" | "read";

export class SqliteTx implements Tx {
  readonly sql = SQL;
  readonly #connection: Connection;
  readonly #access: Access;
  #ended = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(on: Connection, access: Access) {
    this.#connection = on;
    this.#access = access;
  }

  /** The first error of a statement: the transaction can only be undone then, caught or not. */
  get failure(): { readonly error: unknown } | undefined {
    return this.#failure;
  }

  /** From now on every statement is refused: the transaction is over. */
  end(): void {
    this.#ended = true;
  }

  async all(sql: string, ...params: readonly SqlValue[]): Promise<Row[]> {
    try {
      return this.#open(sql).all(...bound(params)) as Row[];
    } catch (error) {
      throw this.#fail(error);
    }
  }

  async get(sql: string, ...params: readonly SqlValue[]): Promise<Row | undefined> {
    try {
      return this.#open(sql).get(...bound(params)) as Row | undefined;
    } catch (error) {
      throw this.#fail(error);
    }
  }

  async run(sql: string, ...params: readonly SqlValue[]): Promise<number> {
    try {
      if (this.#access === "read") throw new Error(`A read can't run a change: ${sql}`);
      return Number(this.#open(sql).run(...bound(params)).changes);
    } catch (error) {
      throw this.#fail(error);
    }
  }

  #open(sql: string): StatementSync {
    if (this.#ended) throw new Error(`A statement came after its transaction had ended: ${sql}`);
    // As on Postgres: after one failed statement the body can't go on as if nothing was.
    if (this.#failure !== undefined) throw this.#failure.error;
    return this.#connection.prepare(sql);
  }

  #fail(error: unknown): unknown {
    this.#failure ??= { error };
    return error;
  }
}

/** Whole numbers are bound as integers: node:sqlite binds every number as a real one. */
function bound(params: readonly SqlValue[]): SQLInputValue[] {
  checkParams(params);
  const values = params as SQLInputValue[];
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (typeof value === "number" && Number.isInteger(value)) values[i] = BigInt(value);
  }
  return values;
}
