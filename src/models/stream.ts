// Folds a provider's stream to one answer, or to one failure.
//
// A3. An answer counts only with exactly one valid finish: whatever was heard of a stream that
// broke, fell silent or ended early counts for nothing.
import type {
  LanguageModelV4FinishReason,
  LanguageModelV4StreamPart,
  LanguageModelV4Usage,
  SharedV4ProviderMetadata,
} from "@ai-sdk/provider";
import { CadreError, type Clock, type Json, type Millis } from "../platform/index.ts";
import { classify } from "./classify.ts";
import { callStopped, modelFailed } from "./failure.ts";
import type { ModelAnswer, ModelCall, ModelName } from "./model.ts";
import type { TokenCounts } from "./price.ts";
import { type KeptPart, keep } from "./prompt.ts";

/** More than any model writes in one answer; a server that never ends is cut off here. */
export const ANSWER_CHARS_MAX = 4 * 1024 * 1024;

const BETWEEN_BLOCKS = "\n\n";

export type StreamOptions = {
  readonly model: ModelName;
  readonly provider: string;
  readonly clock: Clock;
  /** Longest silence, before the first part and between parts. */
  readonly idleTimeoutMs: Millis;
  readonly signal: AbortSignal;
  onText?(delta: string): void;
  onWarning?(warning: Json): void;
};

export type StreamedAnswer = Pick<ModelAnswer, "text" | "calls" | "finish" | "metadata"> & {
  /** Undefined when the provider counted nothing. */
  readonly counts: TokenCounts | undefined;
};

type Start = (
  signal: AbortSignal,
) => PromiseLike<{ readonly stream: ReadableStream<LanguageModelV4StreamPart> }>;

/**
 * Opens the stream and reads it to its end.
 *
 * Errors: `model_failed` with its class; `stopped` when the signal aborted, whatever else happened.
 */
export async function readAnswer(start: Start, options: StreamOptions): Promise<StreamedAnswer> {
  const { model, clock, idleTimeoutMs, signal } = options;
  if (signal.aborted) throw callStopped(model, signal.reason);
  const silence = new AbortController();
  const done = new AbortController();
  const cut = AbortSignal.any([signal, silence.signal]);
  const isCut = new Promise<never>((_, reject) => {
    cut.addEventListener("abort", () => reject(cut.reason), { once: true });
  });
  // Raced below; when nothing cuts the call short, nobody waits for it.
  isCut.catch(() => undefined);

  let heardAt = clock.monotonic();
  const watching = watchSilence(clock, idleTimeoutMs, () => heardAt, silence, done.signal);
  let reader: ReadableStreamDefaultReader<LanguageModelV4StreamPart> | undefined;
  try {
    const fold = newFold(options);
    reader = (await Promise.race([start(cut), isCut])).stream.getReader();
    for (;;) {
      const { done: isEnd, value } = await Promise.race([reader.read(), isCut]);
      if (isEnd) break;
      heardAt = clock.monotonic();
      fold.add(value);
    }
    return fold.answer();
  } catch (error) {
    if (signal.aborted) throw callStopped(model, error);
    if (silence.signal.aborted) {
      throw modelFailed(model, {
        class: "timeout",
        message: `nothing was heard for ${idleTimeoutMs} ms.`,
      });
    }
    if (error instanceof CadreError) throw error;
    throw failureOf(model, error, clock.now());
  } finally {
    done.abort();
    // A stream that failed refuses to be cancelled, which changes nothing any more.
    reader?.cancel().catch(() => undefined);
    await watching;
  }
}

/** One timer for the whole call, put off by what is heard, rather than one for each part. */
async function watchSilence(
  clock: Clock,
  idleTimeoutMs: Millis,
  heardAt: () => number,
  silence: AbortController,
  done: AbortSignal,
): Promise<void> {
  try {
    for (;;) {
      const leftMs = idleTimeoutMs - (clock.monotonic() - heardAt());
      if (leftMs <= 0) return silence.abort();
      await clock.sleep(Math.ceil(leftMs), done);
    }
  } catch (error) {
    if (!done.aborted) throw error;
  }
}

function failureOf(model: ModelName, error: unknown, now: Millis): CadreError {
  return modelFailed(model, { ...classify(error, now), cause: error });
}

type Fold = { add(part: LanguageModelV4StreamPart): void; answer(): StreamedAnswer };

type Finish = {
  readonly reason: LanguageModelV4FinishReason;
  readonly usage: LanguageModelV4Usage;
};

type Block = {
  readonly type: "text" | "reasoning";
  text: string;
  metadata: SharedV4ProviderMetadata | undefined;
};
type Custom = Extract<KeptPart, { type: "custom" | "call" }>;

