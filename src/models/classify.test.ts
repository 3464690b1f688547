import assert from "node:assert/strict";
import { test } from "node:test";
import { APICallError } from "@ai-sdk/provider";
import fc from "fast-check";
import { classify, FAILURE_CLASSES, type FailureClass } from "./classify.ts";

const NOW = Date.UTC(2026, 0, 1);

type Call = {
  status?: number;
  message?: string;
  body?: object;
  headers?: Record<string, string>;
  cause?: unknown;
};

const apiError = ({ status, message = "boom", body, headers, cause }: Call): APICallError =>
  new APICallError({
    message,
    url: "http://provider",
    requestBodyValues: {},
    ...(status === undefined ? {} : { statusCode: status }),
    ...(headers === undefined ? {} : { responseHeaders: headers }),
    ...(body === undefined ? {} : { responseBody: JSON.stringify(body), data: body }),
    cause,
  });

const openai = (code: string, message: string, type = "invalid_request_error") => ({
  error: { message, type, param: null, code },
});
const anthropic = (type: string, message: string) => ({ type: "error", error: { type, message } });
const google = (code: number, status: string, message: string, details: object[] = []) => ({
  error: { code, status, message, details },
});

const CASES: readonly (readonly [what: string, error: unknown, expected: FailureClass])[] = [
  ["401", apiError({ status: 401 }), "auth"],
  ["403", apiError({ status: 403 }), "auth"],
  ["402", apiError({ status: 402 }), "billing"],
  ["404", apiError({ status: 404 }), "bad_request"],
  ["408", apiError({ status: 408 }), "timeout"],
  ["413", apiError({ status: 413 }), "context_overflow"],
  ["422", apiError({ status: 422 }), "bad_request"],
  ["429", apiError({ status: 429 }), "rate_limited"],
  ["500", apiError({ status: 500 }), "server"],
  ["502", apiError({ status: 502 }), "server"],
  ["503", apiError({ status: 503 }), "overloaded"],
  ["504", apiError({ status: 504 }), "timeout"],
  ["529", apiError({ status: 529 }), "overloaded"],
  [
    "OpenAI: no quota, which it calls 429",
    apiError({
      status: 429,
      body: openai(
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details.",
        "insufficient_quota",
      ),
    }),
    "billing",
  ],
  [
    "OpenAI: no quota, inside a stream",
    openai("insufficient_quota", "Please add funds."),
    "billing",
  ],
  [
    "OpenAI: too long",
    apiError({
      status: 400,
      body: openai(
        "context_length_exceeded",
        "Your input exceeds the context window of this model.",
      ),
    }),
    "context_overflow",
  ],
  [
    "OpenAI: one request above the minute's tokens",
    apiError({
      status: 429,
      message: "Request too large for gpt-5.2",
      body: openai(
        "rate_limit_exceeded",
        "Request too large for gpt-5.2 on tokens per min",
        "tokens",
      ),
    }),
    "context_overflow",
  ],
  [
    "OpenAI: rate",
    apiError({
      status: 429,
      body: openai("rate_limit_exceeded", "Rate limit reached for gpt-5.2", "requests"),
    }),
    "rate_limited",
  ],
  [
    "OpenAI: wrong key",
    apiError({ status: 401, body: openai("invalid_api_key", "Incorrect API key provided") }),
    "auth",
  ],
  [
    "OpenAI: filter",
    apiError({
      status: 400,
      body: openai(
        "content_filter",
        "The response was filtered due to the prompt triggering our content management policy.",
      ),
    }),
    "content_filter",
  ],
  [
    "Anthropic: too long",
    apiError({
      status: 400,
      message: "prompt is too long: 213462 tokens > 200000 maximum",
      body: anthropic(
        "invalid_request_error",
        "prompt is too long: 213462 tokens > 200000 maximum",
      ),
    }),
    "context_overflow",
  ],
  [
    "Anthropic: too many bytes",
    apiError({
      status: 413,
      body: anthropic("request_too_large", "Request exceeds the maximum size"),
    }),
    "context_overflow",
  ],
  [
    "Anthropic: no credit, which it calls 400",
    apiError({
      status: 400,
      body: anthropic(
        "invalid_request_error",
        "Your credit balance is too low to access the Anthropic API.",
      ),
    }),
    "billing",
  ],
  [
    "Anthropic: overloaded inside a stream",
    anthropic("overloaded_error", "Overloaded"),
    "overloaded",
  ],
  [
    "Anthropic: server error inside a stream",
    anthropic("api_error", "Internal server error"),
    "server",
  ],
  [
    "Anthropic: an ordinary bad request",
    apiError({
      status: 400,
      body: anthropic("invalid_request_error", "messages: at least one message is required"),
    }),
    "bad_request",
  ],
  [
    "Google: wrong key, which it calls 400",
    apiError({
      status: 400,
      body: google(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
    }),
    "auth",
  ],
  [
    "Google: too long",
    apiError({
      status: 400,
      body: google(
        400,
        "INVALID_ARGUMENT",
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
      ),
    }),
    "context_overflow",
  ],
  [
    "Google: exhausted",
    apiError({
      status: 429,
      body: google(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
    }),
    "rate_limited",
  ],
  [
    "Google: unavailable",
    apiError({ status: 503, body: google(503, "UNAVAILABLE", "The model is overloaded.") }),
    "overloaded",
  ],
  [
    "llama.cpp: too long",
    apiError({
      status: 400,
      body: {
        error: {
          code: 400,
          message: "the request exceeds the available context size",
          type: "exceed_context_size_error",
        },
      },
    }),
    "context_overflow",
  ],
  [
    "vLLM: too long",
    apiError({
      status: 400,
      body: openai(
        "400",
        "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens.",
      ),
    }),
    "context_overflow",
  ],
  [
    "a 500 that mentions a filter is still the server",
    apiError({ status: 500, message: "content filter crashed" }),
    "server",
  ],
  [
    "refused socket",
    apiError({
      message: "Cannot connect to API",
      cause: Object.assign(new Error("connect"), { code: "ECONNREFUSED" }),
    }),
    "network",
  ],
  [
    "cut in the middle: status 200",
    apiError({ status: 200, message: "Failed to process successful response" }),
    "network",
  ],
  ["a bare reset", Object.assign(new Error("read"), { code: "ECONNRESET" }), "network"],
  [
    "undici's cut",
    Object.assign(new TypeError("terminated"), { cause: { code: "UND_ERR_SOCKET" } }),
    "network",
  ],
  [
    "undici's timeout",
    Object.assign(new TypeError("fetch failed"), { cause: { code: "UND_ERR_HEADERS_TIMEOUT" } }),
    "timeout",
  ],
  ["a timeout signal", new DOMException("late", "TimeoutError"), "timeout"],
  [
    "not JSON",
    Object.assign(new Error("JSON parsing failed"), { name: "AI_JSONParseError" }),
    "protocol",
  ],
  [
    "other JSON",
    Object.assign(new Error("Type validation failed"), { name: "AI_TypeValidationError" }),
    "protocol",
  ],
  ["a bug", new RangeError("x is not iterable"), "unknown"],
  ["text", "something", "unknown"],
  ["nothing", undefined, "unknown"],
];
const LATER = new Set<FailureClass>([
  "rate_limited",
  "overloaded",
  "timeout",
  "network",
  "server",
  "protocol",
  "unknown",
]);
for (const [what, error, expected] of CASES) {
  test(`${what} is ${expected}`, () => {
    const { class: failure, retry } = classify(error, NOW);

    assert.deepEqual([failure, retry], [expected, LATER.has(expected) ? "later" : "never"]);
  });
}

const WAITS: readonly (readonly [what: string, call: Call, waitMs: number | undefined])[] = [
  ["seconds", { status: 429, headers: { "Retry-After": "7" } }, 7_000],
  [
    "milliseconds, which win",
    { status: 429, headers: { "retry-after": "7", "retry-after-ms": "1500" } },
    1_500,
  ],
  [
    "a date",
    { status: 503, headers: { "retry-after": new Date(NOW + 90_000).toUTCString() } },
    90_000,
  ],
  [
    "a date gone by",
    { status: 503, headers: { "retry-after": new Date(NOW - 90_000).toUTCString() } },
    0,
  ],
  ["a year, cut to a day", { status: 429, headers: { "retry-after": "31536000" } }, 86_400_000],
  [
    "Google's body",
    {
      status: 429,
      body: google(429, "RESOURCE_EXHAUSTED", "slow down", [
        { "@type": "RetryInfo", retryDelay: "17s" },
      ]),
    },
    undefined,
  ],
  ["nonsense", { status: 429, headers: { "retry-after": "soon" } }, undefined],
  ["nothing", { status: 429 }, undefined],
];
for (const [what, call, waitMs] of WAITS) {
  test(`asked to wait by ${what}`, () => {
    const expected = what === "Google's body" ? 17_000 : waitMs;

    assert.equal(classify(apiError(call), NOW).retryAfterMs, expected);
  });
}

test("whatever is thrown gets a class and a short message", () => {
  fc.assert(
    fc.property(fc.anything(), (thrown) => {
      const { class: failure, message } = classify(thrown, NOW);
      assert.ok(FAILURE_CLASSES.includes(failure));
      assert.ok(message.length > 0 && message.length <= 501);
    }),
  );
});
