// What an answer cost, from the tokens the provider counted.
import type { World } from "../platform/index.ts";
import type { ModelName, ModelUsage } from "./model.ts";
import { type OwnPrices, type ProviderKind, splitModel } from "./names.ts";

export type TokenCounts = Pick<ModelUsage, "tokensIn" | "tokensOut" | "tokensCached"> & {
  /** The part of `tokensIn` that was written to the provider's cache, which costs extra. */
  readonly tokensCacheWritten?: number;
};

/**
 * Dollars for these tokens; null when no price is known. Own prices win; without an own price for
 * cached tokens they cost as much as any other input.
 */
export async function costOf(
  model: ModelName,
  counts: TokenCounts,
  ownPrices: OwnPrices,
  options: { readonly kind?: ProviderKind; readonly clock: World["clock"] },
): Promise<number | null> {
  const cached = Math.min(counts.tokensCached, counts.tokensIn);
  const own = Object.hasOwn(ownPrices, model) ? ownPrices[model] : undefined;
  if (own !== undefined) {
    const fresh = counts.tokensIn - cached;
    const total =
      fresh * own.input + cached * (own.cached ?? own.input) + counts.tokensOut * own.output;
    return total / 1_000_000;
  }
  const { provider, model: name } = splitModel(model);
  const written = Math.min(counts.tokensCacheWritten ?? 0, counts.tokensIn - cached);
  const { calcPrice } = await import("@pydantic/genai-prices");
  try {
    const price = calcPrice(
      {
        input_tokens: counts.tokensIn,
        cache_read_tokens: cached,
        cache_write_tokens: written,
        output_tokens: counts.tokensOut,
      },
      name,
      // Some prices depend on the day or the hour.
      { providerId: priceList(provider, options.kind), timestamp: new Date(options.clock.now()) },
    );
    return price?.total_price ?? null;
  } catch {
    // The table refuses counts it has no unit for. An answer we have is not lost over its price.
    return null;
  }
}

// A provider of one's own that speaks to a vendor is priced as that vendor; a compatible server
// by its name (groq, deepseek, openrouter), so that a local model is never priced as a cloud one.
function priceList(provider: string, kind: ProviderKind | undefined): string {
  switch (kind) {
    case "anthropic":
    case "google":
      return kind;
    case "openai":
    case "openai-chat":
      return "openai";
    case "openai-compatible":
    case undefined:
      return provider;
  }
}
