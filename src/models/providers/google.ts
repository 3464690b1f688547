import { createGoogle } from "@ai-sdk/google";
import type { MakeModel } from "./provider.ts";

/** Google's Gemini API. */
export const makeModel: MakeModel = ({ provider, model, fetch }) =>
  createGoogle({ baseURL: provider.baseUrl, apiKey: provider.key ?? "none", fetch })(model);
