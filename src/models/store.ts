// Cooldowns as rows: one for each model that failed and has not answered since.
import type { Migration, Millis, Row, Tx } from "../platform/index.ts";
import type { Cooldown } from "./chain.ts";
import { FAILURE_CLASSES, type FailureClass } from "./classify.ts";

const table = (integer: string) => `CREATE TABLE model_cooldowns (
  model TEXT PRIMARY KEY, track TEXT NOT NULL, class TEXT NOT NULL, failures ${integer} NOT NULL,
  since ${integer} NOT NULL, until ${integer} NOT NULL, message TEXT NOT NULL
)`;

export const modelMigrations: readonly Migration[] = [
  { id: "0006-models", up: { sqlite: [table("INTEGER")], postgres: [table("BIGINT")] } },
];

/** A model that failed, and in which words. */
export type Failed = {
  readonly model: string;
  readonly cooldown: Extract<Cooldown, { kind: "cooling" }>;
  readonly message: string;
};

/** Sorted by name. */
export async function readFailed(tx: Tx): Promise<Failed[]> {
  const rows = await tx.all("SELECT * FROM model_cooldowns ORDER BY model");
  return rows.flatMap((row) => failedOf(row) ?? []);
}

export async function readModel(tx: Tx, model: string): Promise<Failed | undefined> {
  const row = await tx.get("SELECT * FROM model_cooldowns WHERE model = ?", model);
  return row === undefined ? undefined : failedOf(row);
}

/**
 * The same, its row locked until the transaction ends: two runs that fail at once are counted one
 * after the other. A model without a row gets an empty one, which the caller must write.
 */
export async function lockModel(tx: Tx, model: string, now: Millis): Promise<Failed | undefined> {
  const row = await tx.get(
    `INSERT INTO model_cooldowns (model, track, class, failures, since, until, message)
     VALUES (?, 'traffic', 'unknown', 0, ?, ?, '')
     ON CONFLICT (model) DO UPDATE SET model = excluded.model RETURNING *`,
    model,
    now,
    now,
  );
  return row === undefined ? undefined : failedOf(row);
}

export async function writeCooldown(tx: Tx, { model, cooldown, message }: Failed): Promise<void> {
  await tx.run(
    `UPDATE model_cooldowns SET track = ?, class = ?, failures = ?, since = ?, until = ?,
       message = ? WHERE model = ?`,
    cooldown.track,
    cooldown.class,
    cooldown.failures,
    cooldown.since,
    cooldown.until,
    message,
    model,
  );
}

/** True when there was one. */
export async function clearCooldown(tx: Tx, model: string): Promise<boolean> {
  return (await tx.run("DELETE FROM model_cooldowns WHERE model = ?", model)) > 0;
}

function failedOf(row: Row): Failed | undefined {
  const failures = Number(row["failures"]);
  if (failures === 0) return undefined;
  return {
    model: String(row["model"]),
    cooldown: {
      kind: "cooling",
      track: row["track"] === "billing" ? "billing" : "traffic",
      class: classOf(row["class"]),
      failures,
      since: Number(row["since"]),
      until: Number(row["until"]),
    },
    message: String(row["message"]),
  };
}

/** A class a newer program wrote is one this program does not know. */
const classOf = (text: unknown): FailureClass =>
  FAILURE_CLASSES.find((one) => one === text) ?? "unknown";
