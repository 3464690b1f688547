// hub: loops beside the database; no rules of their own.
//
// Owns no table. Imports platform, operations, types of tasks.
// T14. The sweep runs all the time, not only at start.
// Read in order: sweeper.ts, housekeeper.ts, operations.ts.

export { Housekeeper } from "./housekeeper.ts";
export { type SystemContract, type SystemFacts, systemOperations } from "./operations.ts";
export { Sweeper, type SweeperParts } from "./sweeper.ts";
