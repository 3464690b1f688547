// Structured logs for operators. What happened to tasks stands in the journal, not here.
import { pino } from "pino";
import type { World } from "./world.ts";

export interface Log {
  debug(facts: object, message: string): void;
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

const LEVELS = new Set(["debug", "info", "warn", "error", "silent"]);

/** JSON lines on stderr, or appended to a file; from `CADRE_LOG_LEVEL` up (default `warn`). */
export function processLog(world: Pick<World, "env">, file?: string): Log {
  const asked = world.env("CADRE_LOG_LEVEL") ?? "warn";
  return pino(
    { level: LEVELS.has(asked) ? asked : "warn" },
    pino.destination({ dest: file ?? 2, sync: true, mkdir: true }),
  );
}

export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};
