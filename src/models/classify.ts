// What a provider's error means. The one place that reads foreign errors of model calls.
//
// Errors are told apart by their shape, not by their class: importing the providers' error classes
// would load them at start.
import { type Millis, messageOf } from "../platform/index.ts";

/** The kinds of failure a caller can act on; `details.class` of `model_failed`. */
export const FAILURE_CLASSES = [
  "rate_limited",
  "overloaded",
  "timeout",
  "network",
  "server",
  "auth",
  "billing",
  "context_overflow",
  "bad_request",
  "content_filter",
  "protocol",
  "unknown",
] as const;
export type FailureClass = (typeof FAILURE_CLASSES)[number];

export type Classified = {
  readonly class: FailureClass;
  /** Whether the same call may succeed later, with nobody changing anything. */
  readonly retry: "never" | "later";
  /** What the provider asked to wait. */
  readonly retryAfterMs?: Millis;
  /** The provider's own words, cut to a line or two. */
  readonly message: string;
};

const RETRIED: ReadonlySet<FailureClass> = new Set([
  "rate_limited",
  "overloaded",
  "timeout",
  "network",
  "server",
  "protocol",
  "unknown",
]);

const MESSAGE_CHARS_MAX = 500;
const RETRY_AFTER_MS_MAX = 24 * 3_600_000;

/** Whether a failure of this class is worth the same call again. */
export const retryOf = (failure: FailureClass): "never" | "later" =>
  RETRIED.has(failure) ? "later" : "never";

/** Pure. `now` reads a `retry-after` that is a date. */
export function classify(error: unknown, now: Millis): Classified {
  const facts = factsOf(error);
  const failure = classOf(facts);
  const retryAfterMs = retryAfterOf(facts, now);
  return {
    class: failure,
    retry: retryOf(failure),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    message: facts.message,
  };
}

type Facts = {
  readonly name: string;
  readonly status: number | undefined;
  /** The provider's `type`, `code` and `status` words, in lower case. */
  readonly words: readonly string[];
  readonly message: string;
  /** Message and body, where some providers put the only hint. */
  readonly text: string;
  readonly headers: { readonly [name: string]: string };
  /** Codes of the error and its causes: ECONNREFUSED, UND_ERR_SOCKET, ... */
  readonly codes: readonly string[];
};

function classOf(facts: Facts): FailureClass {
  const { name, status, words, codes } = facts;
  const says = (pattern: RegExp): boolean => pattern.test(facts.text);
  const is = (...names: string[]): boolean => names.some((word) => words.includes(word));

  // Words first: providers put quite different things behind 400 and 429.
  if (is("insufficient_quota", "billing_error", "billing_not_active") || says(BILLING)) {
    return "billing";
  }
  if (isRequestFault(status) && (is("context_length_exceeded") || says(OVERFLOW))) {
    return "context_overflow";
  }
  if (
    isRequestFault(status) &&
    (is("content_filter", "content_policy_violation") || says(FILTER))
  ) {
    return "content_filter";
  }
  if (is("overloaded_error", "overloaded", "unavailable")) return "overloaded";
  if (is("rate_limit_error", "rate_limit_exceeded", "resource_exhausted")) return "rate_limited";
  if (is("authentication_error", "permission_error", "invalid_api_key") || says(BAD_KEY)) {
    return "auth";
  }
  if (status !== undefined && status >= 400) return ofStatus(status);
  if (is("timeout_error")) return "timeout";
  if (is("api_error", "server_error", "internal_error", "internal")) return "server";
  if (is("invalid_request_error", "not_found_error", "invalid_argument")) return "bad_request";

  if (name === "TimeoutError" || codes.some((code) => /TIMEDOUT|_TIMEOUT$/.test(code))) {
    return "timeout";
  }
  if (name === "AI_LoadAPIKeyError") return "auth";
  if (/^AI_(InvalidPrompt|UnsupportedFunctionality|InvalidArgument|NoSuchModel)/.test(name)) {
    return "bad_request";
  }
  if (PROTOCOL_ERRORS.test(name)) return "protocol";
  // An APICallError without an error status: the socket failed before or in the answer.
  if (name === "AI_APICallError" || codes.length > 0 || says(/^(terminated|fetch failed)$/)) {
    return "network";
  }
  return "unknown";
}

const PROTOCOL_ERRORS =
  /^AI_(JSONParse|TypeValidation|InvalidResponseData|EmptyResponseBody|NoContentGenerated)/;
const BILLING =
  /insufficient[_ ](quota|balance|credits?)|credit balance is too low|exceeded your current quota|payment required/i;
