// Every wire format over real HTTP: against a fake provider, and against servers that misbehave.
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { LLMock } from "@copilotkit/aimock";
import { CadreError, realWorld, silentLog } from "../platform/index.ts";
import { manualClock } from "./clock.testing.ts";
import type { Model, ModelAnswer, ModelMessage, ModelRequest } from "./model.ts";
import { createModels } from "./models.ts";
import type { ModelsConfig, ProviderKind } from "./names.ts";
import {
  anthropicEnd,
  anthropicStart,
  anthropicText,
  closedUrl,
  sendEvents,
  sseServer,
} from "./sse-server.testing.ts";

const KINDS: readonly (readonly [kind: ProviderKind, model: string])[] = [
  ["anthropic", "claude-sonnet-4-5"],
  ["openai", "gpt-5.2"],
  ["openai-chat", "gpt-5.2"],
  ["google", "gemini-3.1-pro-preview"],
  ["openai-compatible", "llama"],
];

const KEY = "sk-test-5f2a";

function modelsAt(baseUrl: string, more: { clock?: ReturnType<typeof manualClock> } = {}): Model {
  const real = realWorld();
  const providers: ModelsConfig["providers"] = Object.fromEntries(
    KINDS.map(([kind]) => [`my-${kind}`, { kind, baseUrl, keyEnv: "MY_KEY" }]),
  );
  return createModels({
    config: { providers, idleTimeoutMs: 30_000, prices: {} },
    world: {
      clock: more.clock ?? real.clock,
      fetch: real.fetch,
      env: (name) => (name === "MY_KEY" ? KEY : undefined),
    },
    log: silentLog,
  });
}

const writeFile = {
  name: "write_file",
  description: "Writes a file.",
  input: {
    type: "object",
    properties: { path: { type: "string" }, text: { type: "string" } },
    required: ["path", "text"],
    additionalProperties: false,
  },
};

const request = (
  kind: ProviderKind,
  messages: readonly ModelMessage[],
  more: Partial<ModelRequest> = {},
): ModelRequest => ({
  model: `my-${kind}/${KINDS.find(([one]) => one === kind)?.[1]}`,
  agent: "coder",
  system: "You write files.",
  messages,
  tools: [writeFile],
  outputTokensMax: 500,
  signal: new AbortController().signal,
  ...more,
});

const user = (text: string): ModelMessage => ({ role: "user", text });

const said = (answer: ModelAnswer): ModelMessage => ({
  role: "assistant",
  text: answer.text,
  calls: answer.calls,
  ...(answer.metadata === undefined ? {} : { metadata: answer.metadata }),
});

const done = (answer: ModelAnswer): ModelMessage => ({
  role: "tool",
  results: answer.calls.map(({ id, tool }) => ({
    call: id,
    tool,
    text: "written",
    isError: false,
  })),
});

async function failed(answer: Promise<ModelAnswer>): Promise<CadreError> {
  return answer.then(
    () => assert.fail("the call was answered"),
    (error) => {
      assert.ok(error instanceof CadreError, String(error));
      return error;
    },
  );
}

type MockReply = Parameters<LLMock["on"]>[1];

async function mockProvider(t: TestContext): Promise<LLMock> {
  const mock = new LLMock({ port: 0, logLevel: "silent", chunkSize: 8 });
  const usage = {
    input_tokens: 123,
    output_tokens: 45,
    prompt_tokens: 123,
    completion_tokens: 45,
    promptTokenCount: 123,
    candidatesTokenCount: 45,
  };
  mock.on({ userMessage: "write", hasToolResult: false }, {
    content: "I will write it.",
    toolCalls: [{ id: "call_1", name: "write_file", arguments: '{"path":"a.txt","text":"héllo"}' }],
    usage,
  } as MockReply);
  mock.on({ userMessage: "write", hasToolResult: true }, { content: "Done writing." });
  for (const status of [400, 401, 403, 429, 500, 503, 529]) {
    const type = status === 529 ? "overloaded_error" : "some_error";
    mock.onMessage(`E${status}`, {
      error: { message: `boom ${KEY}`, type },
      status,
      retryAfter: 7,
    } as MockReply);
  }
  mock.onMessage(
    "cut",
    { content: "this answer dies in the middle of it" },
    { truncateAfterChunks: 3 },
  );
  await mock.start();
  t.after(() => mock.stop());
  return mock;
}

