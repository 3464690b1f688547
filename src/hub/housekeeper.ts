// Forgets what was kept long enough: hourly, in batches, so that nobody waits for it.
import type { Client, HousekeepingContract } from "../operations/index.ts";
import { Doorbell, type Log, type Millis, type World } from "../platform/index.ts";

const EVERY_MS: Millis = 60 * 60_000;
const BATCH_MAX = 1_000;

export type HousekeeperParts = {
  readonly client: Client<HousekeepingContract>;
  readonly world: Pick<World, "clock">;
  readonly log: Log;
};

export class Housekeeper {
  readonly #parts: HousekeeperParts;
  readonly #ending = new AbortController();
  /** Nobody rings it: a pause that only the end cuts short. */
  readonly #resting = new Doorbell();
  #loop: Promise<void> | undefined;

  constructor(parts: HousekeeperParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#loop ??= this.#cleanLoop();
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#loop;
  }

  async #cleanLoop(): Promise<void> {
    const { log, world } = this.#parts;
    const { signal } = this.#ending;
    while (!signal.aborted) {
      try {
        await this.#clean();
      } catch (error) {
        log.error({ err: error }, "Housekeeping failed; trying again in an hour.");
      }
      await this.#resting.wait(EVERY_MS, world.clock, signal);
    }
  }

  async #clean(): Promise<void> {
    const { client } = this.#parts;
    let isMore = true;
    while (isMore && !this.#ending.signal.aborted) {
      const { forgotten } = await client.call("operations.sweep", { limit: BATCH_MAX });
      isMore = forgotten === BATCH_MAX;
    }
  }
}
