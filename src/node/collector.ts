// A12. Work trees of tasks that have ended are taken away: also those of tasks that failed or were
// cancelled, and those a crash left behind. What lies uncommitted in one goes onto its branch first.
import type { Client } from "../operations/index.ts";
import {
  CadreError,
  Doorbell,
  type Log,
  type Millis,
  ringsFor,
  type TaskId,
  type World,
} from "../platform/index.ts";
import type { TaskContract, TaskView } from "../tasks/index.ts";
import type { Workspaces } from "../tools/index.ts";

export type CollectorParts = {
  readonly client: Client<TaskContract>;
  readonly workspaces: Pick<Workspaces, "list" | "collect">;
  readonly world: Pick<World, "clock">;
  readonly log: Log;
  /** True while a run of this node works in the work tree of the task, or may still do so. */
  isInUse(task: string): boolean;
  /** Hears the types of events as they commit; a hint that may be lost. Answers how to stop. */
  wakes(listener: (topics: ReadonlySet<string>) => void): () => void;
};

/** Never more often than this, however many tasks end. */
const REST_MS: Millis = 1_000;
/** Never less often: endings nobody announced here are found this soon. */
const LOOK_AGAIN_MS: Millis = 60_000;
const TOPICS = ["task.completed", "task.failed", "task.cancelled", "task.skipped"];

export class Collector {
  readonly #parts: CollectorParts;
  readonly #ending = new AbortController();
  readonly #hasEnded = new Doorbell();
  /** Nobody rings it: a pause that only the end cuts short. */
  readonly #resting = new Doorbell();
  /** Endings dealt with. A tree that stays all the same is not tried again until the next start. */
  #done: ReadonlySet<string> = new Set();
  #loop: Promise<void> | undefined;
  #unsubscribe: () => void = () => undefined;

  constructor(parts: CollectorParts) {
    this.#parts = parts;
  }

  start(): void {
    if (this.#loop !== undefined) return;
    this.#unsubscribe = this.#parts.wakes((topics) => {
      if (ringsFor(topics, TOPICS)) this.#hasEnded.ring();
    });
    this.#loop = this.#collectLoop();
  }

  async stop(): Promise<void> {
    this.#unsubscribe();
    this.#ending.abort();
    await this.#loop;
  }

  async #collectLoop(): Promise<void> {
    const { log, world } = this.#parts;
    const { signal } = this.#ending;
    while (!signal.aborted) {
      let waitMs = LOOK_AGAIN_MS;
      this.#hasEnded.reset();
      try {
        waitMs = await this.#collect();
      } catch (error) {
        log.warn({ err: error }, "Work trees were not collected; trying again.");
      }
      await this.#resting.wait(REST_MS, world.clock, signal);
      await this.#hasEnded.wait(waitMs - REST_MS, world.clock, signal);
    }
  }

  /** Answers how long to wait before the next look. */
  async #collect(): Promise<Millis> {
    const { workspaces, isInUse } = this.#parts;
    let waitMs = LOOK_AGAIN_MS;
    const done = new Set<string>();
    for (const id of await workspaces.list()) {
      if (this.#ending.signal.aborted) break;
      const task = await this.#task(id);
      if (task?.endedAt === undefined) continue;
      const ending = `${id} ${task.endedAt}`;
      // Nothing is awaited from here until the tree is being taken away: a claim that comes now
      // finds it gone, never half gone.
      if (isInUse(id)) {
        waitMs = REST_MS;
        continue;
      }
      done.add(ending);
      if (this.#done.has(ending)) continue;
      await workspaces.collect([{ task: id, policy: task.workspace }]);
    }
    this.#done = done;
    return waitMs;
  }

  /** Undefined for a folder that belongs to no task of this store: it is left alone. */
  async #task(id: string): Promise<TaskView | undefined> {
    try {
      return await this.#parts.client.call("tasks.get", { id: id as TaskId });
    } catch (error) {
      const code = error instanceof CadreError ? error.code : undefined;
      if (code === "not_found" || code === "invalid_input") return undefined;
      throw error;
    }
  }
}
