// platform: words and ground everyone stands on; ports to store, bus and world, with their engines.
//
// Owns table journal. Imports no room.
// F3. Events are read by position; nothing can appear behind a cursor.
// P1. A write is durable when it resolves.
// Read in order: words.ts, errors.ts, world.ts, ids.ts, store/store.ts, journal.ts, bus/bus.ts.
export type { Bus } from "./bus/bus.ts";
export { localBus } from "./bus/local.ts";
export type { Check } from "./check.ts";
export { asCadreError, CadreError, ERROR_CODES, type ErrorCode, messageOf } from "./errors.ts";
export { idMaker, type NewId } from "./ids.ts";
export {
  appendEvents,
  type EventFilter,
  type JournalEvent,
  journalHead,
  journalMigration,
  type NewEvent,
  readEvents,
} from "./journal.ts";
export { type Log, processLog, silentLog } from "./log.ts";
export { type Command, type Exit, KILL_AFTER_MS, type Processes } from "./processes.ts";
export type { Engine, Migration, Row, Sql, SqlValue, Store, Tx } from "./store/store.ts";
export { assert, iso, type Json, type Millis, type NodeId, type RunId, type TaskId, unreachable } from "./words.ts";
export { type Clock, realWorld, type World } from "./world.ts";
