// A fresh store for one test, on the engine the run is for; gone when the test ends.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import pg from "pg";
import {
  idMaker,
  type Migration,
  openPostgres,
  openSqlite,
  realWorld,
  type Store,
} from "../../src/platform/index.ts";

const world = realWorld();
const newId = idMaker(world);

/** SQLite, or the Postgres that `CADRE_TEST_POSTGRES` names. Closed and removed after the test. */
export async function openTestStore(
  t: TestContext,
  migrations: readonly Migration[],
): Promise<Store> {
  const server = world.env("CADRE_TEST_POSTGRES");
  const place = server === undefined ? await freshFile() : await freshSchema(server);
  try {
    const store =
      server === undefined
        ? await openSqlite({ file: place.at, migrations, world })
        : await openPostgres({ url: place.at, poolMax: 8, migrations, world });
    t.after(async () => {
      await store.close();
      await place.remove();
    });
    return store;
  } catch (error) {
    await place.remove();
    throw error;
  }
}

export type Place = {
  /** Path of a file, or address of a database. */
  readonly at: string;
  remove(): Promise<void>;
};

/** Path for a database file, in a folder of its own. */
export async function freshFile(): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), "cadre-store-"));
  return {
    at: join(folder, "cadre.db"),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** A new, empty schema in the database of this server: much quicker than a database. */
export async function freshSchema(server: string): Promise<Place> {
  const name = newId("cadre_test");
  await ask(server, `CREATE SCHEMA ${name}`);
  const url = new URL(server);
  url.searchParams.set("options", `-c search_path=${name}`);
  return { at: url.href, remove: () => ask(server, `DROP SCHEMA ${name} CASCADE`) };
}

/** A new, empty database in this server, for what a schema shares with its neighbours. */
export async function freshDatabase(server: string): Promise<Place> {
  const name = newId("cadre_test");
  await ask(server, `CREATE DATABASE ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return { at: url.href, remove: () => ask(server, `DROP DATABASE ${name} WITH (FORCE)`) };
}

async function ask(server: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: server });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
