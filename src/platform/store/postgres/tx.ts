// One body's view of a Postgres transaction.
import pg from "pg";
import { boundedCache } from "../bounded-cache.ts";
import { checkParams } from "../params.ts";
import type { Row, Sql, SqlValue, Tx } from "../store.ts";
import { classify } from "./classify.ts";
import { numbered } from "./numbered.ts";

const SQL: Sql = {
  skipLocked: "FOR UPDATE SKIP LOCKED",
  forUpdate: "FOR UPDATE",
  journalPosition: "pg_current_xact_id()::text::bigint * 65536 + ?",
  journalSettled: "position < pg_snapshot_xmin(pg_current_snapshot())::text::bigint * 65536",
};

const TEXTS_KEPT = 1_024;
/** Each name costs memory on every connection, for good: later texts go without. */
const NAMES_MAX = 512;

type Statement = { readonly text: string; uses: number; name: string | undefined };

/** A text gets a name, and with it a prepared plan, when it comes a second time. */
export type Statements = (sql: string) => { readonly text: string; readonly name?: string };

export function statements(): Statements {
  let names = 0;
  const cached = boundedCache<Statement>(TEXTS_KEPT, (sql) => ({
    text: numbered(sql),
    uses: 0,
    name: undefined,
  }));
  return (sql) => {
    const statement = cached(sql);
    statement.uses += 1;
    if (statement.name === undefined && statement.uses > 1 && names < NAMES_MAX) {
      names += 1;
      statement.name = `cadre_${names}`;
    }
    const { text, name } = statement;
    return name === undefined ? { text } : { text, name };
  };
}

export class PostgresTx implements Tx {
  readonly sql = SQL;
  readonly #client: pg.PoolClient;
  readonly #parts: { readonly statements: Statements; readonly store: string };
  readonly #access: "write" | "read";
  #ended = false;
  #failure: { readonly error: unknown; readonly cause: unknown } | undefined;

  constructor(
    client: pg.PoolClient,
    parts: { readonly statements: Statements; readonly store: string },
    access: "write" | "read",
  ) {
    this.#client = client;
    this.#parts = parts;
    this.#access = access;
  }

  /** The first error of a statement, and what the engine said: only ROLLBACK can follow. */
  get failure(): { readonly error: unknown; readonly cause: unknown } | undefined {
    return this.#failure;
  }

  /** From now on every statement is refused: the transaction is over. */
  end(): void {
    this.#ended = true;
  }

  async all(sql: string, ...params: readonly SqlValue[]): Promise<Row[]> {
    return (await this.#query(sql, params)).rows;
  }

  async get(sql: string, ...params: readonly SqlValue[]): Promise<Row | undefined> {
    return (await this.#query(sql, params)).rows[0];
  }

  async run(sql: string, ...params: readonly SqlValue[]): Promise<number> {
    if (this.#access === "read") {
      throw this.#fail(new Error(`A read can't run a change: ${sql}`));
    }
    return (await this.#query(sql, params)).rowCount ?? 0;
  }

  async #query(sql: string, params: readonly SqlValue[]): Promise<pg.QueryResult<Row>> {
    if (this.#ended) throw new Error(`A statement came after its transaction had ended: ${sql}`);
    if (this.#failure !== undefined) throw this.#failure.error;
    try {
      checkParams(params);
    } catch (error) {
      throw this.#fail(error);
    }
    try {
      return await this.#client.query<Row>({
        ...this.#parts.statements(sql),
        values: params as SqlValue[],
        types: TYPES,
      });
    } catch (error) {
      throw this.#fail(classify(error, this.#parts.store), error);
    }
  }

  #fail(error: unknown, cause: unknown = error): unknown {
    this.#failure ??= { error, cause };
    return error;
  }
}

const BYTEA = 17;

// Numbers are numbers, as on SQLite; a truth is 1 or 0; what no column of ours has stays text.
const PARSERS: { readonly [oid: number]: (text: string) => SqlValue } = {
  16: (text) => (text === "t" ? 1 : 0),
  [BYTEA]: pg.types.getTypeParser(BYTEA) as (text: string) => Uint8Array,
  20: exact,
  21: Number,
  23: Number,
  26: Number,
  700: Number,
  701: Number,
  1700: exact,
};

const asText = (text: string): string => text;

const TYPES = {
  getTypeParser: (oid: number) => PARSERS[oid] ?? asText,
} as unknown as pg.CustomTypesConfig;

/** Sums of BIGINT come as NUMERIC. */
function exact(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
    throw new RangeError(`${text} is past 2^53 and can't be read exactly.`);
  }
  return value;
}
