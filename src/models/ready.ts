// Can the models of a team be asked here? Found out before anything starts, without asking anyone.
import { CadreError, type World } from "../platform/index.ts";
import type { ModelName } from "./model.ts";
import { defaultModel, type ModelsConfig, providerOf, splitModel, VENDOR_NAMES } from "./names.ts";
import { REHEARSAL } from "./rehearsal.ts";

/** Who would ask, and the models it names, in order of preference. */
export type Asker = { readonly name: string; readonly models: readonly string[] };

type Config = Pick<ModelsConfig, "providers" | "rehearsal"> & {
  readonly default?: string | undefined;
};

type Lack = { readonly why: string; readonly next: readonly string[] };

/**
 * Throws `no_model` when one of the askers could ask nobody: it names no model and there is no
 * default one, or every provider it names is not known or lacks its key. Who and which variable is
 * said for each.
 */
export function requireModels(askers: readonly Asker[], config: Config, env: World["env"]): void {
  const fallback = config.default ?? defaultModel(env);
  const names = new Map<string, { readonly lack: Lack; readonly who: string[] }>();
  for (const { name, models } of askers) {
    const lacks = (models.length === 0 ? [fallback] : models).map((m) => lackOf(m, config, env));
    const lack = lacks.includes(undefined) ? undefined : lacks[0];
    if (lack === undefined) continue;
    const same = names.get(lack.why) ?? { lack, who: [] };
    same.who.push(name);
    names.set(lack.why, same);
  }
  const lacks = [...names.values()];
  if (lacks.length === 0) return;
  const lines = lacks.map(({ lack, who }) => `${listed(who)} can't ask a model: ${lack.why}.`);
  const isAll = lacks.reduce((sum, { who }) => sum + who.length, 0) === askers.length;
  throw new CadreError(
    "no_model",
    [...(isAll ? ["No model can be called here."] : []), ...lines].join("\n"),
    { next: [...new Set([...lacks.flatMap(({ lack }) => lack.next), PLAY])] },
  );
}

const PLAY = "cadre run --example first-run     plays a script, free, no model is called";

function lackOf(model: string | undefined, config: Config, env: World["env"]): Lack | undefined {
  if (model === undefined) {
    return {
      why: "no provider key is set, and no model is named",
      next: [
        "export ANTHROPIC_API_KEY=…        or OPENAI_API_KEY, GEMINI_API_KEY",
        "models.default in cadre.yaml      any other provider, also a local one",
      ],
    };
  }
  try {
    const { provider } = splitModel(model as ModelName);
    if (provider === REHEARSAL) {
      if (config.rehearsal !== undefined) return undefined;
      return {
        why: `${model} is a rehearsal, and no folder of scripts is configured`,
        next: ["models.rehearsal: rehearsal"],
      };
    }
    const { key, keyEnv } = providerOf(provider, config.providers, env);
    if (keyEnv === undefined || key !== undefined) return undefined;
    return { why: `${model} needs ${keyEnv}, which is not set`, next: [`export ${keyEnv}=…`] };
  } catch (error) {
    if (!(error instanceof CadreError)) throw error;
    return { why: error.message.replace(/\.$/, ""), next: error.next };
  }
}

/** The providers known here, each with the variable that is not set though its key is needed. */
export function keysOf(
  configured: Config["providers"],
  env: World["env"],
): { name: string; missingKey: string | null }[] {
  const names = [...new Set([...VENDOR_NAMES, ...Object.keys(configured)])];
  return names.map((name) => ({ name, missingKey: missingKey(name, configured, env) }));
}

function missingKey(
  name: string,
  configured: Config["providers"],
  env: World["env"],
): string | null {
  try {
    const { key, keyEnv } = providerOf(name, configured, env);
    return key === undefined ? (keyEnv ?? null) : null;
  } catch (error) {
    // A provider without an address lacks no key; asking it says what it lacks.
    if (error instanceof CadreError) return null;
    throw error;
  }
}

const listed = (names: readonly string[]): string =>
  names.length < 2 ? names.join() : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
