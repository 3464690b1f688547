// What the pipeline has remembered long enough is forgotten, a bounded batch at a time.
import { z } from "zod";
import type { Migration, Millis } from "../platform/index.ts";
import { type ContractOf, operation } from "./operation.ts";

/**
 * T1. How long an answer is kept under its key: far beyond any outage a caller retries through,
 * a working week included. After it the same key is a new intent.
 */
export const IDEMPOTENCY_KEPT_MS: Millis = 7 * 24 * 60 * 60_000;

/** A sweep reads the oldest keys, never the whole table. */
export const idempotencyAgeMigration: Migration = {
  id: "0005-idempotency-age",
  up: ["CREATE INDEX idempotency_at ON idempotency (at)"],
};

const sweepKeys = operation({
  name: "operations.sweep",
  summary: "Forget answers under idempotency keys that are older than seven days.",
  effect: "write",
  permission: "work",
  http: "POST /operations/sweep",
  input: z.strictObject({ limit: z.int().min(1).max(10_000).default(1_000) }),
  output: z.object({
    /** As many as the limit: more may be due, ask again. */
    forgotten: z.int(),
  }),
  refusals: [],
  command: null,
  async handle({ tx, now }, { limit }) {
    const forgotten = await tx.run(
      `DELETE FROM idempotency WHERE (principal, operation, key) IN
        (SELECT principal, operation, key FROM idempotency WHERE at < ? ORDER BY at LIMIT ?)`,
      now - IDEMPOTENCY_KEPT_MS,
      limit,
    );
    return { forgotten };
  },
});

export const housekeepingOperations = [sweepKeys] as const;
export type HousekeepingContract = ContractOf<typeof housekeepingOperations>;
