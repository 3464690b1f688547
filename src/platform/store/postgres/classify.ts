// What Postgres' errors, and those of the way to it, mean for Cadre.
import pg from "pg";
import { CadreError, type ErrorCode, messageOf } from "../../errors.ts";

type Fault = Extract<
  ErrorCode,
  "store_full" | "store_read_only" | "store_corrupt" | "store_unavailable"
>;

/** The SQLSTATE the server gave; undefined when the error is not the server's. */
export const sqlState = (error: unknown): string | undefined =>
  error instanceof pg.DatabaseError ? error.code : undefined;

// https://www.postgresql.org/docs/current/errcodes-appendix.html
const FAULT_OF_STATE: { readonly [state: string]: Fault } = {
  "53100": "store_full",
  "25006": "store_read_only",
  "42501": "store_read_only",
  XX001: "store_corrupt",
  XX002: "store_corrupt",
};

/** Connection, authorization, no such database, resources, operator intervention, system error. */
const UNAVAILABLE_CLASSES = new Set(["08", "28", "3D", "53", "55", "57", "58"]);
/** A conflict that lasted over all tries, and a transaction the server gave up. */
const UNAVAILABLE_STATES = new Set(["40001", "40P01", "25P03"]);

/** The fault of the store behind an error of the server; undefined for a bug or a broken rule. */
export function faultOf(state: string): Fault | undefined {
  const fault = FAULT_OF_STATE[state];
  if (fault !== undefined) return fault;
  const isUnavailable = UNAVAILABLE_STATES.has(state) || UNAVAILABLE_CLASSES.has(state.slice(0, 2));
  return isUnavailable ? "store_unavailable" : undefined;
}

/**
 * An error that a call of `pg` ended with, as Cadre's. What is not the server's own answer is the
 * way to it: sockets, time-outs, a connection that ended.
 */
export function classify(error: unknown, store: string): unknown {
  if (error instanceof CadreError) return error;
  const state = sqlState(error);
  const fault = state === undefined ? "store_unavailable" : faultOf(state);
  if (fault === undefined) return error;
  return new CadreError(fault, `${SAID[fault](store)} (${messageOf(error) || String(error)})`, {
    cause: error,
    details: { store, ...(state === undefined ? {} : { sqlState: state }) },
  });
}

const SAID: { readonly [F in Fault]: (store: string) => string } = {
  store_full: (store) => `The disk of ${store} is full. Free some space; nothing was lost.`,
  store_read_only: (store) =>
    `${store} can't be written. Connect to the primary, as a user that may write.`,
  store_corrupt: (store) => `${store} says it is damaged. Restore the last backup.`,
  store_unavailable: (store) => `${store} does not answer. Check that it runs and its address.`,
};

/** How messages name a store: where it is, never its password. */
export function nameOf(url: string): string {
  const parsed = URL.parse(url);
  if (parsed === null) return "Postgres";
  const host = parsed.searchParams.get("host") ?? parsed.host;
  return `Postgres ${host || "localhost"}${parsed.pathname}`;
}
