// Wire formats: one small file each, loaded when the first model of that kind is asked.
import type { LanguageModelV4 } from "@ai-sdk/provider";
import type { Provider, ProviderKind } from "../names.ts";

export type MakeModel = (options: {
  readonly provider: Provider;
  /** The model's name at the provider. */
  readonly model: string;
  readonly fetch: typeof fetch;
}) => LanguageModelV4;

/** Loads a wire format. The providers take about 100 ms each, which no other command should pay. */
export async function loadProvider(kind: ProviderKind): Promise<MakeModel> {
  switch (kind) {
    case "anthropic":
      return (await import("./anthropic.ts")).makeModel;
    case "openai":
      return (await import("./openai.ts")).makeModel;
    case "openai-chat":
      return (await import("./openai-chat.ts")).makeModel;
    case "google":
      return (await import("./google.ts")).makeModel;
    case "openai-compatible":
      return (await import("./openai-compatible.ts")).makeModel;
  }
}
