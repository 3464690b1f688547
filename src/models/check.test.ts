import assert from "node:assert/strict";
import { test } from "node:test";
import { realWorld } from "../platform/index.ts";
import { checkProviders } from "./check.ts";
import { manualClock } from "./clock.testing.ts";
import type { ModelsConfig } from "./names.ts";
import { closedUrl, sseServer } from "./sse-server.testing.ts";

type Env = { readonly [name: string]: string };

const check = (
  env: Env,
  config: { providers?: ModelsConfig["providers"]; default?: string } = {},
  clock = realWorld().clock,
) =>
  checkProviders(
    { clock, fetch: realWorld().fetch, env: (name) => env[name] },
    { providers: {}, ...config },
  );

test("no key at all is a warning that says what to set", async () => {
  const [only, ...more] = await check({});

  assert.deepEqual([only?.level, more.length], ["warn", 0]);
  assert.match(only?.mend.join() ?? "", /export ANTHROPIC_API_KEY/);
});

test("the default model without its key is a failure", async () => {
  const checks = await check({}, { default: "openai/gpt-5.2" });

  assert.deepEqual(
    checks.map(({ name, level, found }) => [name, level, found]),
    [["openai", "fail", "OPENAI_API_KEY is not set"]],
  );
});

test("each vendor is asked for its models, with its key in its own header", async (t) => {
  const { url, heard } = await sseServer(t, (_, response) => response.end("{}"));

  const checks = await check({
    ANTHROPIC_API_KEY: "a",
    ANTHROPIC_BASE_URL: url,
    OPENAI_API_KEY: "o",
    OPENAI_BASE_URL: url,
    GEMINI_API_KEY: "g",
    GOOGLE_GEMINI_BASE_URL: url,
  });

  assert.deepEqual(
    checks.map(({ name, level }) => [name, level]),
    [
      ["anthropic", "ok"],
      ["openai", "ok"],
      ["google", "ok"],
    ],
  );
  const seen = heard.map(({ path, headers }) => [
    path,
    headers["x-api-key"] ?? headers["authorization"] ?? headers["x-goog-api-key"],
  ]);
  assert.deepEqual(
    seen.sort(),
    [
      ["/v1/models", "Bearer o"],
      ["/v1/models", "a"],
      ["/v1beta/models", "g"],
    ].sort(),
  );
});

test("a refused key fails, or warns while another provider answers", async (t) => {
  const { url } = await sseServer(t, ({ headers }, response) => {
    response.statusCode =
      headers["x-api-key"] === "good" || headers["x-goog-api-key"] === "good" ? 200 : 401;
    response.end();
  });
  const bad = { OPENAI_API_KEY: "bad", OPENAI_BASE_URL: url };
  const good = { ANTHROPIC_API_KEY: "good", ANTHROPIC_BASE_URL: url };

  const alone = await check(bad);
  const both = await check({ ...bad, ...good });

  assert.deepEqual(
    alone.map(({ name, level }) => [name, level]),
    [["openai", "fail"]],
  );
  assert.match(alone[0]?.found ?? "", /401, the key was refused, from OPENAI_API_KEY/);
  assert.deepEqual(
    both.map(({ name, level }) => [name, level]),
    [
      ["anthropic", "ok"],
      ["openai", "warn"],
    ],
  );
});

test("a server that can't be reached, or answers oddly, is a warning: the key was not checked", async (t) => {
  const { url } = await sseServer(t, (_, response) => {
    response.statusCode = 500;
    response.end();
  });

  const [offline] = await check({ OPENAI_API_KEY: "o", OPENAI_BASE_URL: await closedUrl() });
  const [odd] = await check({ OPENAI_API_KEY: "o", OPENAI_BASE_URL: url });

  assert.equal(offline?.level, "warn");
  assert.match(
    offline?.found ?? "",
    /127\.0\.0\.1:\d+ not reached \(ECONNREFUSED\); the key was not checked/,
  );
  assert.equal(odd?.level, "warn");
  assert.match(odd?.found ?? "", /answered 500/);
});

test("a server that does not answer is given up after five seconds", async (t) => {
  const clock = manualClock();
  const { url } = await sseServer(t, () => clock.advance(5_000));

  const [silent] = await check({ OPENAI_API_KEY: "o", OPENAI_BASE_URL: url }, {}, clock);

  assert.equal(silent?.level, "warn");
  assert.match(silent?.found ?? "", /no answer in 5 s/);
});

test("a local server without a key is asked too; one without an address is told", async (t) => {
  const { url, heard } = await sseServer(t, (_, response) => response.end());

  const checks = await check(
    {},
    {
      providers: {
        ollama: { kind: "openai-compatible", baseUrl: url },
        lost: { kind: "openai-compatible" },
      },
    },
  );

  assert.deepEqual(
    checks.map(({ name, level }) => [name, level]),
    [
      ["lost", "warn"],
      ["ollama", "ok"],
    ],
  );
  assert.equal(heard[0]?.headers["authorization"], undefined);
});
