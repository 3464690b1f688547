// What `cadre doctor` tries of the providers: is a key set, and is it accepted?
import { type Check, messageOf, type World } from "../platform/index.ts";
import { type ModelsConfig, type Provider, providerOf, VENDOR_NAMES } from "./names.ts";

const ANSWER_MS_MAX = 5_000;
const NAME_CHARS_MAX = 12;

type CheckWorld = Pick<World, "clock" | "env" | "fetch">;

type Tried =
  | { readonly kind: "accepted" | "rejected"; readonly provider: Provider; readonly found: string }
  | { readonly kind: "unsure"; readonly provider: Provider; readonly found: string };

/**
 * Asks every provider that has a key, or needs none, for its list of models: free, and refused
 * without a valid key. Offline is a warning: nothing was found wrong, but nothing was checked.
 */
export async function checkProviders(
  world: CheckWorld,
  config: Pick<ModelsConfig, "providers"> & { readonly default?: string | undefined },
): Promise<Check[]> {
  const names = [...new Set([...VENDOR_NAMES, ...Object.keys(config.providers)])];
  const providers: Provider[] = [];
  const checks: Check[] = [];
  const wanted = config.default?.split("/", 1)[0];
  for (const name of names) {
    const provider = providerOrCheck(name, config.providers, world.env);
    if ("level" in provider) {
      checks.push(provider);
    } else if (provider.keyEnv === undefined || provider.key !== undefined) {
      providers.push(provider);
    } else if (name === wanted || Object.hasOwn(config.providers, name)) {
      checks.push({
        name: nameOf(provider),
        level: name === wanted ? "fail" : "warn",
        found: `${provider.keyEnv} is not set`,
        mend: [`export ${provider.keyEnv}=…`],
      });
    }
  }
  const tried = await Promise.all(providers.map((provider) => tryProvider(provider, world)));
  const isAnyAccepted = tried.some(({ kind }) => kind === "accepted");
  checks.push(...tried.map((one) => checkOf(one, isAnyAccepted)));
  return checks.length > 0 ? checks : [noProvider];
}

const noProvider: Check = {
  name: "Models",
  level: "warn",
  found: "no provider has a key; only rehearsals can play",
  mend: ["export ANTHROPIC_API_KEY=…", "export OPENAI_API_KEY=…", "export GEMINI_API_KEY=…"],
};

function providerOrCheck(
  name: string,
  configured: ModelsConfig["providers"],
  env: World["env"],
): Provider | Check {
  try {
    return providerOf(name, configured, env);
  } catch (error) {
    return {
      name: name.slice(0, NAME_CHARS_MAX),
      level: "warn",
      found: messageOf(error),
      mend: [`models.providers.${name}.baseUrl: http://…/v1`],
    };
  }
}

const nameOf = (provider: Provider): string => provider.name.slice(0, NAME_CHARS_MAX);

function checkOf(tried: Tried, isAnyAccepted: boolean): Check {
  const { provider, found } = tried;
  const name = nameOf(provider);
  switch (tried.kind) {
    case "accepted":
      return { name, level: "ok", found, mend: [] };
    case "rejected":
      return {
        name,
        // With another provider that answers, work goes on.
        level: isAnyAccepted ? "warn" : "fail",
        found,
        mend: [`export ${provider.keyEnv ?? "KEY"}=…`],
      };
    case "unsure":
      return { name, level: "warn", found, mend: [] };
  }
}

async function tryProvider(provider: Provider, world: CheckWorld): Promise<Tried> {
  const late = new AbortController();
  const done = new AbortController();
  const waiting = world.clock.sleep(ANSWER_MS_MAX, done.signal).then(
    () => late.abort(),
    // The answer came first.
    () => undefined,
  );
  try {
    const response = await world.fetch(`${provider.baseUrl}/models`, {
      headers: headersOf(provider),
      signal: late.signal,
    });
    await response.body?.cancel();
    return judged(provider, response.status);
  } catch (error) {
    const why = late.signal.aborted ? `no answer in ${ANSWER_MS_MAX / 1_000} s` : reasonOf(error);
    const left = provider.key === undefined ? "" : "; the key was not checked";
    return { kind: "unsure", provider, found: `${hostOf(provider)} not reached (${why})${left}` };
  } finally {
    done.abort();
    await waiting;
  }
}

function judged(provider: Provider, status: number): Tried {
  const from = provider.keyEnv === undefined ? "" : `, from ${provider.keyEnv}`;
  if (status >= 200 && status < 300) {
    const found =
      provider.key === undefined ? `${hostOf(provider)} answers` : `key accepted${from}`;
    return { kind: "accepted", provider, found };
  }
  // Google says 400 to a key it does not know.
  if (status === 401 || status === 403 || (status === 400 && provider.kind === "google")) {
    return { kind: "rejected", provider, found: `${status}, the key was refused${from}` };
  }
  const found = `${hostOf(provider)} answered ${status} to a question for its models`;
  return { kind: "unsure", provider, found };
}

function headersOf(provider: Provider): { [name: string]: string } {
  const { key } = provider;
  if (key === undefined) return {};
  switch (provider.kind) {
    case "anthropic":
      return { "x-api-key": key, "anthropic-version": "2023-06-01" };
    case "google":
      return { "x-goog-api-key": key };
    case "openai":
    case "openai-chat":
    case "openai-compatible":
      return { authorization: `Bearer ${key}` };
  }
}

const hostOf = (provider: Provider): string =>
  URL.parse(provider.baseUrl)?.host ?? provider.baseUrl;

// `fetch failed` says nothing; its cause does.
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  const code = (cause as NodeJS.ErrnoException | undefined)?.code;
  return code ?? messageOf(error);
}
