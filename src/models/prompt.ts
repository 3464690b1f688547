// Our conversation as the providers take it, kept legal for whichever provider comes next.
//
// DESIGN. A transcript names only text, calls and results. What else a provider gave with an answer
// (signed thinking, item ids) is kept apart, in the message's `metadata`, with the provider's name.
// It goes back word for word to that provider, and to no other. Text parts are kept as slices of
// the answer's text, so that nothing stands in the transcript twice.
import type {
  LanguageModelV4FunctionTool,
  LanguageModelV4Message,
  LanguageModelV4Prompt,
  SharedV4ProviderMetadata,
} from "@ai-sdk/provider";
import { z } from "zod";
import { type Json, unreachable } from "../platform/index.ts";
import type { ModelCall, ModelMessage, ModelRequest } from "./model.ts";
import type { ProviderKind } from "./names.ts";

type AssistantContent = Extract<LanguageModelV4Message, { role: "assistant" }>["content"];
type ToolContent = Extract<LanguageModelV4Message, { role: "tool" }>["content"];
type Results = Extract<ModelMessage, { role: "tool" }>["results"];
type AssistantMessage = Extract<ModelMessage, { role: "assistant" }>;

const providerMetadata = z.record(z.string(), z.record(z.string(), z.json()));

const keptPart = z.discriminatedUnion("type", [
  /** Characters `from` to `to` of the answer's text. */
  z.object({
    type: z.literal("text"),
    from: z.int(),
    to: z.int(),
    metadata: providerMetadata.optional(),
  }),
  z.object({
    type: z.literal("reasoning"),
    text: z.string(),
    metadata: providerMetadata.optional(),
  }),
  z.object({ type: z.literal("custom"), kind: z.string(), metadata: providerMetadata.optional() }),
  /** The answer's call of this index, which has its own metadata. */
  z.object({ type: z.literal("call"), index: z.int() }),
]);
export type KeptPart = z.infer<typeof keptPart>;

const keptParts = z.object({ provider: z.string(), parts: z.array(keptPart) });

/** What an answer's `metadata` holds; undefined when text and calls say all there is. */
export function keep(
  provider: string,
  parts: readonly KeptPart[],
  calls: readonly ModelCall[],
): Json | undefined {
  const isPlain = (part: KeptPart): boolean =>
    part.type === "call" || (part.type === "text" && part.metadata === undefined);
  if (parts.every(isPlain) && calls.every((call) => call.metadata === undefined)) return undefined;
  return { provider, parts: parts.map((part) => ({ ...part })) as Json[] };
}

type Reader = { readonly name: string; readonly kind: ProviderKind };

/** The whole request as a prompt of the provider that will read it. */
export function promptOf(request: ModelRequest, reader: Reader): LanguageModelV4Prompt {
  const prompt: LanguageModelV4Prompt = [];
  if (request.system !== "") prompt.push({ role: "system", content: request.system });

  const { messages } = request;
  const answered = new Set<Results[number]>();
  messages.forEach((message, index) => {
    switch (message.role) {
      case "user":
        prompt.push({ role: "user", content: [{ type: "text", text: message.text }] });
        break;
      case "assistant": {
        const content = assistantContent(message, reader.name);
        if (content.length > 0) prompt.push({ role: "assistant", content });
        if (message.calls.length === 0) break;
        const results = resultsAfter(messages, index);
        for (const result of results) answered.add(result);
        prompt.push({
          role: "tool",
          content: message.calls.map((call) => resultOf(call, results)),
        });
        break;
      }
      case "tool":
        for (const result of message.results) {
          if (answered.has(result)) continue;
          // Its call is not in the conversation (any more): providers would refuse it as a result.
          const text = `Result of ${result.tool}:\n${result.text}`;
          prompt.push({ role: "user", content: [{ type: "text", text }] });
        }
    }
  });
  return reader.kind === "anthropic" ? withCacheMarks(prompt) : prompt;
}

