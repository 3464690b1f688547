// One hub on a folder: who holds it, and is that still so?
//
// DESIGN. The lock is the kernel's: a SQLite file held in an exclusive transaction for the life of
// the process, free again the moment the process is gone, however it went. The facts beside it are
// for people and clients, and believed only while the lock is held. Whoever asks takes a shared
// lock for an instant; whoever takes the folder waits that long. A process must not open and close
// the file it holds: POSIX would drop its lock with any handle. So it knows by itself what it holds.
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { CadreError } from "../errors.ts";
import { iso, type Millis } from "../words.ts";
import { classify, isBusy } from "./sqlite/classify.ts";

export type HubFacts = {
  readonly pid: number;
  readonly startedAt: Millis;
  /** Where it listens; absent until it does. */
  readonly url?: string | undefined;
};

export interface FolderLock {
  /** Tells clients something new, such as the address. */
  update(facts: HubFacts): void;
  /** Gives the folder free. May be called twice. */
  release(): void;
}

/** Someone who only asks holds a shared lock for far less than this. */
const ASKING_MS_MAX: Millis = 500;

const LOCK = "hub.lock";
const FACTS = "hub.json";

/** What this process holds, by real path. Kept here, a lock also outlives a caller that forgets it. */
const heldHere = new Map<string, DatabaseSync>();

/**
 * Takes the folder for this process; the folder is made when it is not there.
 * Errors: `already_running`, `store_read_only`, `store_full`.
 */
export function lockFolder(folder: string, facts: HubFacts): FolderLock {
  const file = join(folder, LOCK);
  let db: DatabaseSync | undefined;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (heldHere.has(realpathSync(folder))) throw alreadyRunning(folder, undefined);
    closeSync(openSync(file, "a", 0o600));
    db = new DatabaseSync(file, { timeout: ASKING_MS_MAX });
    db.exec("BEGIN EXCLUSIVE");
    writeFacts(folder, facts);
  } catch (error) {
    db?.close();
    if (error instanceof CadreError) throw error;
    throw isBusy(error) ? alreadyRunning(folder, error) : classify(error, file);
  }
  const held = db;
  const path = realpathSync(folder);
  heldHere.set(path, held);
  return {
    update: (next) => writeFacts(folder, next),
    release() {
      if (!held.isOpen) return;
      heldHere.delete(path);
      rmSync(join(folder, FACTS), { force: true });
      held.close();
    },
  };
}

/** The hub that holds this folder now; undefined when there is none. */
export function readHub(folder: string): HubFacts | undefined {
  return isHeld(join(folder, LOCK)) ? readFacts(folder) : undefined;
}

function isHeld(file: string): boolean {
  let db: DatabaseSync | undefined;
  try {
    if (heldHere.has(realpathSync(dirname(file)))) return true;
    // Opened first by its name: SQLite can't tell a missing file from one that is closed to us.
    closeSync(openSync(file, "r"));
    db = new DatabaseSync(file, { readOnly: true, timeout: 0 });
    db.prepare("SELECT name FROM sqlite_schema LIMIT 1").get();
    return false;
  } catch (error) {
    if (isBusy(error)) return true;
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw classify(error, file);
  } finally {
    db?.close();
  }
}

function writeFacts(folder: string, facts: HubFacts): void {
  const file = join(folder, FACTS);
  const fresh = `${file}.new`;
  writeFileSync(fresh, `${JSON.stringify(facts)}\n`, { mode: 0o600 });
  renameSync(fresh, file);
}

/** Undefined when the holder has not come to writing them yet. */
function readFacts(folder: string): HubFacts | undefined {
  let text: string;
  try {
    text = readFileSync(join(folder, FACTS), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw classify(error, join(folder, FACTS));
  }
  return factsFrom(jsonOf(text));
}

/** Read by hand: every command asks this first, and none should wait for a schema library. */
function factsFrom(value: unknown): HubFacts | undefined {
  const { pid, startedAt, url } = (value ?? {}) as { readonly [name: string]: unknown };
  if (!Number.isSafeInteger(pid) || typeof startedAt !== "number") return undefined;
  if (url !== undefined && typeof url !== "string") return undefined;
  return { pid: pid as number, startedAt, ...(url === undefined ? {} : { url }) };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function alreadyRunning(folder: string, cause: unknown): CadreError {
  const facts = readFacts(folder);
  const who =
    facts === undefined
      ? "that is just starting"
      : `(pid ${facts.pid}, up since ${iso(facts.startedAt)})`;
  return new CadreError(
    "already_running",
    `The folder ${folder} is held by another hub ${who}. Two hubs on one SQLite file would both think they own your tasks.`,
    {
      cause,
      details: { folder, ...(facts === undefined ? {} : { pid: facts.pid }) },
      next: [
        "cadre status                          talk to the one that runs",
        "cadre up --home PATH                  another hub, with a state of its own",
      ],
    },
  );
}
