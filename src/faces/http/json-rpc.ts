// JSON-RPC 2.0, the grammar alone: what a message asks, and how an answer is written.
import type { Problem } from "./problem.ts";

export type RpcId = string | number | null;

export type RpcCall = {
  /** Absent: a notification, which is never answered. */
  readonly id?: RpcId;
  readonly method: string;
  readonly params: unknown;
  /** Ours: the caller's name for one intent. */
  readonly idempotencyKey?: string;
};

export type RpcMessage =
  | { readonly kind: "call"; readonly call: RpcCall }
  | { readonly kind: "invalid"; readonly id: RpcId; readonly why: string };

export const PARSE_ERROR = -32_700;
export const INVALID_REQUEST = -32_600;
export const METHOD_NOT_FOUND = -32_601;
/** Every refusal and fault of Cadre's own; `data` is the problem document. */
export const CADRE_ERROR = -32_000;

/** Reads one message that is JSON already. */
export function readMessage(value: unknown): RpcMessage {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { kind: "invalid", id: null, why: "A request is a JSON object." };
  }
  const { jsonrpc, id, method, params, idempotencyKey } = value as Record<string, unknown>;
  const isId = id === undefined || id === null || typeof id === "string" || typeof id === "number";
  const answerTo = isId && id !== undefined ? id : null;
  const invalid = (why: string): RpcMessage => ({ kind: "invalid", id: answerTo, why });
  if (!isId) return invalid("An id is a string or a number.");
  if (jsonrpc !== "2.0") return invalid('A request says "jsonrpc": "2.0".');
  if (typeof method !== "string") return invalid("A request names its method.");
  if (idempotencyKey !== undefined && typeof idempotencyKey !== "string") {
    return invalid("An idempotency key is a string.");
  }
  return {
    kind: "call",
    call: {
      method,
      params: params ?? {},
      ...(id === undefined ? {} : { id }),
      ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
    },
  };
}

export const resultText = (id: RpcId, result: unknown): string =>
  JSON.stringify({ jsonrpc: "2.0", id, result: result ?? null });

export function errorText(id: RpcId, code: number, message: string, problem?: Problem): string {
  const error = problem === undefined ? { code, message } : { code, message, data: problem };
  return JSON.stringify({ jsonrpc: "2.0", id, error });
}
