// One body's view of a SQLite connection.
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import { boundedCache } from "../bounded-cache.ts";
import { checkParams } from "../params.ts";
import type { Row, Sql, SqlValue, Tx } from "../store.ts";

const SQL: Sql = {
  // One writer: what it read can't change before it has ended.
  skipLocked: "",
  forUpdate: "",
  journalPosition: "NULL + ?",
  journalSettled: "TRUE",
};

const STATEMENTS_KEPT = 256;

export type Connection = {
  readonly db: DatabaseSync;
  /** As messages name it. */
  readonly file: string;
  readonly prepare: (sql: string) => Prepared;
};

type Prepared = {
  readonly statement: StatementSync;
  /** Names of the columns it gives, in order. */
  readonly columns: readonly string[];
};

export function connection(db: DatabaseSync, file: string): Connection {
  return { db, file, prepare: boundedCache(STATEMENTS_KEPT, (sql) => prepare(db, sql)) };
}

function prepare(db: DatabaseSync, sql: string): Prepared {
  const statement = db.prepare(sql);
  statement.setReturnArrays(true);
  return { statement, columns: statement.columns().map((column) => column.name) };
}

/**
 * An ordinary object made of a row's values. Those that node:sqlite makes itself have no fast
 * properties: a row of forty columns takes twice as long to read and ten times as long to copy.
 */
function rowOf(columns: readonly string[], values: readonly SqlValue[]): Row {
  const row: { [column: string]: SqlValue } = {};
  for (let i = 0; i < columns.length; i++) row[columns[i] as string] = values[i] as SqlValue;
  return row;
}

export type Access = "write" | "read";

export class SqliteTx implements Tx {
  readonly sql = SQL;
  readonly #connection: Connection;
  readonly #access: Access;
  #ended = false;
  #mayHaveChanged = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(on: Connection, access: Access) {
    this.#connection = on;
    this.#access = access;
  }

  /** The first error of a statement: the transaction can only be undone then, caught or not. */
  get failure(): { readonly error: unknown } | undefined {
    return this.#failure;
  }

  /** False: it has only read, and there is nothing to undo. */
  get mayHaveChanged(): boolean {
    return this.#mayHaveChanged;
  }

  /** From now on every statement is refused: the transaction is over. */
  end(): void {
    this.#ended = true;
  }

  async all(sql: string, ...params: readonly SqlValue[]): Promise<Row[]> {
    try {
      const { statement, columns } = this.#open(sql);
      const rows = statement.all(...bound(params)) as unknown as SqlValue[][];
      return rows.map((values) => rowOf(columns, values));
    } catch (error) {
      throw this.#fail(error);
    }
  }

  async get(sql: string, ...params: readonly SqlValue[]): Promise<Row | undefined> {
    try {
      const { statement, columns } = this.#open(sql);
      const values = statement.get(...bound(params)) as unknown as SqlValue[] | undefined;
      return values === undefined ? undefined : rowOf(columns, values);
    } catch (error) {
      throw this.#fail(error);
    }
  }

  async run(sql: string, ...params: readonly SqlValue[]): Promise<number> {
    try {
      if (this.#access === "read") throw new Error(`A read can't run a change: ${sql}`);
      return Number(this.#open(sql).statement.run(...bound(params)).changes);
    } catch (error) {
      throw this.#fail(error);
    }
  }

  #open(sql: string): Prepared {
    if (this.#ended) throw new Error(`A statement came after its transaction had ended: ${sql}`);
    // As on Postgres: after one failed statement the body can't go on as if nothing was.
    if (this.#failure !== undefined) throw this.#failure.error;
    this.#mayHaveChanged ||= this.#access === "write" && !sql.startsWith("SELECT");
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
