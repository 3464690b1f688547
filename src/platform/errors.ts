// Every error a caller can meet, in one table. A code outside it does not compile.
import type { Json } from "./words.ts";

type Row = {
  /** HTTP status a face answers with. */
  readonly status: number;
  /** `later`: the same call may succeed another time. `never`: something must change first. */
  readonly retry: "never" | "later";
  /** Exit code of the command line. */
  readonly exit: number;
  /** What the code means, in a few words: the problem's title. */
  readonly title: string;
};

export const ERROR_CODES = {
  invalid_input: { status: 400, retry: "never", exit: 2, title: "The input is not valid" },
  invalid_config: { status: 400, retry: "never", exit: 2, title: "The configuration is not valid" },
  invalid_agent: { status: 400, retry: "never", exit: 2, title: "An agent file is not valid" },
  invalid_plan: { status: 422, retry: "never", exit: 1, title: "The plan is not valid" },
  payload_too_large: { status: 413, retry: "never", exit: 2, title: "The input is too large" },
  unauthenticated: { status: 401, retry: "never", exit: 3, title: "The caller is not known" },
  forbidden: { status: 403, retry: "never", exit: 3, title: "The caller may not do this" },
  not_found: { status: 404, retry: "never", exit: 4, title: "There is no such thing" },
  method_not_allowed: { status: 405, retry: "never", exit: 2, title: "Not with this method" },
  unsupported_media_type: { status: 415, retry: "never", exit: 2, title: "Not this content type" },
  illegal_transition: { status: 409, retry: "never", exit: 7, title: "Not possible in this state" },
  idempotency_conflict: { status: 409, retry: "never", exit: 7, title: "The key was used before" },
  lease_lost: { status: 409, retry: "never", exit: 7, title: "The lease is held by another" },
  stale_write: { status: 409, retry: "never", exit: 7, title: "It changed in the meantime" },
  already_running: { status: 409, retry: "never", exit: 7, title: "Another hub is running" },
  port_taken: { status: 409, retry: "never", exit: 7, title: "The port is taken" },
  limit_exceeded: { status: 422, retry: "never", exit: 2, title: "A limit is reached" },
  rate_limited: { status: 429, retry: "later", exit: 5, title: "Too many requests" },
  not_ready: { status: 503, retry: "later", exit: 5, title: "Not ready" },
  no_model: { status: 503, retry: "never", exit: 5, title: "No model can be called" },
  model_failed: { status: 502, retry: "later", exit: 5, title: "The model could not answer" },
  sandbox_unavailable: { status: 503, retry: "never", exit: 5, title: "No sandbox works here" },
  workspace_failed: { status: 500, retry: "never", exit: 1, title: "The workspace is not usable" },
  store_unavailable: { status: 503, retry: "later", exit: 5, title: "The store does not answer" },
  store_full: { status: 507, retry: "later", exit: 5, title: "The disk is full" },
  store_read_only: { status: 503, retry: "never", exit: 5, title: "The store can't be written" },
  store_corrupt: { status: 500, retry: "never", exit: 5, title: "The store is damaged" },
  store_newer: { status: 500, retry: "never", exit: 5, title: "The store is of a newer Cadre" },
  timed_out: { status: 504, retry: "later", exit: 8, title: "It took too long" },
  stopped: { status: 409, retry: "never", exit: 130, title: "It was stopped" },
  internal: { status: 500, retry: "never", exit: 70, title: "A bug in Cadre" },
} as const satisfies Record<string, Row>;

export type ErrorCode = keyof typeof ERROR_CODES;

type Extra = {
  /** Facts for programs: ids, limits, positions. */
  readonly details?: { readonly [key: string]: Json };
  /** What the person can do now, as commands or short sentences. */
  readonly next?: readonly string[];
  readonly cause?: unknown;
};

/** A refusal or a fault with a code. The message names the thing and the next step. */
export class CadreError extends Error {
  readonly code: ErrorCode;
  readonly details: { readonly [key: string]: Json };
  readonly next: readonly string[];

  constructor(code: ErrorCode, message: string, extra: Extra = {}) {
    super(message, extra.cause === undefined ? undefined : { cause: extra.cause });
    this.name = "CadreError";
    this.code = code;
    this.details = extra.details ?? {};
    this.next = extra.next ?? [];
  }
}

/** What a foreign error says about itself, or its text when it is no error at all. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A known error as it is; anything else is a bug, wrapped with its cause kept. */
export function asCadreError(error: unknown): CadreError {
  if (error instanceof CadreError) return error;
  return new CadreError("internal", messageOf(error), { cause: error });
}
