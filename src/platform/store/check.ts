// What `cadre doctor` finds out about the store: can it be written, is there room, is it durable?
import { existsSync, mkdtempSync, rmSync, statfsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Check } from "../check.ts";
import { CadreError, messageOf } from "../errors.ts";
import type { Millis } from "../words.ts";
import { classify as sqliteError } from "./sqlite/classify.ts";
import { makeDurable } from "./sqlite/open.ts";

export type StorePlace =
  | { readonly engine: "sqlite"; readonly file: string }
  | { readonly engine: "postgres"; readonly url: string };

const NAME = "Store";
/** Less than this is a day's work away from a full disk. */
const FREE_BYTES_MIN = 1024 ** 3;
const ASK_MS_MAX: Millis = 5_000;

/** Tries the store out, beside a hub that runs or without one. Changes nothing in it. */
export async function checkStore(place: StorePlace): Promise<Check> {
  try {
    return place.engine === "sqlite" ? checkSqlite(place.file) : await checkPostgres(place.url);
  } catch (error) {
    const known = error instanceof CadreError ? error : undefined;
    return { name: NAME, level: "fail", found: messageOf(error), mend: known?.next ?? [] };
  }
}

function checkSqlite(file: string): Check {
  let folder = dirname(resolve(file));
  // Before the first start there is no folder yet: it will be made in the nearest one there is.
  while (!existsSync(folder) && folder !== dirname(folder)) folder = dirname(folder);
  try {
    const version = tryCommit(folder);
    if (existsSync(file)) lookInto(file);
    const { bavail, bsize } = statfsSync(folder);
    return found(`SQLite ${version} in ${folder}: WAL, synchronous=FULL`, bavail * bsize, folder);
  } catch (error) {
    throw sqliteError(error, file);
  }
}

function found(what: string, freeBytes: number, folder: string): Check {
  const free = `${(freeBytes / FREE_BYTES_MIN).toFixed(1)} GiB free`;
  if (freeBytes >= FREE_BYTES_MIN) {
    return { name: NAME, level: "ok", found: `${what}, ${free}`, mend: [] };
  }
  return { name: NAME, level: "warn", found: `${what}, only ${free}`, mend: [`df -h ${folder}`] };
}

/** A commit of a database beside the real one, with the same settings; SQLite's version. */
function tryCommit(folder: string): string {
  const trial = mkdtempSync(join(folder, ".doctor-"));
  const file = join(trial, "trial.db");
  try {
    const db = new DatabaseSync(file);
    try {
      makeDurable(db, file);
      const synchronous = db.prepare("PRAGMA synchronous").get()?.["synchronous"];
      if (synchronous !== 2) throw new Error(`PRAGMA synchronous is ${synchronous}, not FULL (2).`);
      db.exec("CREATE TABLE trial (n INTEGER); INSERT INTO trial VALUES (1)");
      return String(db.prepare("SELECT sqlite_version() AS version").get()?.["version"]);
    } finally {
      db.close();
    }
  } finally {
    rmSync(trial, { recursive: true, force: true });
  }
}

/** Reads the schema, which a file that is no database, or a damaged one, doesn't give. */
function lookInto(file: string): void {
  const db = new DatabaseSync(file, { readOnly: true, timeout: ASK_MS_MAX });
  try {
    db.prepare("SELECT COUNT(*) FROM sqlite_schema").get();
  } finally {
    db.close();
  }
}

async function checkPostgres(url: string): Promise<Check> {
  const { default: pg } = await import("pg");
  const { classify: postgresError, nameOf } = await import("./postgres/classify.ts");
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: ASK_MS_MAX,
    query_timeout: ASK_MS_MAX,
  });
  client.on("error", () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ version: string; fsync: string; read_only: string }>(
      `SELECT current_setting('server_version') AS version, current_setting('fsync') AS fsync,
        current_setting('transaction_read_only') AS read_only`,
    );
    return postgresFound(nameOf(url), rows[0] ?? { version: "?", fsync: "?", read_only: "?" });
  } catch (error) {
    throw postgresError(error, nameOf(url));
  } finally {
    await client.end().catch(() => undefined);
  }
}

type ServerFacts = { readonly version: string; readonly fsync: string; readonly read_only: string };

function postgresFound(store: string, server: ServerFacts): Check {
  const what = `${store}, version ${server.version}`;
  if (server.read_only === "on") {
    return {
      name: NAME,
      level: "fail",
      found: `${what}: it takes no writes`,
      mend: ["Give the address of the primary."],
    };
  }
  if (server.fsync !== "on") {
    return {
      name: NAME,
      level: "warn",
      found: `${what}: fsync is ${server.fsync}, a power cut can lose acknowledged work`,
      mend: ["Set fsync = on in postgresql.conf."],
    };
  }
  return { name: NAME, level: "ok", found: `${what}: fsync, synchronous_commit`, mend: [] };
}
