// Which provider a model's name means, where it is, and which key opens it.
import { CadreError, type World } from "../platform/index.ts";
import type { ModelName } from "./model.ts";

export type ProviderKind = "anthropic" | "openai" | "openai-chat" | "google" | "openai-compatible";

/** The part of the configuration this room reads. */
export type ModelsConfig = {
  readonly providers: {
    readonly [name: string]: {
      readonly kind: ProviderKind;
      readonly baseUrl?: string | undefined;
      readonly keyEnv?: string | undefined;
    };
  };
  /** Silence of a stream after which the call has failed. */
  readonly idleTimeoutMs: number;
  readonly prices: OwnPrices;
  /** Absolute path of the rehearsal scripts' folder. Without it `rehearsal/…` is refused (A5). */
  readonly rehearsal?: string | undefined;
};

/** Dollars for a million tokens, by model name. */
export type OwnPrices = {
  readonly [model: string]: {
    readonly input: number;
    readonly output: number;
    readonly cached?: number | undefined;
  };
};

export type Provider = {
  readonly name: string;
  readonly kind: ProviderKind;
  readonly baseUrl: string;
  readonly key: string | undefined;
  /** The variable the key is (or would be) read from; undefined when none is needed. */
  readonly keyEnv: string | undefined;
};

type Vendor = {
  readonly kind: ProviderKind;
  readonly keyEnvs: readonly [string, ...string[]];
  readonly baseUrlEnv: string;
  readonly baseUrl: string;
  /** What is chosen when this vendor's key is the one that is set. */
  readonly defaultModel: ModelName;
};

// In the order of preference when several keys are set.
const VENDORS: { readonly [name: string]: Vendor } = {
  anthropic: {
    kind: "anthropic",
    keyEnvs: ["ANTHROPIC_API_KEY"],
    baseUrlEnv: "ANTHROPIC_BASE_URL",
    baseUrl: "https://api.anthropic.com/v1",
    defaultModel: "anthropic/claude-sonnet-4-5",
  },
  openai: {
    kind: "openai",
    keyEnvs: ["OPENAI_API_KEY"],
    baseUrlEnv: "OPENAI_BASE_URL",
    baseUrl: "https://api.openai.com/v1",
    defaultModel: "openai/gpt-5.2",
  },
  google: {
    kind: "google",
    keyEnvs: ["GEMINI_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY"],
    baseUrlEnv: "GOOGLE_GEMINI_BASE_URL",
    baseUrl: "https://generativelanguage.googleapis.com/v1beta",
    defaultModel: "google/gemini-3.1-pro-preview",
  },
};

export const VENDOR_NAMES: readonly string[] = Object.keys(VENDORS);

/** The model for agents that name none, by which key is set. Never a rehearsal (A5). */
export function defaultModel(env: World["env"]): ModelName | undefined {
  return Object.values(VENDORS).find((vendor) => firstSet(env, vendor.keyEnvs) !== undefined)
    ?.defaultModel;
}

/** `anthropic/claude-x` → `anthropic` and `claude-x`; the model may hold further slashes. */
export function splitModel(name: ModelName): { readonly provider: string; readonly model: string } {
  const slash = name.indexOf("/");
  if (slash < 1 || slash === name.length - 1) {
    throw new CadreError("no_model", `"${name}" names no model. Write it as provider/model.`);
  }
  return { provider: name.slice(0, slash), model: name.slice(slash + 1) };
}

/**
 * Where a provider is and its key. A configured provider of a vendor's name keeps that vendor's
 * key and address unless it says otherwise. Any other configured provider is sent a key only when
 * `keyEnv` names it or it speaks to the vendor's own address: a key never goes to a stranger.
 *
 * Errors: `no_model` when the provider is not known or has no address.
 */
export function providerOf(
  name: string,
  configured: ModelsConfig["providers"],
  env: World["env"],
): Provider {
  const own = Object.hasOwn(configured, name) ? configured[name] : undefined;
  const kind = own?.kind ?? (Object.hasOwn(VENDORS, name) ? VENDORS[name]?.kind : undefined);
  if (kind === undefined) throw unknownProvider(name, configured);

  const vendor = vendorOf(kind);
  const isVendor = vendor !== undefined && VENDORS[name] === vendor;
  const isAtVendor = vendor !== undefined && (isVendor || own?.baseUrl === undefined);
  const vendorUrl = isAtVendor ? (env(vendor.baseUrlEnv) ?? vendor.baseUrl) : undefined;
  const address = own?.baseUrl ?? vendorUrl;
  if (address === undefined) {
    throw new CadreError("no_model", `The provider ${name} has no address.`, {
      next: [`models.providers.${name}.baseUrl: http://127.0.0.1:11434/v1`],
    });
  }
  const vendorKeys = isAtVendor ? vendor.keyEnvs : [];
  const keyEnvs = own?.keyEnv === undefined ? vendorKeys : [own.keyEnv];
  const keyEnv = firstSet(env, keyEnvs) ?? keyEnvs[0];
  return {
    name,
    kind,
    baseUrl: apiRoot(kind, address),
    key: keyEnv === undefined ? undefined : env(keyEnv),
    keyEnv,
  };
}

function unknownProvider(name: string, configured: ModelsConfig["providers"]): CadreError {
  const known = [...new Set([...VENDOR_NAMES, ...Object.keys(configured)])].join(", ");
  return new CadreError("no_model", `There is no model provider "${name}". Known: ${known}.`, {
    next: [`models.providers.${name}: {kind: openai-compatible, baseUrl: http://…/v1}`],
  });
}

function vendorOf(kind: ProviderKind): Vendor | undefined {
  switch (kind) {
    case "anthropic":
      return VENDORS["anthropic"];
    case "openai":
    case "openai-chat":
      return VENDORS["openai"];
    case "google":
      return VENDORS["google"];
    case "openai-compatible":
      return undefined;
  }
}

/**
 * The root the provider's paths are appended to. The vendors' own tools take Anthropic's and
 * Google's address without the version, OpenAI's with it; both spellings work here.
 */
export function apiRoot(kind: ProviderKind, address: string): string {
  const url = address.replace(/\/+$/, "");
  if (/\/v\d+(beta|alpha)?$/.test(url)) return url;
  if (kind === "anthropic") return `${url}/v1`;
  if (kind === "google") return `${url}/v1beta`;
  return /^https?:\/\/[^/]+$/.test(url) ? `${url}/v1` : url;
}

const firstSet = (env: World["env"], names: readonly string[]): string | undefined =>
  names.find((name) => env(name) !== undefined);
