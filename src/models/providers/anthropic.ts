import { createAnthropic } from "@ai-sdk/anthropic";
import type { MakeModel } from "./provider.ts";

/** Anthropic's Messages API. */
export const makeModel: MakeModel = ({ provider, model, fetch }) =>
  createAnthropic({ baseURL: provider.baseUrl, apiKey: provider.key ?? "none", fetch })(model);
