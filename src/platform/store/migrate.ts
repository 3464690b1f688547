// The schema's history: what is missing is run, in order, in one transaction.
import { CadreError } from "../errors.ts";
import type { Millis } from "../words.ts";
import type { Engine, Migration, Tx } from "./store.ts";

/**
 * Brings the schema up to `migrations`; nothing happens when it is there already. Either all of
 * it is kept or none. Errors: `store_newer` when the store knows a migration this program does not.
 */
export async function migrate(
  tx: Tx,
  engine: Engine,
  migrations: readonly Migration[],
  now: Millis,
): Promise<void> {
  await tx.run(
    "CREATE TABLE IF NOT EXISTS schema_migrations (id TEXT PRIMARY KEY, at BIGINT NOT NULL)",
  );
  const rows = await tx.all("SELECT id FROM schema_migrations ORDER BY id");
  for (const migration of missing(
    migrations,
    rows.map((row) => String(row["id"])),
  )) {
    for (const statement of textsOf(migration, engine)) await tx.run(statement);
    await tx.run("INSERT INTO schema_migrations (id, at) VALUES (?, ?)", migration.id, now);
  }
}

/** Which migrations are still to run, by id. Throws `store_newer`. */
export function missing(
  migrations: readonly Migration[],
  done: readonly string[],
): readonly Migration[] {
  const known = new Set(migrations.map((migration) => migration.id));
  if (known.size !== migrations.length) throw new Error("Two migrations share an id.");
  const unknown = done.filter((id) => !known.has(id));
  if (unknown.length > 0) {
    throw new CadreError(
      "store_newer",
      `The store was written by a newer Cadre: this one does not know ${unknown.join(", ")}. Use that version again, or another store.`,
      { details: { unknown } },
    );
  }
  const past = new Set(done);
  return migrations
    .filter((migration) => !past.has(migration.id))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
}

function textsOf(migration: Migration, engine: Engine): readonly string[] {
  return "sqlite" in migration.up ? migration.up[engine] : migration.up;
}
