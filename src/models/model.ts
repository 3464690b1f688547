// The model port: one streamed step at a time, whatever the provider.
import type { Json, Millis } from "../platform/index.ts";

/** `provider/model`, as `anthropic/claude-sonnet-4-5`; `rehearsal/<script>` for a scripted one. */
export type ModelName = `${string}/${string}`;

export type ModelCall = {
  readonly id: string;
  readonly tool: string;
  /** As the model wrote it: JSON text that may be malformed. */
  readonly arguments: string;
  /** What the provider wants back with this call (signatures, item ids). */
  readonly metadata?: Json;
};

export type ModelMessage =
  | { readonly role: "user"; readonly text: string }
  | {
      readonly role: "assistant";
      readonly text: string;
      readonly calls: readonly ModelCall[];
      /** The provider's own parts of that answer, as `ModelAnswer.metadata` gave them. */
      readonly metadata?: Json;
    }
  | {
      readonly role: "tool";
      readonly results: readonly {
        readonly call: string;
        readonly tool: string;
        readonly text: string;
        readonly isError: boolean;
      }[];
    };

export type ModelTool = {
  readonly name: string;
  readonly description: string;
  /** JSON Schema of the arguments. */
  readonly input: { readonly [key: string]: Json };
};

export type ModelRequest = {
  readonly model: ModelName;
  /** Who asks: what a scripted model picks its script by. */
  readonly agent: string;
  readonly system: string;
  readonly messages: readonly ModelMessage[];
  readonly tools: readonly ModelTool[];
  readonly outputTokensMax: number;
  readonly signal: AbortSignal;
  /** Hears text as it comes. What it heard counts for nothing until the answer resolves. */
  onText?(delta: string): void;
};

export type ModelUsage = {
  readonly tokensIn: number;
  readonly tokensOut: number;
  /** The part of `tokensIn` that was read from the provider's cache. */
  readonly tokensCached: number;
  /** Null when the price of the model is not known: shown as "unpriced", never as 0. */
  readonly costUsd: number | null;
};

export type ModelAnswer = {
  readonly model: ModelName;
  readonly text: string;
  readonly calls: readonly ModelCall[];
  readonly finish: "stop" | "tool-calls" | "length" | "content-filter" | "other";
  readonly usage: ModelUsage;
  /** Provider's parts to be sent back on the next call of the same provider. */
  readonly metadata?: Json;
  /** True when a script spoke and no model was called. */
  readonly rehearsed: boolean;
  readonly tookMs: Millis;
};

export interface Model {
  /**
   * One answer, complete: exactly one valid finish was seen. Throws `CadreError` `model_failed`
   * (retry by its `details.retry`: "never" | "later"; `details.class` names the kind of failure),
   * `no_model` when the name or its key is not configured, `stopped` when the signal aborted.
   */
  answer(request: ModelRequest): Promise<ModelAnswer>;
}