for (const [kind] of KINDS) {
  test(`${kind}: a streamed tool call, then the answer after its result`, async (t) => {
    const models = modelsAt((await mockProvider(t)).url);
    const heard: string[] = [];

    const first = await models.answer(
      request(kind, [user("please write")], { onText: (delta) => heard.push(delta) }),
    );
    const second = await models.answer(
      request(kind, [user("please write"), said(first), done(first)]),
    );

    assert.equal(first.text, "I will write it.");
    assert.equal(heard.join(""), first.text);
    assert.ok(heard.length > 1, "it was streamed");
    assert.deepEqual(
      first.calls.map(({ tool, arguments: text }) => [tool, JSON.parse(text)]),
      [["write_file", { path: "a.txt", text: "héllo" }]],
    );
    assert.equal(first.rehearsed, false);
    assert.ok(first.usage.tokensOut > 0);
    assert.equal(second.text, "Done writing.");
    assert.deepEqual([second.calls, second.finish], [[], "stop"]);
  });

  test(`${kind}: an error status is told by its class, without the key`, async (t) => {
    const models = modelsAt((await mockProvider(t)).url);
    const expected = {
      E400: ["bad_request", "never"],
      E401: ["auth", "never"],
      E403: ["auth", "never"],
      E429: ["rate_limited", "later"],
      E500: ["server", "later"],
      E503: ["overloaded", "later"],
      E529: ["overloaded", "later"],
    };

    for (const [text, [failure, retry]] of Object.entries(expected)) {
      const error = await failed(models.answer(request(kind, [user(text)])));

      assert.equal(error.code, "model_failed");
      assert.deepEqual(
        [text, error.details["class"], error.details["retry"]],
        [text, failure, retry],
      );
      assert.equal(error.details["retryAfterMs"], text === "E429" ? 7_000 : undefined);
      assert.ok(!error.message.includes(KEY) && !JSON.stringify(error.details).includes(KEY));
      if (failure === "auth") assert.match(error.next.join(), /export MY_KEY=/);
    }
  });

  test(`${kind}: half an answer, then a dead socket, is a failure to be tried later`, async (t) => {
    const models = modelsAt((await mockProvider(t)).url);

    const error = await failed(models.answer(request(kind, [user("cut")])));

    assert.deepEqual(
      [error.code, error.details["class"], error.details["retry"]],
      ["model_failed", "network", "later"],
    );
  });

  test(`${kind}: a stream that ends before its end is a failure to be tried later`, async (t) => {
    const { url } = await sseServer(t, (_, response) => {
      sendEvents(response, earlyEnd[kind]);
      response.end();
    });

    const error = await failed(modelsAt(url).answer(request(kind, [user("hello")])));

    assert.deepEqual([error.code, error.details["retry"]], ["model_failed", "later"]);
  });

  test(`${kind}: what is no JSON in the stream is a failure to be tried later`, async (t) => {
    const { url } = await sseServer(t, (_, response) => {
      sendEvents(response, earlyEnd[kind]);
      response.end("data: {not json\n\n");
    });

    const error = await failed(modelsAt(url).answer(request(kind, [user("hello")])));

    assert.deepEqual([error.code, error.details["retry"]], ["model_failed", "later"]);
  });

  test(`${kind}: a server that says nothing at all has failed after the idle time`, async (t) => {
    const clock = manualClock();
    const { url } = await sseServer(t, () => clock.advance(30_000));

    const error = await failed(modelsAt(url, { clock }).answer(request(kind, [user("hello")])));

    assert.deepEqual([error.details["class"], error.details["retry"]], ["timeout", "later"]);
  });

  test(`${kind}: a cancelled call is stopped, not failed, and the server sees it end`, async (t) => {
    const stop = new AbortController();
    let sawEnd: () => void = () => undefined;
    const ended = new Promise<void>((resolve) => {
      sawEnd = resolve;
    });
    const { url } = await sseServer(t, (_, response) => {
      response.on("close", sawEnd);
      sendEvents(response, earlyEnd[kind]);
      stop.abort();
    });

    const error = await failed(
      modelsAt(url).answer(request(kind, [user("hello")], { signal: stop.signal })),
    );
    await ended;

    assert.equal(error.code, "stopped");
  });

  test(`${kind}: nobody listening is a network failure`, async () => {
    const error = await failed(modelsAt(await closedUrl()).answer(request(kind, [user("hello")])));

    assert.deepEqual([error.details["class"], error.details["retry"]], ["network", "later"]);
  });
}

