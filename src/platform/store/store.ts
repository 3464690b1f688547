// The store port: one database, short transactions, one SQL.
//
// The SQL is a portable subset: `?` parameters, integer milliseconds, JSON as text, RETURNING and
// ON CONFLICT. What must differ is a named fragment of `Sql`, never a second text of a query.

export type SqlValue = string | number | null | Uint8Array;
export type Row = { readonly [column: string]: SqlValue };

export type Engine = "sqlite" | "postgres";

/** What differs between the engines, spelled once for each. */
export interface Sql {
  /** Ends a SELECT of rows to be claimed, so that two claimers never wait for each other. */
  readonly skipLocked: string;
  /** Ends a SELECT of rows that must not change until the transaction is over. */
  readonly forUpdate: string;
  /** The position of a journal row; takes one parameter, the row's number in its transaction. */
  readonly journalPosition: string;
  /** A condition that holds for journal rows no running transaction can still slip in before. */
  readonly journalSettled: string;
}

export interface Tx {
  readonly sql: Sql;
  /** All rows. */
  all(sql: string, ...params: readonly SqlValue[]): Promise<Row[]>;
  /** The first row, or undefined. */
  get(sql: string, ...params: readonly SqlValue[]): Promise<Row | undefined>;
  /** How many rows were changed. */
  run(sql: string, ...params: readonly SqlValue[]): Promise<number>;
}

/**
 * Errors: `store_full`, `store_read_only`, `store_corrupt`, `store_unavailable` (later),
 * classified by the engine's adapter; what `body` throws comes out as it is.
 */
export interface Store {
  readonly engine: Engine;
  /**
   * Runs `body` in one transaction: all of it or nothing. Durable when it resolves. Bodies that
   * wait at the same time may share one commit. A body awaits nothing but its `tx`, and may be
   * run again from its start when what it had done was undone.
   */
  write<T>(body: (tx: Tx) => Promise<T>): Promise<T>;
  /** Runs `body` over one consistent snapshot; `run` is refused. */
  read<T>(body: (tx: Tx) => Promise<T>): Promise<T>;
  /** Waits for what is running, then lets go. May be called twice. */
  close(): Promise<void>;
}

/** One step of the schema's history. Once released, never edited. */
export type Migration = {
  /** Unique and ordered over the whole house: `0001-journal`, `0002-tasks`, ... */
  readonly id: string;
  /** Statements that run on both engines, or the texts for each. */
  readonly up: readonly string[] | { readonly [E in Engine]: readonly string[] };
};
