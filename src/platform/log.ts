// Structured logs for operators. What happened to tasks stands in the journal, not here.
import { createRequire } from "node:module";
import type { pino } from "pino";
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
  // Loaded when there is something to log to: commands that only talk to a hub start without it.
  const library = createRequire(import.meta.url)("pino") as { readonly pino: typeof pino };
  return library.pino(
    { level: LEVELS.has(asked) ? asked : "warn" },
    library.pino.destination({ dest: file ?? 2, sync: true, mkdir: true }),
  );
}

export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};