/** The beginning of an answer of each wire format, never finished. */
const chatStart = [
  {
    id: "c",
    object: "chat.completion.chunk",
    created: 1,
    model: "m",
    choices: [{ index: 0, delta: { role: "assistant", content: "half" }, finish_reason: null }],
  },
];
const earlyEnd = {
  anthropic: anthropicText("half").slice(0, 3),
  openai: [
    {
      type: "response.created",
      response: { id: "r", created_at: 1, model: "gpt-5.2", service_tier: null },
    },
    { type: "response.output_item.added", output_index: 0, item: { type: "message", id: "m" } },
    { type: "response.output_text.delta", item_id: "m", delta: "half", logprobs: [] },
  ],
  "openai-chat": chatStart,
  google: [{ candidates: [{ content: { role: "model", parts: [{ text: "half" }] } }] }],
  "openai-compatible": chatStart,
};

test("an error as the first event is told by its class", async (t) => {
  const overloaded = { type: "error", error: { type: "overloaded_error", message: "Overloaded" } };
  const { url } = await sseServer(t, (_, response) => {
    sendEvents(response, [overloaded]);
    response.end();
  });

  const error = await failed(modelsAt(url).answer(request("anthropic", [user("hello")])));

  assert.deepEqual([error.details["class"], error.details["retry"]], ["overloaded", "later"]);
});

test("an error after half an answer is told by its class", async (t) => {
  const overloaded = { type: "error", error: { type: "overloaded_error", message: "Overloaded" } };
  const { url } = await sseServer(t, (_, response) => {
    sendEvents(response, [...anthropicText("half").slice(0, 3), overloaded]);
    response.end();
  });

  const error = await failed(modelsAt(url).answer(request("anthropic", [user("hello")])));

  assert.deepEqual([error.details["class"], error.details["retry"]], ["overloaded", "later"]);
});

test("words in time put the idle time off, however long the answer takes", async (t) => {
  const clock = manualClock();
  const events = anthropicText("first");
  let more: () => void = () => undefined;
  const { url } = await sseServer(t, (_, response) => {
    const second = { type: "text_delta", text: " second" };
    sendEvents(response, events.slice(0, 3));
    more = () => {
      sendEvents(response, [{ type: "content_block_delta", index: 0, delta: second }]);
      more = () => {
        sendEvents(response, events.slice(3));
        response.end();
      };
    };
  });

  const answer = await modelsAt(url, { clock }).answer(
    request("anthropic", [user("hello")], {
      onText() {
        // Twenty of thirty seconds, and again twenty: never thirty of silence.
        clock.advance(20_000);
        more();
      },
    }),
  );

  assert.deepEqual([answer.text, answer.tookMs], ["first second", 40_000]);
});

test("silence in the middle of an answer fails it", async (t) => {
  const clock = manualClock();
  const { url } = await sseServer(t, (_, response) =>
    sendEvents(response, anthropicText("first").slice(0, 3)),
  );

  const error = await failed(
    modelsAt(url, { clock }).answer(
      request("anthropic", [user("hello")], { onText: () => clock.advance(30_000) }),
    ),
  );

  assert.deepEqual([error.details["class"], error.details["retry"]], ["timeout", "later"]);
  assert.match(error.message, /nothing was heard for 30000 ms/);
});

test("a call that was cancelled before it began asks nobody", async (t) => {
  const { url, heard } = await sseServer(t, (_, response) => response.end());

  const error = await failed(
    modelsAt(url).answer(request("anthropic", [user("x")], { signal: AbortSignal.abort() })),
  );

  assert.deepEqual([error.code, heard.length], ["stopped", 0]);
});

