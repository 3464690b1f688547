// The store of one machine: one file, one writer, durable at every commit.
import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { CadreError } from "../../errors.ts";
import { realWorld, type World } from "../../world.ts";
import { migrate } from "../migrate.ts";
import type { Migration, Store } from "../store.ts";
import { classify } from "./classify.ts";
import { Lane } from "./lane.ts";
import { connection } from "./tx.ts";

/** A statement that meets a lock of another program blocks the whole process: not for long. */
const BUSY_MS_MAX = 500;
const CACHE_KIB = 16_384;
/** The log of changes is cut back to this after a checkpoint; a burst may take it further. */
const WAL_BYTES_KEPT = 64 * 1024 * 1024;

export type SqliteOptions = {
  /** Made, with its folder, when it is not there, for the owner only. `:memory:` for tests. */
  readonly file: string;
  readonly migrations: readonly Migration[];
  readonly world?: Pick<World, "clock">;
};

/** Opens the file and brings its schema up to date. Errors: those of `Store`, `store_newer`. */
export async function openSqlite(options: SqliteOptions): Promise<Store> {
  const { file, migrations, world = realWorld() } = options;
  const open: DatabaseSync[] = [];
  try {
    if (file !== ":memory:") makeFile(file);
    const writer = new DatabaseSync(file, { timeout: BUSY_MS_MAX });
    open.push(writer);
    makeDurable(writer, file);
    const writes = new Lane(connection(writer, file), "write");
    await writes.add("write", (tx) => migrate(tx, "sqlite", migrations, world.clock.now()));

    // Two connections to `:memory:` would be two stores.
    if (file === ":memory:") return storeOf(writes, writes, open);
    const reader = new DatabaseSync(file, { timeout: BUSY_MS_MAX, readOnly: true });
    open.push(reader);
    reader.exec(`PRAGMA cache_size = -${CACHE_KIB}`);
    return storeOf(writes, new Lane(connection(reader, file), "read"), open);
  } catch (error) {
    for (const db of open) db.close();
    throw classify(error, file);
  }
}

function storeOf(writes: Lane, reads: Lane, open: readonly DatabaseSync[]): Store {
  let closing: Promise<void> | undefined;
  const close = async () => {
    await Promise.all([writes.close(), reads.close()]);
    // The writer last: it takes the write-ahead log with it.
    for (const db of open.toReversed()) db.close();
  };
  return {
    engine: "sqlite",
    write: (body) => writes.add("write", body),
    read: (body) => reads.add("read", body),
    close() {
      closing ??= close();
      return closing;
    },
  };
}

/** The log and the index beside the file take over its mode. */
function makeFile(file: string): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  closeSync(openSync(file, "a", 0o600));
}

/** P1. WAL with synchronous=FULL: a commit is on the disk when it returns. */
export function makeDurable(db: DatabaseSync, file: string): void {
  const mode = db.prepare("PRAGMA journal_mode = WAL").get()?.["journal_mode"];
  if (mode !== "wal" && file !== ":memory:") {
    throw new CadreError(
      "store_unavailable",
      `${file} can't keep a write-ahead log (mode: ${mode}). Put it on a local disk.`,
      { details: { file } },
    );
  }
  db.exec(`PRAGMA synchronous = FULL; PRAGMA cache_size = -${CACHE_KIB};
    PRAGMA journal_size_limit = ${WAL_BYTES_KEPT}; PRAGMA temp_store = MEMORY`);
}
