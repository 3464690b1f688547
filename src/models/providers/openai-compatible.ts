import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import type { MakeModel } from "./provider.ts";

/** Any server that speaks Chat Completions: Ollama, vLLM, LM Studio, DeepSeek, Groq, ... */
export const makeModel: MakeModel = ({ provider, model, fetch }) =>
  createOpenAICompatible({
    name: provider.name,
    baseURL: provider.baseUrl,
    // Local servers want no key; an empty one would be sent as a header.
    ...(provider.key === undefined ? {} : { apiKey: provider.key }),
    includeUsage: true,
    fetch,
  })(model);
