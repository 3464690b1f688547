// Every operation there is: the one list that all faces project.
import { agentOperations } from "./agents/index.ts";
import { type SystemFacts, systemOperations } from "./hub/index.ts";
import { type ModelFacts, modelOperations } from "./models/index.ts";
import { eventOperations, housekeepingOperations, type Operation } from "./operations/index.ts";
import { taskOperations } from "./tasks/index.ts";

/** For those who want only what the operations say of themselves. */
const NO_SYSTEM: SystemFacts = {
  version: "",
  engine: "sqlite",
  startedAt: "",
  home: "",
  sandbox: "",
  pid: 0,
};
const NO_MODELS: ModelFacts = { config: { providers: {} }, env: () => undefined };

export const allOperations = (
  facts: SystemFacts = NO_SYSTEM,
  models: ModelFacts = NO_MODELS,
): readonly Operation[] => [
  ...taskOperations,
  ...agentOperations,
  ...modelOperations(models),
  ...systemOperations(facts),
  ...eventOperations,
  ...housekeepingOperations,
];
