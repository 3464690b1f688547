// T14. Time moves tasks, and what broke a promise is mended: all the time, not only at start.
import type { Client } from "../operations/index.ts";
import { Doorbell, type Log, type Millis, ringsFor, type World } from "../platform/index.ts";
import type { TaskContract } from "../tasks/index.ts";

/** Never more often than this, however much happens. */
const REST_MS: Millis = 1_000;
/** Never less often: what nobody announced is found this soon. */
const LOOK_AGAIN_MS: Millis = 10_000;
const MOVES_MAX = 1_000;
/** After these something may be due sooner than the last sweep knew. */
const TOPICS = ["task.created", "task.updated", "task.assigned", "task.queued", "task.requeued"];

export class Sweeper {
  readonly #parts: SweeperParts;
  readonly #ending = new AbortController();
  #loop: Promise<void> | undefined;
  readonly #maybeDue = new Doorbell();
  /** Nobody rings it: a pause that only the end cuts short. */
  readonly #resting = new Doorbell();
  #unsubscribe: () => void = () => undefined;

  constructor(parts: SweeperParts) {
    this.#parts = parts;
  }

  start(): void {
    if (this.#loop !== undefined) return;
    this.#unsubscribe = this.#parts.wakes((topics) => {
      if (ringsFor(topics, TOPICS)) this.#maybeDue.ring();
    });
    this.#loop = this.#sweepLoop();
  }

  async stop(): Promise<void> {
    this.#unsubscribe();
    this.#ending.abort();
    await this.#loop;
  }

  async #sweepLoop(): Promise<void> {
    const { log, world } = this.#parts;
    const { signal } = this.#ending;
    while (!signal.aborted) {
      let waitMs = REST_MS;
      this.#maybeDue.reset();
      try {
        waitMs = await this.#sweep();
      } catch (error) {
        log.error({ err: error }, "A sweep failed; trying again.");
      }
      if (waitMs <= 0) continue;
      await this.#resting.wait(REST_MS, world.clock, signal);
      await this.#maybeDue.wait(waitMs - REST_MS, world.clock, signal);
    }
  }

  /** Answers how long to wait before the next. */
  async #sweep(): Promise<Millis> {
    const { client, world, log } = this.#parts;
    const { moved, mended, dueAt } = await client.call("tasks.sweep", { limit: MOVES_MAX });
    if (mended > 0) log.error({ mended }, "Open tasks stood in no class of T14 and were mended.");
    if (moved >= MOVES_MAX) return 0;
    if (dueAt === null) return LOOK_AGAIN_MS;
    return Math.max(REST_MS, Math.min(LOOK_AGAIN_MS, Date.parse(dueAt) - world.clock.now()));
  }
}

export type SweeperParts = {
  readonly client: Client<TaskContract>;
  readonly world: Pick<World, "clock">;
  readonly log: Log;
  /** Hears the types of events as they commit; a hint that may be lost. Answers how to stop. */
  wakes(listener: (topics: ReadonlySet<string>) => void): () => void;
};
