// agents: who is on the team and what they can do.
//
// Owns table agents. Imports platform, operations.
// A1. A definition is data; an error in it is told with file and line.
// A13. A plan is checked before a single task of it exists.
// Read in order: agent.ts, definition-file.ts, plan.ts, store.ts, operations.ts.
export type { Agent } from "./agent.ts";
export { assembleTeam, loadTeam } from "./definition-file.ts";
export { type AgentContract, agentOperations } from "./operations.ts";
export { checkPlan, planSchema } from "./plan.ts";
export { agentMigrations } from "./store.ts";