const OVERFLOW =
  /prompt is too long|maximum context length|context[_ ](length|window)[^.]{0,40}(exceed|limit)|exceed[^.]{0,60}context (length|window|size)|input (token count|is too long)[^.]{0,60}|too many (input )?tokens|request too large|request_too_large|reduce the length of the (messages|prompt)/i;
const FILTER =
  /content[_ ]filter|content management policy|content[_ ]policy|safety (system|filter)/i;
const BAD_KEY = /(invalid|incorrect|missing|no) (x-)?api[- ]key|api[- ]key not valid/i;

// 200 and none: an error event inside a stream carries no status of its own.
const isRequestFault = (status: number | undefined): boolean =>
  status === undefined || status < 500;

function ofStatus(status: number): FailureClass {
  switch (status) {
    case 401:
    case 403:
      return "auth";
    case 402:
      return "billing";
    case 408:
    case 504:
      return "timeout";
    case 409:
    case 425:
      return "server";
    case 413:
      return "context_overflow";
    case 429:
      return "rate_limited";
    case 503:
    case 529:
      return "overloaded";
    default:
      return status >= 500 ? "server" : "bad_request";
  }
}

function retryAfterOf(facts: Facts, now: Millis): Millis | undefined {
  const inMs = Number(facts.headers["retry-after-ms"] ?? Number.NaN);
  if (inMs >= 0) return Math.min(inMs, RETRY_AFTER_MS_MAX);
  const header = facts.headers["retry-after"];
  if (header !== undefined) {
    const seconds = Number(header);
    const wait = Number.isNaN(seconds) ? Date.parse(header) - now : seconds * 1000;
    if (!Number.isNaN(wait)) return Math.min(Math.max(0, wait), RETRY_AFTER_MS_MAX);
  }
  // Gemini says it in the body only: "retryDelay": "17s".
  const delay = /"retryDelay":\s*"(\d{1,6})(?:\.\d+)?s"/.exec(facts.text)?.[1];
  return delay === undefined ? undefined : Math.min(Number(delay) * 1000, RETRY_AFTER_MS_MAX);
}

function factsOf(error: unknown): Facts {
  const chain = causesOf(error);
  const call = fieldsOf(
    chain.find((one) => typeof fieldsOf(one)["statusCode"] === "number") ?? error,
  );
  const body = typeof call["responseBody"] === "string" ? call["responseBody"].slice(0, 4_000) : "";
  const inner = innermost(call);
  const message = wordsOf(error, inner);
  const words = [call, inner].flatMap((fields) =>
    ["type", "code", "status"]
      .map((field) => fields[field])
      .filter((word) => typeof word === "string"),
  );
  return {
    name: error instanceof Error ? error.name : String(call["name"] ?? ""),
    status: statusOf(call, inner),
    words: words.map((word) => word.toLowerCase()),
    message,
    text: body === "" ? message : `${message}\n${body}`,
    headers: headersOf(call["responseHeaders"]),
    codes: chain.map((one) => fieldsOf(one)["code"]).filter((code) => typeof code === "string"),
  };
}

type Fields = { readonly [field: string]: unknown };

const fieldsOf = (value: unknown): Fields =>
  typeof value === "object" && value !== null ? (value as Fields) : {};

/** The provider's own error object: in `data.error`, in `error`, or the error itself. */
function innermost(call: Fields): Fields {
  const parsed = call["data"] ?? call;
  const inner = fieldsOf(parsed)["error"];
  return typeof inner === "object" && inner !== null ? (inner as Fields) : fieldsOf(parsed);
}

function statusOf(call: Fields, inner: Fields): number | undefined {
  const candidates = [call["statusCode"], call["status"], inner["status"], inner["code"]];
  return candidates.find(
    (one): one is number => typeof one === "number" && one >= 100 && one < 600,
  );
}

function wordsOf(error: unknown, inner: Fields): string {
  const said = [
    error instanceof Error ? messageOf(error) : undefined,
    typeof inner["message"] === "string" ? inner["message"] : undefined,
    typeof error === "string" ? error : undefined,
  ].find((text) => text !== undefined && text.trim() !== "");
  const text = (said ?? JSON.stringify(error) ?? "no reason given").replace(/\s+/g, " ").trim();
  return text.length > MESSAGE_CHARS_MAX ? `${text.slice(0, MESSAGE_CHARS_MAX)}…` : text;
}

const headersOf = (value: unknown): { readonly [name: string]: string } =>
  Object.fromEntries(
    Object.entries(fieldsOf(value)).map(([name, text]) => [name.toLowerCase(), String(text)]),
  );

/** The error and what caused it, at most eight deep. */
function causesOf(error: unknown): unknown[] {
  const chain: unknown[] = [];
  for (let at = error; at !== undefined && at !== null && chain.length < 8; ) {
    chain.push(at);
    at = fieldsOf(at)["cause"];
  }
  return chain;
}
