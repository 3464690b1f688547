// The ports of a process, wrapped so that they fail as the world does.

import type { Client, Contract } from "../../src/operations/index.ts";
import type { Bus, Store, Tx, World } from "../../src/platform/index.ts";
import { CadreError, localBus } from "../../src/platform/index.ts";
import { type Life, never } from "./life.ts";
import type { SimTime } from "./time.ts";

/** What of the world a process sees: virtual time, seeded chance, and nothing else. */
export function worldOf(life: Life, time: SimTime, random: () => number): World {
  const closed = () => Promise.reject(new Error("The simulated world has nothing outside."));
  return {
    clock: {
      now: () => life.now(),
      monotonic: () => time.elapsed,
      sleep: (ms, signal) => life.sleep(ms, signal),
    },
    random,
    env: () => undefined,
    fetch: closed,
    processes: { run: closed },
  };
}

export type StoreFaults = {
  /** Chance that a commit fails and left no trace. */
  readonly lostBefore: number;
  /** Chance that a commit landed and its answer was lost. */
  readonly lostAfter: number;
};

/** Counts what is under way, so that time stands still meanwhile. */
export function countedStore(store: Store, time: SimTime): Store {
  const counted = async <T>(work: () => Promise<T>): Promise<T> => {
    time.pending += 1;
    try {
      return await work();
    } finally {
      time.pending -= 1;
      time.activity += 1;
    }
  };
  return {
    engine: store.engine,
    write: (body) => counted(() => store.write(body)),
    read: (body) => counted(() => store.read(body)),
    close: () => Promise.resolve(),
  };
}

/** The store as one process has it. */
export function faultyStore(
  store: Store,
  life: Life,
  random: () => number,
  faults: () => StoreFaults,
): Store {
  const unavailable = (when: string) => {
    life.tell(`the store fails ${when} a commit`);
    return new CadreError("store_unavailable", `The simulated store failed ${when} a commit.`);
  };
  const write = async <T>(body: (tx: Tx) => Promise<T>): Promise<T> => {
    if (random() < faults().lostBefore) throw unavailable("before");
    const value = await store.write(body);
    if (random() < faults().lostAfter) throw unavailable("after");
    return value;
  };
  return {
    engine: store.engine,
    write: (body) => life.through("a write", () => write(body)),
    read: (body) => life.through("a read", () => store.read(body)),
    close: () => Promise.resolve(),
  };
}

/** A bus that loses some rings and doubles others. */
export function faultyBus(life: Life, time: SimTime, random: () => number, lost: number): Bus {
  const bus = localBus();
  return {
    wake(topics) {
      if (life.isDead) return;
      time.activity += 1;
      const roll = random();
      if (roll < lost) return;
      bus.wake(topics);
      if (roll > 1 - lost) bus.wake(new Set([...topics]));
    },
    subscribe: (listener) =>
      bus.subscribe((topics) => {
        time.activity += 1;
        if (!life.isDead) listener(topics);
      }),
    close: () => bus.close(),
  };
}

/** A process that talks to a hub: the hub may die in the middle of a call, or not be there. */
export function clientOver<C extends Contract>(
  life: Life,
  hub: () => { readonly life: Life; readonly client: Client<C> } | undefined,
): Client<C> {
  const away = () => new CadreError("not_ready", "No hub answers. It may be starting again.");
  return {
    call(name, input, options) {
      return life.through(name, async () => {
        const current = hub();
        if (current === undefined) throw away();
        const cut = current.life.died.then(() => {
          throw away();
        });
        return await Promise.race([current.client.call(name, input, options), cut]);
      });
    },
    follow: () => ({ [Symbol.asyncIterator]: () => ({ next: never }) }),
    close: () => Promise.resolve(),
  };
}
