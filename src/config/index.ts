// config: layers and validation of the whole configuration.
//
// Owns no table yet. Imports platform.
// O1. defaults < project file < user file < environment < flags; an error names file, line and the
// nearest valid name.
// Read in order: config.ts, layers.ts, load.ts.
export { type Config, config } from "./config.ts";
export { storeFrom } from "./layers.ts";
export {
  type LoadedConfig,
  type LoadOptions,
  loadConfig,
  type Origin,
} from "./load.ts";
