// T6. Faults of the world pass: the same call again after a pause, exponential, jittered, capped.
import { CadreError, ERROR_CODES, type World } from "../../platform/index.ts";
import { backoffMs } from "../../tasks/index.ts";

export const isForLater = (error: unknown): boolean =>
  error instanceof CadreError && ERROR_CODES[error.code].retry === "later";

/**
 * Calls until it succeeds, is refused, or the signal aborts. There is no count of tries: whoever
 * waits here holds a lease, and losing it aborts the signal.
 */
export async function patiently<T>(
  call: () => Promise<T>,
  world: Pick<World, "clock" | "random">,
  signal: AbortSignal,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted();
    try {
      return await call();
    } catch (error) {
      if (!isForLater(error)) throw error;
      await world.clock.sleep(backoffMs(attempt, world.random), signal);
    }
  }
}
