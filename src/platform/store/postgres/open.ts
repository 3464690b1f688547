// The store of several hubs: a pool of connections, one transaction for each body.
import pg from "pg";
import { CadreError } from "../../errors.ts";
import type { Millis } from "../../words.ts";
import type { World } from "../../world.ts";
import { migrate } from "../migrate.ts";
import type { Migration, Store, Tx } from "../store.ts";
import { classify, nameOf, sqlState } from "./classify.ts";
import { PostgresTx, type Statements, statements } from "./tx.ts";

const CONNECT_MS_MAX: Millis = 10_000;
const STATEMENT_MS_MAX: Millis = 30_000;
/** A body that awaits something other than its `tx` loses its connection after this. */
const IDLE_IN_TRANSACTION_MS_MAX: Millis = 60_000;
const TRIES_MAX = 6;
const PAUSE_MS_MAX: Millis = 200;
/** Two hubs that start at once bring the schema up to date one after the other. */
export const MIGRATION_LOCK = 0x63_61_64_72;

export type PostgresOptions = {
  readonly url: string;
  readonly poolMax: number;
  readonly migrations: readonly Migration[];
  readonly world: Pick<World, "clock" | "random">;
};

type Parts = {
  readonly pool: pg.Pool;
  readonly world: Pick<World, "clock" | "random">;
  readonly statements: Statements;
  /** As messages name it. */
  readonly store: string;
};

/** Connects and brings the schema up to date. Errors: those of `Store`, `store_newer`. */
export async function openPostgres(options: PostgresOptions): Promise<Store> {
  const store = nameOf(options.url);
  const pool = poolOf(options);
  const parts: Parts = { pool, world: options.world, statements: statements(), store };
  try {
    await transact(parts, "write", async (tx) => {
      await tx.get("SELECT pg_advisory_xact_lock(?)", MIGRATION_LOCK);
      await migrate(tx, "postgres", options.migrations, options.world.clock.now());
    });
  } catch (error) {
    await pool.end();
    throw error;
  }
  return storeOf(parts);
}

function storeOf(parts: Parts): Store {
  const running = new Set<Promise<unknown>>();
  let closing: Promise<void> | undefined;

  const start = async <T>(access: Access, body: (tx: Tx) => Promise<T>): Promise<T> => {
    if (closing !== undefined) {
      throw new CadreError("store_unavailable", `${parts.store} was let go: Cadre is stopping.`);
    }
    const run = transact(parts, access, body);
    running.add(run);
    try {
      return await run;
    } finally {
      running.delete(run);
    }
  };
  const close = async () => {
    await Promise.allSettled(running);
    await parts.pool.end();
  };

  return {
    engine: "postgres",
    write: (body) => start("write", body),
    read: (body) => start("read", body),
    close() {
      closing ??= close();
      return closing;
    },
  };
}

function poolOf(options: PostgresOptions): pg.Pool {
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.poolMax,
    connectionTimeoutMillis: CONNECT_MS_MAX,
    query_timeout: STATEMENT_MS_MAX,
    idleTimeoutMillis: 60_000,
    keepAlive: true,
    application_name: "cadre",
    // BEGIN travels together with the first statement.
    pipeline: true,
    onConnect: (client) => configure(client) as unknown as undefined,
  });
  // A connection that dies is found out by whoever uses it, or is idle and replaced: nothing to do.
  pool.on("error", () => undefined);
  pool.on("connect", (client) => client.on("error", () => undefined));
  return pool;
}

/** P1. A server that is set to acknowledge before the disk has it is told otherwise. */
async function configure(client: pg.ClientBase): Promise<void> {
  await client.query(
    `SELECT set_config('synchronous_commit', 'on', FALSE)
     WHERE current_setting('synchronous_commit') IN ('off', 'local')`,
  );
  await client.query(
    `SELECT set_config('statement_timeout', '${STATEMENT_MS_MAX}', FALSE),
      set_config('idle_in_transaction_session_timeout', '${IDLE_IN_TRANSACTION_MS_MAX}', FALSE)`,
  );
}

type Access = "write" | "read";

const BEGIN: { readonly [A in Access]: string } = {
  write: "BEGIN ISOLATION LEVEL READ COMMITTED",
  read: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
};