test("Anthropic: signed thinking goes back word for word, and caching is asked for", async (t) => {
  const { url, heard } = await sseServer(t, (_, response) => {
    sendEvents(response, [
      ...anthropicStart,
      { type: "content_block_start", index: 0, content_block: { type: "thinking", thinking: "" } },
      {
        type: "content_block_delta",
        index: 0,
        delta: { type: "thinking_delta", thinking: "Hmm." },
      },
      {
        type: "content_block_delta",
        index: 0,
        delta: { type: "signature_delta", signature: "SIG" },
      },
      { type: "content_block_stop", index: 0 },
      {
        type: "content_block_start",
        index: 1,
        content_block: { type: "tool_use", id: "toolu_1", name: "write_file", input: {} },
      },
      {
        type: "content_block_delta",
        index: 1,
        delta: { type: "input_json_delta", partial_json: '{"path":"a"}' },
      },
      { type: "content_block_stop", index: 1 },
      ...anthropicEnd("tool_use"),
    ]);
    response.end();
  });
  const models = modelsAt(url);

  const answer = await models.answer(request("anthropic", [user("go")]));
  await models.answer(request("anthropic", [user("go"), reread(said(answer)), done(answer)]));

  const { messages, system } = heard[1]?.body ?? {};
  assert.deepEqual(messages[1].content[0], {
    type: "thinking",
    thinking: "Hmm.",
    signature: "SIG",
  });
  assert.deepEqual(messages[1].content[1], {
    type: "tool_use",
    id: "toolu_1",
    name: "write_file",
    input: { path: "a" },
  });
  assert.equal(messages[2].content[0].tool_use_id, "toolu_1");
  assert.deepEqual(system[0].cache_control, { type: "ephemeral" });
  assert.deepEqual(messages[2].content[0].cache_control, { type: "ephemeral" });
  assert.equal(messages[0].content[0].cache_control, undefined);
});

test("Anthropic: cached tokens are counted and priced", async (t) => {
  const { url } = await sseServer(t, (_, response) => {
    sendEvents(response, anthropicText("hi"));
    response.end();
  });

  const { usage } = await modelsAt(url).answer(request("anthropic", [user("go")]));

  // 100 fresh at 3 $, 900 cached at 0.30 $, 20 out at 15 $ a million.
  assert.deepEqual(
    { ...usage, costUsd: usage.costUsd?.toFixed(6) },
    {
      tokensIn: 1_000,
      tokensOut: 20,
      tokensCached: 900,
      costUsd: "0.000870",
    },
  );
});

test("OpenAI: encrypted reasoning goes back, nothing is kept there", async (t) => {
  const reasoning = { type: "reasoning", id: "rs_1", encrypted_content: "SECRET", summary: [] };
  const call = {
    type: "function_call",
    id: "fc_1",
    call_id: "call_9",
    name: "write_file",
    arguments: '{"path":"a"}',
    status: "completed",
  };
  const { url, heard } = await sseServer(t, (_, response) => {
    sendEvents(response, [
      {
        type: "response.created",
        response: { id: "r", created_at: 1, model: "gpt-5.2", service_tier: null },
      },
      { type: "response.output_item.added", output_index: 0, item: reasoning },
      { type: "response.output_item.done", output_index: 0, item: reasoning },
      {
        type: "response.output_item.added",
        output_index: 1,
        item: { ...call, arguments: "", status: "in_progress" },
      },
      {
        type: "response.function_call_arguments.delta",
        item_id: "fc_1",
        output_index: 1,
        delta: call.arguments,
      },
      { type: "response.output_item.done", output_index: 1, item: call },
      {
        type: "response.completed",
        response: {
          incomplete_details: null,
          usage: {
            input_tokens: 7,
            output_tokens: 3,
            input_tokens_details: { cached_tokens: 2 },
            output_tokens_details: { reasoning_tokens: 1 },
          },
          service_tier: null,
        },
      },
    ]);
    response.end();
  });
  const models = modelsAt(url);

  const answer = await models.answer(request("openai", [user("go")]));
  await models.answer(request("openai", [user("go"), reread(said(answer)), done(answer)]));

  assert.deepEqual(answer.usage, {
    tokensIn: 7,
    tokensOut: 3,
    tokensCached: 2,
    costUsd: answer.usage.costUsd,
  });
  const { input, store, include } = heard[1]?.body ?? {};
  assert.equal(store, false);
  assert.deepEqual(include, ["reasoning.encrypted_content"]);
  const sent = input.filter((item: { type?: string }) => item.type !== undefined);
  assert.deepEqual(
    sent.map((item: { type: string }) => item.type),
    ["reasoning", "function_call", "function_call_output"],
  );
  assert.equal(sent[0].encrypted_content, "SECRET");
  assert.deepEqual([sent[1].call_id, sent[2].call_id], ["call_9", "call_9"]);
});

