// RFC 9457: every error as one document, whatever met it: the pipeline, Fastify or a bug.
import {
  asCadreError,
  CadreError,
  ERROR_CODES,
  type ErrorCode,
  type Json,
} from "../../platform/index.ts";

export type Problem = {
  /** `/errors/<code>`, relative to the hub: it leads to the code's place in the reference. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  /** The request's id, which the hub's log and the journal know too. */
  readonly instance: string;
  readonly code: ErrorCode;
  readonly retry: "never" | "later";
  readonly next: readonly string[];
  readonly details: { readonly [key: string]: Json };
};

/** The problem a caller sees. What a bug said of itself stays in the hub's log. */
export function problemOf(error: CadreError, requestId: string): Problem {
  const { status, retry, title } = ERROR_CODES[error.code];
  const isBug = error.code === "internal";
  return {
    type: `/errors/${error.code}`,
    title,
    status,
    detail: isBug
      ? `Something went wrong inside Cadre; the hub's log has it under ${requestId}.`
      : error.message,
    instance: `urn:cadre:request:${requestId}`,
    code: error.code,
    retry,
    next: error.next,
    details: isBug ? {} : error.details,
  };
}

/** What Fastify met before an operation was reached, in the words of the one table. */
const FASTIFY_CODES: { readonly [code: string]: ErrorCode } = {
  FST_ERR_CTP_BODY_TOO_LARGE: "payload_too_large",
  FST_ERR_CTP_INVALID_MEDIA_TYPE: "unsupported_media_type",
};

/** A `CadreError` for anything a request can fail with. */
export function classify(error: unknown): CadreError {
  if (error instanceof CadreError) return error;
  const { code, statusCode, message } = (error ?? {}) as {
    code?: string;
    statusCode?: number;
    message?: string;
  };
  const known = FASTIFY_CODES[code ?? ""];
  if (known === "unsupported_media_type") {
    return new CadreError(known, "A body must be JSON: send Content-Type: application/json.", {
      cause: error,
    });
  }
  if (known === "payload_too_large") {
    return new CadreError(
      known,
      "The body is larger than this operation takes. Store large content as a file or an artifact and name it in the input.",
      { cause: error },
    );
  }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new CadreError(
      "invalid_input",
      `The request can't be read: ${message ?? "malformed"}.`,
      {
        cause: error,
      },
    );
  }
  return asCadreError(error);
}
