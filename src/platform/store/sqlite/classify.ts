// What SQLite's and the file system's errors mean for Cadre.
import { CadreError, type ErrorCode, messageOf } from "../../errors.ts";

// Result codes of https://www.sqlite.org/rescode.html; the low byte is the primary code.
const PERM = 3;
const BUSY = 5;
const LOCKED = 6;
const READONLY = 8;
const IOERR = 10;
const CORRUPT = 11;
const FULL = 13;
const CANTOPEN = 14;
const NOTADB = 26;
// SQLite says FULL for ENOSPC alone; a quota, and a disk with no room for the shared index of the
// WAL, come as these.
const IOERR_WRITE = 778;
const IOERR_SHMSIZE = 4874;

type Fault = Extract<
  ErrorCode,
  "store_full" | "store_read_only" | "store_corrupt" | "store_unavailable"
>;

/** The fault of the store behind an error; undefined when it is not the store's (a bug, a rule). */
export function faultOf(error: unknown): Fault | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, errcode } = error as { readonly code?: unknown; readonly errcode?: unknown };
  if (code === "ERR_SQLITE_ERROR" && typeof errcode === "number") return sqliteFault(errcode);
  return typeof code === "string" ? fileFault(code) : undefined;
}

function sqliteFault(errcode: number): Fault | undefined {
  if (errcode === IOERR_WRITE || errcode === IOERR_SHMSIZE) return "store_full";
  switch (errcode & 0xff) {
    case FULL:
      return "store_full";
    case READONLY:
    case CANTOPEN:
    case PERM:
      return "store_read_only";
    case CORRUPT:
    case NOTADB:
      return "store_corrupt";
    case BUSY:
    case LOCKED:
    case IOERR:
      return "store_unavailable";
    default:
      return undefined;
  }
}

function fileFault(code: string): Fault | undefined {
  switch (code) {
    case "ENOSPC":
    case "EDQUOT":
      return "store_full";
    case "EACCES":
    case "EPERM":
    case "EROFS":
    case "EISDIR":
    case "ENOTDIR":
      return "store_read_only";
    case "EIO":
    case "EMFILE":
    case "ENFILE":
      return "store_unavailable";
    default:
      return undefined;
  }
}

/** An error of the store as a `CadreError` that names the file; any other error as it is. */
export function classify(error: unknown, file: string): unknown {
  if (error instanceof CadreError) return error;
  const fault = faultOf(error);
  if (fault === undefined) return error;
  const text = `${SAID[fault](file)} (${messageOf(error)})`;
  return new CadreError(fault, text, { cause: error, details: { file }, next: NEXT[fault](file) });
}

const SAID: { readonly [F in Fault]: (file: string) => string } = {
  store_full: (file) => `The disk that holds ${file} is full. Free some space; nothing was lost.`,
  store_read_only: (file) => `${file} can't be written. Make it and its folder yours to write.`,
  store_corrupt: (file) => `${file} is damaged. Move it away and restore the last backup.`,
  store_unavailable: (file) => `${file} does not answer. Look for another program that holds it.`,
};

const NEXT: { readonly [F in Fault]: (file: string) => readonly string[] } = {
  store_full: (file) => [`df -h ${file}`],
  store_read_only: (file) => [`ls -l ${file}`],
  store_corrupt: (file) => [`sqlite3 ${file} .recover`],
  store_unavailable: (file) => [`fuser -v ${file}`],
};

/** Another process holds the lock that was asked for. */
export const isBusy = (error: unknown): boolean =>
  error instanceof Error && ((error as { readonly errcode?: number }).errcode ?? 0) % 256 === BUSY;
