// The model port over real providers and rehearsals: dispatches a request by its model's name.
import type { LanguageModelV4 } from "@ai-sdk/provider";
import { CadreError, type Log, type World } from "../platform/index.ts";
import { estimateTokens } from "./estimate.ts";
import type { Model, ModelName, ModelRequest, ModelUsage } from "./model.ts";
import { type ModelsConfig, type Provider, providerOf, splitModel } from "./names.ts";
import { costOf } from "./price.ts";
import { promptOf, toolsOf } from "./prompt.ts";
import { loadProvider } from "./providers/provider.ts";
import { REHEARSAL, rehearsalFolderModel } from "./rehearsal.ts";
import { readAnswer, type StreamedAnswer } from "./stream.ts";

export type ModelsOptions = {
  readonly config: ModelsConfig;
  readonly world: Pick<World, "clock" | "env" | "fetch">;
  /** Wins over the configured folder: an example brings its own scripts. */
  readonly rehearsalFolder?: string;
  readonly log: Log;
};

type Opened = { readonly provider: Provider; readonly language: LanguageModelV4 };

/** All configured models behind one door. Nothing is loaded before it is asked for. */
export function createModels(options: ModelsOptions): Model {
  const { world, config, log } = options;
  const folder = options.rehearsalFolder ?? config.rehearsal;
  const rehearsal = folder === undefined ? undefined : rehearsalFolderModel({ folder, world });
  const opened = new Map<ModelName, Promise<Opened>>();

  function open(name: ModelName): Promise<Opened> {
    let model = opened.get(name);
    if (model === undefined) {
      model = openModel(name, config, world);
      opened.set(name, model);
      // A key that is missing now may be there with the next call.
      model.catch(() => opened.delete(name));
    }
    return model;
  }

  return {
    async answer(request) {
      if (splitModel(request.model).provider === REHEARSAL) {
        if (rehearsal === undefined) throw noRehearsal(request.model);
        return rehearsal.answer(request);
      }
      const startedAt = world.clock.monotonic();
      const { provider, language } = await open(request.model);
      const streamed = await toldWell(provider, () => ask(language, provider, request, options));
      const { counts, ...answer } = streamed;
      const usage = await usageOf(request, provider, streamed, options);
      const tookMs = Math.round(world.clock.monotonic() - startedAt);
      log.debug({ model: request.model, agent: request.agent, tookMs, ...usage }, "model answered");
      return { model: request.model, ...answer, usage, rehearsed: false, tookMs };
    },
  };
}

function ask(
  language: LanguageModelV4,
  provider: Provider,
  request: ModelRequest,
  { world, config, log }: ModelsOptions,
): Promise<StreamedAnswer> {
  const tools = toolsOf(request);
  return readAnswer(
    (signal) =>
      language.doStream({
        prompt: promptOf(request, provider),
        maxOutputTokens: request.outputTokensMax,
        abortSignal: signal,
        ...(tools.length === 0 ? {} : { tools, toolChoice: { type: "auto" } }),
        // The transcript is ours: OpenAI keeps no copy, and gives its reasoning back encrypted
        // instead of by an id that would not outlive it.
        ...(provider.kind === "openai" ? { providerOptions: { openai: { store: false } } } : {}),
      }),
    {
      model: request.model,
      provider: provider.name,
      clock: world.clock,
      idleTimeoutMs: config.idleTimeoutMs,
      signal: request.signal,
      onText: (delta) => request.onText?.(delta),
      onWarning: (warning) => log.warn({ model: request.model, warning }, "provider's warning"),
    },
  );
}

async function openModel(
  name: ModelName,
  config: ModelsConfig,
  world: ModelsOptions["world"],
): Promise<Opened> {
  const { provider: providerName, model } = splitModel(name);
  const provider = providerOf(providerName, config.providers, world.env);
  if (provider.keyEnv !== undefined && provider.key === undefined) {
    throw new CadreError(
      "no_model",
      `${name} can't be called: ${provider.keyEnv} is not set, the key of ${providerName}.`,
      { details: { model: name, keyEnv: provider.keyEnv }, next: [`export ${provider.keyEnv}=…`] },
    );
  }
  const makeModel = await loadProvider(provider.kind);
  return { provider, language: makeModel({ provider, model, fetch: world.fetch }) };
}

async function usageOf(
  request: ModelRequest,
  provider: Provider,
  { counts, text, calls }: StreamedAnswer,
  { config, world }: ModelsOptions,
): Promise<ModelUsage> {
  // Some servers count nothing. Limits need a number, money must not be guessed.
  if (counts === undefined) {
    return { ...estimateTokens(request, { text, calls }), tokensCached: 0, costUsd: null };
  }
  const costUsd = await costOf(request.model, counts, config.prices, {
    kind: provider.kind,
    clock: world.clock,
  });
  return {
    tokensIn: counts.tokensIn,
    tokensOut: counts.tokensOut,
    tokensCached: counts.tokensCached,
    costUsd,
  };
}

/** What the provider said, with what a person can do about it, and never with the key in it. */
async function toldWell<T>(provider: Provider, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (!(error instanceof CadreError)) throw error;
    const { key, keyEnv, name } = provider;
    const isRefusedKey = error.details["class"] === "auth" && keyEnv !== undefined;
    const isKeyShown = key !== undefined && error.message.includes(key);
    if (!isRefusedKey && !isKeyShown) throw error;
    throw new CadreError(error.code, key ? error.message.replaceAll(key, "…") : error.message, {
      details: error.details,
      next: isRefusedKey ? [`export ${keyEnv}=…   a valid key of ${name}`] : error.next,
      // A cause that may repeat the key is dropped.
      ...(isKeyShown ? {} : { cause: error.cause }),
    });
  }
}

const noRehearsal = (model: ModelName): CadreError =>
  new CadreError("no_model", `${model} is a rehearsal, and no folder of scripts is configured.`, {
    details: { model },
    next: ["models.rehearsal: rehearsal", "export ANTHROPIC_API_KEY=…"],
  });
