// platform: words and ground everyone stands on; ports to store, bus and world, with their engines.
//
// Owns table journal. Imports no room.
// F3. Events are read by position; nothing can appear behind a cursor.
// P1. A write is durable when it resolves.
// Read in order: words.ts, errors.ts, world.ts, ids.ts, store/store.ts, journal.ts, bus/bus.ts.
export { type Bus, EVERY_TOPIC } from "./bus/bus.ts";
export { localBus } from "./bus/local.ts";
export type { Check } from "./check.ts";
export { Doorbell, ringsFor } from "./doorbell.ts";
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
export { nearest } from "./nearest.ts";
export { openPostgres, postgresBus } from "./postgres.ts";
export { type Command, type Exit, KILL_AFTER_MS, type Processes } from "./processes.ts";
export { type Path, pathText, type SchemaProblem, schemaProblems } from "./schema-problems.ts";
export { boundedCache } from "./store/bounded-cache.ts";
export { checkStore } from "./store/check.ts";
export { type FolderLock, type HubFacts, lockFolder, readHub } from "./store/lock.ts";
export { pageRows } from "./store/page-rows.ts";
export { openSqlite } from "./store/sqlite/open.ts";
export type { Engine, Migration, Row, Sql, SqlValue, Store, Tx } from "./store/store.ts";
export {
  assert,
  iso,
  type Json,
  type Millis,
  type NodeId,
  type RunId,
  type TaskId,
  unreachable,
} from "./words.ts";
export { type Clock, realWorld, type World } from "./world.ts";
export {
  parseYaml,
  readYaml,
  type YamlOptions,
  type YamlProblem,
  type YamlText,
  yamlError,
} from "./yaml.ts";