test("Gemini: a thought's signature goes back with its call", async (t) => {
  const { url, heard } = await sseServer(t, (_, response) => {
    sendEvents(response, [
      {
        candidates: [
          {
            content: {
              role: "model",
              parts: [
                {
                  functionCall: { name: "write_file", args: { path: "a" } },
                  thoughtSignature: "SIG",
                },
              ],
            },
            finishReason: "STOP",
          },
        ],
        usageMetadata: { promptTokenCount: 5, candidatesTokenCount: 2, totalTokenCount: 7 },
      },
    ]);
    response.end();
  });
  const models = modelsAt(url);

  const answer = await models.answer(request("google", [user("go")]));
  await models.answer(request("google", [user("go"), reread(said(answer)), done(answer)]));

  const part = heard[1]?.body.contents[1].parts[0];
  assert.equal(part.thoughtSignature, "SIG");
  assert.deepEqual(part.functionCall.args, { path: "a" });
});

test("another provider gets the same conversation without the first one's signatures", async (t) => {
  const { url, heard } = await sseServer(t, (_, response) => {
    sendEvents(response, [
      ...chatStart,
      { ...chatStart[0], choices: [{ index: 0, delta: {}, finish_reason: "stop" }] },
    ]);
    response.end("data: [DONE]\n\n");
  });
  const assistant: ModelMessage = {
    role: "assistant",
    text: "Writing.",
    calls: [
      { id: "toolu:1", tool: "write_file", arguments: "{}", metadata: { anthropic: { x: "SIG" } } },
    ],
    metadata: {
      provider: "my-anthropic",
      parts: [
        { type: "reasoning", text: "Hmm.", metadata: { anthropic: { signature: "SIG" } } },
        { type: "text", from: 0, to: 8 },
        { type: "call", index: 0 },
      ],
    },
  };

  await modelsAt(url).answer(request("openai-compatible", [user("go"), assistant]));

  const { messages } = heard[0]?.body ?? {};
  assert.doesNotMatch(JSON.stringify(messages), /SIG|Hmm/);
  assert.equal(messages[2].content, "Writing.");
  assert.equal(messages[2].tool_calls[0].id, "toolu_1");
  assert.equal(messages[3].tool_call_id, "toolu_1");
});

test("a model whose key is not set is refused, naming the variable", async () => {
  const models = createModels({
    config: { providers: {}, idleTimeoutMs: 1_000, prices: {} },
    world: { ...realWorld(), env: () => undefined },
    log: silentLog,
  });
  const ask = (model: ModelRequest["model"]) =>
    failed(models.answer({ ...request("anthropic", [user("x")]), model }));

  const noKey = await ask("anthropic/claude-sonnet-4-5");
  const unknown = await ask("antropic/claude");
  const noScripts = await ask("rehearsal/coder");

  assert.deepEqual(
    [noKey.code, unknown.code, noScripts.code],
    ["no_model", "no_model", "no_model"],
  );
  assert.match(noKey.message, /ANTHROPIC_API_KEY is not set/);
  assert.match(unknown.message, /no model provider "antropic"\. Known: anthropic, openai, google/);
  assert.match(noScripts.message, /no folder of scripts is configured/);
});

/** As the transcript gives it back: through JSON. */
const reread = (message: ModelMessage): ModelMessage => JSON.parse(JSON.stringify(message));