function assistantContent(message: AssistantMessage, reader: string): AssistantContent {
  const kept = keptParts.safeParse(message.metadata);
  // Signatures mean nothing to another provider, or are refused there.
  const isOwn = kept.success && kept.data.provider === reader;
  const parts: readonly KeptPart[] = isOwn ? kept.data.parts : plainParts(message);
  return parts.flatMap((part) => contentOf(part, message, isOwn));
}

function contentOf(part: KeptPart, message: AssistantMessage, isOwn: boolean): AssistantContent {
  switch (part.type) {
    case "text": {
      const text = message.text.slice(part.from, part.to);
      // Empty text is refused by some, but may carry a signature for others.
      if (text === "" && part.metadata === undefined) return [];
      return [{ type: "text", text, ...optionsOf(part.metadata) }];
    }
    case "reasoning":
      return [{ type: "reasoning", text: part.text, ...optionsOf(part.metadata) }];
    case "custom": {
      const kind = part.kind as `${string}.${string}`;
      return [{ type: "custom", kind, ...optionsOf(part.metadata) }];
    }
    case "call": {
      const call = message.calls[part.index];
      if (call === undefined) return [];
      const metadata = isOwn ? providerMetadata.safeParse(call.metadata).data : undefined;
      const toolCallId = legalId(call.id);
      return [
        {
          type: "tool-call",
          toolCallId,
          toolName: call.tool,
          input: argumentsOf(call),
          ...optionsOf(metadata),
        },
      ];
    }
    default:
      return unreachable(part);
  }
}

const plainParts = (message: AssistantMessage): KeptPart[] => [
  { type: "text", from: 0, to: message.text.length },
  ...message.calls.map((_, index) => ({ type: "call", index }) as const),
];

const optionsOf = (
  metadata: SharedV4ProviderMetadata | undefined,
): { providerOptions?: SharedV4ProviderMetadata } =>
  metadata === undefined ? {} : { providerOptions: metadata };

/** The results told before the next answer: wherever they stand, they belong to these calls. */
function resultsAfter(messages: readonly ModelMessage[], index: number): Results[number][] {
  const results: Results[number][] = [];
  for (const message of messages.slice(index + 1)) {
    if (message.role === "assistant") break;
    if (message.role === "tool") results.push(...message.results);
  }
  return results;
}

function resultOf(call: ModelCall, results: readonly Results[number][]): ToolContent[number] {
  const result = results.find((one) => one.call === call.id);
  const text = result?.text ?? "There is no result: the call was not carried out.";
  const isError = result?.isError ?? true;
  return {
    type: "tool-result",
    toolCallId: legalId(call.id),
    toolName: call.tool,
    output: { type: isError ? "error-text" : "text", value: text },
  };
}

// Anthropic takes these characters only, OpenAI at most 64 of them.
const legalId = (id: string): string => id.replace(/[^A-Za-z0-9_-]/g, "_").slice(0, 64);

/** Providers take objects only; what a model wrote instead is shown to it as it was. */
function argumentsOf(call: ModelCall): { [key: string]: unknown } {
  try {
    const value: unknown = JSON.parse(call.arguments);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      return value as { [key: string]: unknown };
    }
  } catch {
    // Malformed, which the tool's result tells the model.
  }
  return { malformed: call.arguments };
}

// Anthropic caches up to a mark: one after the system prompt (and tools, which stand before it),
// one after the newest message, which the next step's prompt begins with.
function withCacheMarks(prompt: LanguageModelV4Prompt): LanguageModelV4Prompt {
  const cached = { anthropic: { cacheControl: { type: "ephemeral" } } };
  return prompt.map((message, index) =>
    message.role === "system" || index === prompt.length - 1
      ? { ...message, providerOptions: cached }
      : message,
  );
}

export const toolsOf = (request: ModelRequest): LanguageModelV4FunctionTool[] =>
  request.tools.map((tool) => ({
    type: "function",
    name: tool.name,
    description: tool.description,
    inputSchema: tool.input as LanguageModelV4FunctionTool["inputSchema"],
  }));
