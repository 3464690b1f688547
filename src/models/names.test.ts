import assert from "node:assert/strict";
import { test } from "node:test";
import { CadreError } from "../platform/index.ts";
import type { ModelName } from "./model.ts";
import { apiRoot, defaultModel, type ModelsConfig, providerOf, splitModel } from "./names.ts";

const envOf = (env: { readonly [name: string]: string }) => (name: string) => env[name];

test("the default model follows the key that is set, and is never a rehearsal", () => {
  const choose = (...keys: string[]) =>
    defaultModel(envOf(Object.fromEntries(keys.map((key) => [key, "k"]))));

  assert.equal(choose(), undefined);
  assert.equal(choose("ANTHROPIC_API_KEY"), "anthropic/claude-sonnet-4-5");
  assert.equal(choose("OPENAI_API_KEY"), "openai/gpt-5.2");
  assert.equal(choose("GEMINI_API_KEY"), "google/gemini-3.1-pro-preview");
  assert.equal(choose("GOOGLE_GENERATIVE_AI_API_KEY"), "google/gemini-3.1-pro-preview");
  assert.equal(choose("OPENAI_API_KEY", "ANTHROPIC_API_KEY"), "anthropic/claude-sonnet-4-5");
});

test("a name is split at its first slash", () => {
  assert.deepEqual(splitModel("openrouter/meta/llama-4"), {
    provider: "openrouter",
    model: "meta/llama-4",
  });
  for (const name of ["llama", "/x", "x/"]) {
    assert.throws(() => splitModel(name as ModelName), { code: "no_model" });
  }
});

const ROOTS = [
  ["anthropic", "http://127.0.0.1:9", "http://127.0.0.1:9/v1"],
  ["anthropic", "https://api.anthropic.com/v1/", "https://api.anthropic.com/v1"],
  ["anthropic", "https://gateway/anthropic", "https://gateway/anthropic/v1"],
  ["google", "http://127.0.0.1:9/", "http://127.0.0.1:9/v1beta"],
  ["google", "https://g/v1beta", "https://g/v1beta"],
  ["openai", "http://127.0.0.1:9", "http://127.0.0.1:9/v1"],
  ["openai-compatible", "http://127.0.0.1:11434", "http://127.0.0.1:11434/v1"],
  ["openai-compatible", "https://host/openai/api", "https://host/openai/api"],
] as const;
for (const [kind, address, root] of ROOTS) {
  test(`${kind} at ${address} is asked at ${root}`, () =>
    assert.equal(apiRoot(kind, address), root));
}

const providers: ModelsConfig["providers"] = {
  openai: { kind: "openai-chat" },
  anthropic: { kind: "anthropic", baseUrl: "https://proxy.example" },
  second: { kind: "anthropic" },
  stranger: { kind: "openai", baseUrl: "https://stranger.example" },
  local: { kind: "openai-compatible", baseUrl: "http://127.0.0.1:11434" },
  named: { kind: "openai-compatible", baseUrl: "https://named.example/v1", keyEnv: "NAMED_KEY" },
  lost: { kind: "openai-compatible" },
};
const env = envOf({
  ANTHROPIC_API_KEY: "ant",
  OPENAI_API_KEY: "oai",
  OPENAI_BASE_URL: "https://eu.example/v1",
  NAMED_KEY: "nam",
});

const RESOLVED = [
  ["openai", "openai-chat", "https://eu.example/v1", "oai"],
  ["anthropic", "anthropic", "https://proxy.example/v1", "ant"],
  ["second", "anthropic", "https://api.anthropic.com/v1", "ant"],
  ["google", "google", "https://generativelanguage.googleapis.com/v1beta", undefined],
  ["local", "openai-compatible", "http://127.0.0.1:11434/v1", undefined],
  ["named", "openai-compatible", "https://named.example/v1", "nam"],
] as const;
for (const [name, kind, baseUrl, key] of RESOLVED) {
  test(`provider ${name}: ${kind} at ${baseUrl}, ${key === undefined ? "without a key" : "with its key"}`, () => {
    const found = providerOf(name, providers, env);

    assert.deepEqual([found.kind, found.baseUrl, found.key], [kind, baseUrl, key]);
  });
}

test("a vendor's key is never sent to an address the vendor does not own, unless named", () => {
  const found = providerOf("stranger", providers, env);

  assert.deepEqual([found.key, found.keyEnv], [undefined, undefined]);
});

test("a provider that is not known, or has no address, is refused with what to write", () => {
  for (const [name, message] of [
    ["nobody", /There is no model provider "nobody"\. Known: anthropic, openai, google, second/],
    ["lost", /The provider lost has no address/],
    ["__proto__", /There is no model provider/],
    ["toString", /There is no model provider/],
  ] as const) {
    assert.throws(
      () => providerOf(name, providers, env),
      (error) =>
        error instanceof CadreError && error.code === "no_model" && message.test(error.message),
    );
  }
});