function newFold(options: StreamOptions): Fold {
  const { model, clock } = options;
  const parts: (Block | Custom)[] = [];
  const calls: ModelCall[] = [];
  const finishes: Finish[] = [];
  const open = new Map<string, Block>();
  let chars = 0;
  let textHeard: Block | undefined;

  function blockOf(type: Block["type"], id: string): Block {
    const key = `${type} ${id}`;
    let block = open.get(key);
    if (block === undefined) {
      block = { type, text: "", metadata: undefined };
      open.set(key, block);
      parts.push(block);
    }
    return block;
  }

  function bound(delta: string): void {
    chars += delta.length;
    if (chars <= ANSWER_CHARS_MAX) return;
    throw modelFailed(model, { class: "protocol", message: "the answer never ended." });
  }

  function addText(block: Block, delta: string): void {
    bound(delta);
    block.text += delta;
    if (block.type === "reasoning" || delta === "") return;
    if (textHeard !== undefined && textHeard !== block) options.onText?.(BETWEEN_BLOCKS);
    textHeard = block;
    options.onText?.(delta);
  }

  return {
    add(part) {
      switch (part.type) {
        case "text-start":
        case "reasoning-start":
        case "text-delta":
        case "reasoning-delta":
        case "text-end":
        case "reasoning-end": {
          const type = part.type.startsWith("text") ? "text" : "reasoning";
          const block = blockOf(type, part.id);
          block.metadata = merged(block.metadata, part.providerMetadata);
          if ("delta" in part) addText(block, part.delta);
          if (part.type.endsWith("-end")) open.delete(`${type} ${part.id}`);
          break;
        }
        case "tool-input-delta":
          bound(part.delta);
          break;
        case "tool-call":
          parts.push({ type: "call", index: calls.length });
          calls.push({
            id: part.toolCallId,
            tool: part.toolName,
            // Some send nothing at all for a tool without arguments.
            arguments: part.input.trim() === "" ? "{}" : part.input,
            ...(part.providerMetadata === undefined
              ? {}
              : { metadata: plain(part.providerMetadata) as Json }),
          });
          break;
        case "custom":
          // Only tells what the request cost so far; no provider takes it back.
          if (part.kind === "anthropic.message_start") break;
          parts.push({
            type: "custom",
            kind: part.kind,
            ...(part.providerMetadata === undefined
              ? {}
              : { metadata: plain(part.providerMetadata) }),
          } as Custom);
          break;
        case "stream-start":
          for (const warning of part.warnings) options.onWarning?.(plain(warning) as Json);
          break;
        case "finish":
          finishes.push({ reason: part.finishReason, usage: part.usage });
          break;
        case "error":
          throw failureOf(model, part.error, clock.now());
        default:
          // Pings, sources, files, raw chunks: nothing a transcript needs.
          break;
      }
    },
    answer() {
      const { text, kept } = laidOut(parts);
      const metadata = keep(options.provider, kept, calls);
      return {
        text,
        calls,
        ...judged(model, finishes, text, calls),
        ...(metadata === undefined ? {} : { metadata }),
      };
    },
  };
}

/** The blocks as one text, and the parts as slices of it. */
function laidOut(parts: readonly (Block | Custom)[]): { text: string; kept: KeptPart[] } {
  let text = "";
  const kept = parts.map((part): KeptPart => {
    if (part.type === "custom" || part.type === "call") return part;
    const metadata = part.metadata === undefined ? {} : { metadata: plain(part.metadata) };
    if (part.type === "reasoning") {
      return { type: "reasoning", text: part.text, ...metadata } as KeptPart;
    }
    if (text !== "" && part.text !== "") text += BETWEEN_BLOCKS;
    const from = text.length;
    text += part.text;
    return { type: "text", from, to: text.length, ...metadata } as KeptPart;
  });
  return { text, kept };
}

/** A3. The finish and the counts of an answer that counts; throws for one that does not. */
function judged(
  model: ModelName,
  finishes: readonly Finish[],
  text: string,
  calls: readonly ModelCall[],
): Pick<StreamedAnswer, "finish" | "counts"> {
  const [finish, second] = finishes;
  if (finish === undefined) {
    throw modelFailed(model, { class: "network", message: "the stream ended early." });
  }
  if (second !== undefined) {
    throw modelFailed(model, { class: "protocol", message: "the stream finished twice." });
  }
  const { unified, raw } = finish.reason;
  const saidRaw = raw === undefined ? "" : ` (${raw.slice(0, 80)})`;
  switch (unified) {
    case "stop":
    case "tool-calls":
    case "length":
    case "content-filter":
      break;
    case "interrupted":
      throw modelFailed(model, { class: "network", message: "the stream was interrupted." });
    case "other":
      // Gemini says so for calls: their presence counts, not the word.
      if (calls.length > 0) break;
      throw modelFailed(model, { class: "protocol", message: `no valid finish${saidRaw}.` });
    default:
      throw modelFailed(model, {
        class: "protocol",
        message: `it finished with an error${saidRaw}.`,
      });
  }
  if (text.trim() === "" && calls.length === 0) throw emptyAnswer(model, unified);
  return { finish: unified, counts: countsOf(finish.usage) };
}

function emptyAnswer(model: ModelName, finish: LanguageModelV4FinishReason["unified"]): CadreError {
  if (finish === "content-filter") {
    return modelFailed(model, {
      class: "content_filter",
      message: "the provider's filter withheld the whole answer.",
    });
  }
  if (finish === "length") {
    return modelFailed(model, {
      class: "bad_request",
      message: "its output tokens were used up before it said anything.",
      next: ["Raise limits.outputTokensMax of the agent."],
    });
  }
  return modelFailed(model, { class: "protocol", message: "the answer was empty." });
}

function countsOf(usage: LanguageModelV4Usage): TokenCounts | undefined {
  const { inputTokens, outputTokens } = usage;
  // An answer that took nothing in and gave nothing out was not counted.
  if ((inputTokens.total ?? 0) + (outputTokens.total ?? 0) === 0) return undefined;
  return {
    tokensIn: inputTokens.total ?? 0,
    tokensOut: outputTokens.total ?? 0,
    tokensCached: inputTokens.cacheRead ?? 0,
    tokensCacheWritten: inputTokens.cacheWrite ?? 0,
  };
}

/** A block's metadata comes in pieces: at its start, with a delta, at its end. */
function merged(
  before: SharedV4ProviderMetadata | undefined,
  more: SharedV4ProviderMetadata | undefined,
): SharedV4ProviderMetadata | undefined {
  if (before === undefined || more === undefined) return more ?? before;
  const both = { ...before };
  for (const [provider, fields] of Object.entries(more)) {
    both[provider] = { ...both[provider], ...fields };
  }
  return both;
}

/** As it will be read back from the transcript: without `undefined`. */
const plain = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;
