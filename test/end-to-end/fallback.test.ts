// A4 over the wire: three providers of different formats take turns in one run.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { LLMock } from "@copilotkit/aimock";
import { z } from "zod";
import { type App, createApp } from "../../src/app.ts";
import { config } from "../../src/config/index.ts";
import type { Principal } from "../../src/operations/index.ts";
import { realWorld, silentLog, type TaskId, type World } from "../../src/platform/index.ts";
import { createPipeline, defineTool, refusingSandbox } from "../../src/tools/index.ts";
import { agent } from "../support/worker.ts";

const CLAUDE = "my-anthropic/claude-sonnet-4-5";
const GPT = "my-openai/gpt-5.2";
const GEMINI = "my-google/gemini-3.1-pro-preview";

const NODE: Principal = { id: "node_test", kind: "node", roles: ["node"] };

type Sent = { readonly path: string; readonly status: number; readonly text: string };

/** The real world, with a note of every request that left it. */
function overheard(): { readonly world: World; readonly sent: Sent[] } {
  const real = realWorld();
  const sent: Sent[] = [];
  const world: World = {
    ...real,
    env: (name) => (name === "MY_KEY" ? "sk-test" : real.env(name)),
    fetch: async (input, init) => {
      const response = await real.fetch(input, init);
      const url = input instanceof Request ? input.url : String(input);
      sent.push({
        path: new URL(url).pathname,
        status: response.status,
        text: String(init?.body ?? ""),
      });
      return response;
    },
  };
  return { world, sent };
}

/** Each provider's part, by how many results the conversation holds so far. */
async function providers(t: TestContext): Promise<string> {
  const mock = new LLMock({ port: 0, logLevel: "silent" });
  const busy = (status: number, type: string) => ({ error: { message: "Busy.", type }, status });
  const recover = (id: string, model: string) => ({
    content: `I ask for ${model}.`,
    toolCalls: [{ id, name: "recover", arguments: JSON.stringify({ model }) }],
  });
  const turnOf = (request: { readonly messages: readonly { readonly role: string }[] }) =>
    request.messages.filter(({ role }) => role === "tool").length;
  mock.on({ model: /claude/ }, (request) =>
    turnOf(request) === 1 ? recover("toolu_2", GPT) : busy(529, "overloaded_error"),
  );
  mock.on({ model: /gpt/ }, (request) =>
    turnOf(request) === 2 ? { content: "All did." } : busy(429, "rate_limit_error"),
  );
  mock.on({ model: /gemini/ }, () => recover("call.1:x", CLAUDE));
  await mock.start();
  t.after(() => mock.stop());
  return mock.url;
}

async function ended(app: App, id: TaskId) {
  const stop = new AbortController();
  for await (const event of app.client.follow({ task: id }, { after: 0, signal: stop.signal })) {
    if (event.type === "task.completed" || event.type === "task.failed") stop.abort();
  }
  return await app.client.call("tasks.get", { id });
}

async function freshHome(t: TestContext): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), "cadre-fallback-"));
  t.after(() => rm(home, { recursive: true, force: true }));
  return home;
}

async function start(
  t: TestContext,
  { world, baseUrl, home }: { world: World; baseUrl: string; home: string },
): Promise<App> {
  const provider = (kind: string) => ({ kind, baseUrl, keyEnv: "MY_KEY" });
  const recover = defineTool({
    name: "recover",
    description: "Lets a model be asked again.",
    input: z.object({ model: z.string() }),
    kind: "internal",
    effect: "pure",
    timeoutMs: 10_000,
    async run(_, { model }) {
      await app.client.call("models.clear", { model });
      // The journal's news of it is heard in the next turn of the event loop.
      await nextTurn();
      return { kind: "done", text: `${model} may be asked again.` };
    },
  });
  const app = await createApp({
    config: config.parse({
      models: {
        providers: {
          "my-anthropic": provider("anthropic"),
          "my-openai": provider("openai"),
          "my-google": provider("google"),
        },
      },
    }),
    home,
    world,
    log: silentLog,
    listen: false,
    agents: [agent("coder", { models: [CLAUDE, GPT, GEMINI], tools: ["recover"] })],
    parts: {
      sandbox: refusingSandbox([]),
      pipeline: createPipeline({ tools: [recover], world, log: silentLog }),
    },
  });
  t.after(() => app.stop("now"));
  return app;
}

test("three providers take turns in one run, each reading what the others said", async (t) => {
  const { world, sent } = overheard();
  const app = await start(t, { world, baseUrl: await providers(t), home: await freshHome(t) });

  const { id } = await app.client.call("tasks.submit", { title: "Take turns", agent: "coder" });
  const task = await ended(app, id);

  assert.equal(task.failure, undefined);
  assert.equal(task.result?.text, "All did.");
  assert.deepEqual(
    sent.map(({ path, status }) => [
      path.replace(/^.*\/(?=messages|responses|models)/, ""),
      status,
    ]),
    [
      ["messages", 529],
      ["responses", 429],
      ["models/gemini-3.1-pro-preview:streamGenerateContent", 200],
      ["messages", 200],
      ["messages", 529],
      ["responses", 200],
    ],
  );

  // Anthropic reads Gemini's turn: an id it takes, and each use with its result right after it.
  const claude = JSON.parse(sent[3]?.text ?? "");
  assert.deepEqual(
    claude.messages.map(({ role, content }: Message) => [role, content.map(({ type }) => type)]),
    [
      ["user", ["text"]],
      ["assistant", ["text", "tool_use"]],
      ["user", ["tool_result"]],
    ],
  );
  const used = claude.messages[1].content[1].id;
  assert.match(used, /^[A-Za-z0-9_-]{1,64}$/);
  assert.equal(claude.messages[2].content[0].tool_use_id, used);

  // OpenAI reads both: calls and outputs in pairs, and nobody else's signatures.
  const { input } = JSON.parse(sent[5]?.text ?? "");
  const pairs = input.filter(({ call_id }: { call_id?: string }) => call_id !== undefined);
  assert.deepEqual(
    pairs.map(({ type, call_id }: { type: string; call_id: string }) => [type, call_id]),
    [
      ["function_call", used],
      ["function_call_output", used],
      ["function_call", "toolu_2"],
      ["function_call_output", "toolu_2"],
    ],
  );
  assert.doesNotMatch(sent[5]?.text ?? "", /signature/i);

  // What failed last, and only that, is still kept away from.
  const { cooldowns } = await app.client.call("models.cooldowns", {});
  assert.deepEqual(
    cooldowns.map(({ model, class: why }) => [model, why]),
    [[CLAUDE, "overloaded"]],
  );
});

test("who cools down is known after a restart", async (t) => {
  const { world, sent } = overheard();
  const parts = { world, baseUrl: await providers(t), home: await freshHome(t) };
  const first = await start(t, parts);
  const settled = await first.clientOf(NODE).call("models.settle", {
    model: CLAUDE,
    outcome: { kind: "failed", class: "billing", message: "Not paid." },
  });
  await first.stop("graceful");

  const second = await start(t, parts);
  const { cooldowns } = await second.client.call("models.cooldowns", {});

  assert.deepEqual(cooldowns, [settled.cooldown]);
  assert.deepEqual(sent, []);
});

type Message = { readonly role: string; readonly content: readonly { readonly type: string }[] };
