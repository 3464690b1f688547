// models: ask a language model; fall back, cool down; count tokens and money.
//
// Owns table model_cooldowns. Imports platform, operations.
// A4. A model that cools down is not asked; who cools down is known to all runs.
// A5. A rehearsed answer is labelled as such and never chosen silently.
// A3. An answer counts only with exactly one valid finish.
// Read in order: model.ts, names.ts, models.ts, prompt.ts, stream.ts, classify.ts, providers/,
// price.ts, chain.ts, store.ts, operations.ts, script.ts, rehearsal.ts, check.ts, ready.ts.
export { type Choice, type Cooldown, type Cooldowns, chooseCandidate } from "./chain.ts";
export { checkProviders } from "./check.ts";
export type { FailureClass } from "./classify.ts";
export type {
  Model,
  ModelAnswer,
  ModelCall,
  ModelMessage,
  ModelName,
  ModelRequest,
  ModelTool,
  ModelUsage,
} from "./model.ts";
export { createModels, type ModelsOptions } from "./models.ts";
export { defaultModel, type ModelsConfig, type ProviderKind } from "./names.ts";
export { type ModelContract, type ModelFacts, modelOperations } from "./operations.ts";
export { requireModels } from "./ready.ts";
export { modelMigrations } from "./store.ts";
