// operations: what an operation is, and the one pipeline that runs it.
//
// Owns table idempotency. Imports platform.
// F2. Faces project operations; they have no rule of their own.
// T1. The same idempotency key returns the first answer for seven days; another body is a conflict.
// P12. A change, its answer under a key and its journal entries commit together.
// Read in order: operation.ts, principal.ts, invoke.ts, housekeeping.ts, stream.ts, tail.ts, client.ts,
// remote-client.ts.
export {
  type CallOptions,
  type Client,
  type Contract,
  type FollowOptions,
  localClient,
} from "./client.ts";
export {
  type EventContract,
  type EventView,
  encodeEvent,
  eventFilter,
  eventOperations,
} from "./events.ts";
export {
  type HousekeepingContract,
  housekeepingOperations,
  IDEMPOTENCY_KEPT_MS,
  idempotencyAgeMigration,
} from "./housekeeping.ts";
export {
  createInvoker,
  type Invoker,
  type InvokerParts,
  idempotencyMigration,
  type Request,
} from "./invoke.ts";
export {
  type CommandHints,
  type Context,
  type ContractOf,
  INPUT_BYTES_MAX,
  type Method,
  type Operation,
  operation,
  type Resource,
} from "./operation.ts";
export {
  type Authenticator,
  type Authorizer,
  type Credentials,
  type Permission,
  type Principal,
  ROLES,
  type Role,
} from "./principal.ts";
export { type HubState, type RemoteOptions, remoteClient } from "./remote-client.ts";
export { type EventStream, eventStream } from "./stream.ts";
export { PAGE_EVENTS_MAX } from "./tail.ts";
