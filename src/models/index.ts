// models: ask a language model; count tokens and money.
//
// Owns no table yet. Imports platform.
// A5. A rehearsed answer is labelled as such and never chosen silently.
// A3. An answer counts only with exactly one valid finish.
// Read in order: model.ts, names.ts, models.ts, prompt.ts, stream.ts, classify.ts, providers/,
// price.ts, script.ts, rehearsal.ts, check.ts.
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
export { rehearsalModel } from "./rehearsal.ts";
export { type Script, script } from "./script.ts";