/** Runs the body, again when another transaction was in its way. */
async function transact<T>(parts: Parts, access: Access, body: (tx: Tx) => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    const outcome = await once(parts, access, body);
    if (outcome.kind === "kept") return outcome.value;
    if (tries >= triesOf(outcome)) throw outcome.error;
    await parts.world.clock.sleep(
      Math.floor(parts.world.random() * PAUSE_MS_MAX * (tries / TRIES_MAX)),
    );
  }
}

type Undone = {
  readonly kind: "undone";
  readonly error: unknown;
  /** What the engine said, when a statement or the commit failed. */
  readonly cause?: unknown;
  /** The connection was dead before anything was asked of it. */
  readonly wasStale?: true;
};
type Outcome<T> = { readonly kind: "kept"; readonly value: T } | Undone;

/** How often a transaction that ended so is tried altogether. */
export function triesOf(outcome: Pick<Undone, "cause" | "wasStale">): number {
  if (outcome.wasStale) return TRIES_MAX;
  switch (sqlState(outcome.cause)) {
    // Serialization failure, deadlock: the engine chose this one to give way.
    case "40001":
    case "40P01":
      return TRIES_MAX;
    // T1. Two of the same key at once: the second try finds the row of the first.
    case "23505":
    // The schema grew under a prepared plan; the next try has a fresh connection.
    case "0A000":
      return 2;
    default:
      return 1;
  }
}

async function once<T>(
  parts: Parts,
  access: Access,
  body: (tx: Tx) => Promise<T>,
): Promise<Outcome<T>> {
  let client: pg.PoolClient;
  try {
    client = await parts.pool.connect();
  } catch (error) {
    return { kind: "undone", error: classify(error, parts.store) };
  }
  const tx = new PostgresTx(client, parts, access);
  // Not awaited here: it travels with the first statement.
  const begun = client.query(BEGIN[access]);
  begun.catch(() => undefined);
  let value: T;
  try {
    value = await whileConnected(client, parts.store, body(tx));
    tx.end();
    if (tx.failure !== undefined) throw tx.failure.error;
    await begun;
  } catch (error) {
    tx.end();
    return await undo(client, parts, { begun, error, cause: tx.failure?.cause });
  }
  if (access === "write") return await commit(client, parts, value);
  // Nothing to keep: the caller need not wait for the end of it.
  client.query("COMMIT").then(
    () => client.release(),
    () => client.release(true),
  );
  return { kind: "kept", value };
}

/** A body that awaits something else for ever ends when the server takes its connection away. */
function whileConnected<T>(client: pg.PoolClient, store: string, running: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const onEnd = () =>
      reject(classify(new Error("The connection ended inside the transaction."), store));
    client.once("end", onEnd);
    running.then(resolve, reject).finally(() => client.off("end", onEnd));
  });
}

async function undo(
  client: pg.PoolClient,
  parts: Parts,
  why: { readonly begun: Promise<unknown>; readonly error: unknown; readonly cause: unknown },
): Promise<Undone> {
  try {
    await why.begun;
  } catch (error) {
    client.release(true);
    return { kind: "undone", error: classify(error, parts.store), wasStale: true };
  }
  try {
    await client.query("ROLLBACK");
    // A plan that no longer fits goes with its connection.
    client.release(sqlState(why.cause) === "0A000");
  } catch {
    // Without a connection the server undoes it by itself; the first error tells more.
    client.release(true);
  }
  return { kind: "undone", error: why.error, cause: why.cause };
}

async function commit<T>(client: pg.PoolClient, parts: Parts, value: T): Promise<Outcome<T>> {
  try {
    await client.query("COMMIT");
    client.release();
    return { kind: "kept", value };
  } catch (error) {
    const state = sqlState(error);
    // A server that is going down (57) or a link that broke (08) says nothing about the commit.
    if (state !== undefined && !/^(?:08|57)/.test(state)) {
      client.release();
      return { kind: "undone", error: classify(error, parts.store), cause: error };
    }
    client.release(true);
    return { kind: "undone", error: unknownOutcome(error, parts.store) };
  }
}

/** The one case where nobody knows: the caller asks again with the same idempotency key. */
function unknownOutcome(error: unknown, store: string): CadreError {
  return new CadreError(
    "store_unavailable",
    `${store} went away during a commit: it may or may not have been kept. Ask again with the same idempotency key.`,
    { cause: error, details: { store, outcome: "unknown" } },
  );
}
