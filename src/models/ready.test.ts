import assert from "node:assert/strict";
import { test } from "node:test";
import { CadreError } from "../platform/index.ts";
import { requireModels } from "./ready.ts";

const envOf = (env: { readonly [name: string]: string }) => (name: string) => env[name];

function refusal(
  askers: Parameters<typeof requireModels>[0],
  config: Partial<Parameters<typeof requireModels>[1]>,
  env: { readonly [name: string]: string } = {},
): CadreError | undefined {
  try {
    requireModels(askers, { providers: {}, ...config }, envOf(env));
    return undefined;
  } catch (error) {
    assert.ok(error instanceof CadreError);
    assert.equal(error.code, "no_model");
    return error;
  }
}

test("agents that name no model need a provider's key, and all are told at once", () => {
  const team = [
    { name: "planner", models: [] },
    { name: "coder", models: [] },
  ];

  const error = refusal(team, {});

  assert.match(
    error?.message ?? "",
    /^No model can be called here\.\nplanner and coder can't ask a model: no provider key/,
  );
  assert.match(error?.next[0] ?? "", /^export ANTHROPIC_API_KEY=…/);
  assert.equal(refusal(team, {}, { OPENAI_API_KEY: "k" }), undefined);
});

test("an agent whose provider has no key is named with the variable, though others could work", () => {
  const team = [
    { name: "planner", models: [] },
    { name: "coder", models: ["openai/gpt-5.2"] },
    { name: "tester", models: ["openai/gpt-5.2"] },
  ];

  const error = refusal(team, {}, { ANTHROPIC_API_KEY: "k" });

  assert.equal(
    error?.message,
    "coder and tester can't ask a model: openai/gpt-5.2 needs OPENAI_API_KEY, which is not set.",
  );
  assert.equal(error?.next[0], "export OPENAI_API_KEY=…");
});

test("a default model without its key, an unknown provider and a scriptless rehearsal are refused", () => {
  const main = (...models: string[]) => [{ name: "main", models }];

  assert.match(refusal(main(), { default: "google/g" })?.message ?? "", /needs GEMINI_API_KEY/);
  assert.match(refusal(main("acme/x"), {})?.message ?? "", /There is no model provider "acme"/);
  assert.match(refusal(main("rehearsal/main"), {})?.message ?? "", /no folder of scripts/);
});

test("a provider that needs no key and a rehearsal with its scripts may be asked", () => {
  const local = { kind: "openai-compatible", baseUrl: "http://127.0.0.1:11434" } as const;
  const team = [
    { name: "main", models: ["local/llama"] },
    { name: "actor", models: ["rehearsal/actor"] },
  ];

  assert.equal(refusal(team, { providers: { local }, rehearsal: "/scripts" }), undefined);
});

test("an agent may be without the key of its first model as long as another can be asked", () => {
  const team = [{ name: "main", models: ["anthropic/claude", "openai/gpt-5.2"] }];

  assert.equal(refusal(team, {}, { OPENAI_API_KEY: "k" }), undefined);
  assert.match(
    refusal(team, {})?.message ?? "",
    /main can't ask a model: anthropic\/claude needs ANTHROPIC_API_KEY/,
  );
});
