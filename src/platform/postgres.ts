// The Postgres parts, loaded when they are used: a hub on SQLite, and every command that only
// talks to a hub, start without the Postgres client.
import type { PostgresBus, PostgresBusOptions } from "./bus/postgres.ts";
import type { PostgresOptions } from "./store/postgres/open.ts";
import type { Store } from "./store/store.ts";

export async function openPostgres(options: PostgresOptions): Promise<Store> {
  return await (await import("./store/postgres/open.ts")).openPostgres(options);
}

export async function postgresBus(options: PostgresBusOptions): Promise<PostgresBus> {
  return (await import("./bus/postgres.ts")).postgresBus(options);
}
