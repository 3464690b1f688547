import { createOpenAI } from "@ai-sdk/openai";
import type { MakeModel } from "./provider.ts";

/** OpenAI's Responses API. */
export const makeModel: MakeModel = ({ provider, model, fetch }) =>
  createOpenAI({ baseURL: provider.baseUrl, apiKey: provider.key ?? "none", fetch }).responses(
    model,
  );
