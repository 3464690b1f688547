// The one door to time, chance, environment and subprocesses. The simulator has its own.
import { randomBytes } from "node:crypto";
import { setTimeout as sleepFor } from "node:timers/promises";
import { type Processes, realProcesses } from "./processes.ts";
import type { Millis } from "./words.ts";

export interface Clock {
  /** Wall time in milliseconds since 1970. May jump, also backwards: never subtract two of them. */
  now(): Millis;
  /** Time that only grows, for durations. Its zero means nothing. */
  monotonic(): number;
  /** Resolves after `ms`; rejects with the signal's reason when it aborts first. */
  sleep(ms: Millis, signal?: AbortSignal): Promise<void>;
}

export interface World {
  readonly clock: Clock;
  /** A number in [0, 1). */
  random(): number;
  /** A variable of the environment, undefined when it is unset or empty. */
  env(name: string): string | undefined;
  readonly fetch: typeof fetch;
  readonly processes: Processes;
}

export function realWorld(): World {
  return {
    clock: {
      now: () => Date.now(),
      monotonic: () => performance.now(),
      sleep: (ms, signal) => sleepFor(ms, undefined, signal === undefined ? {} : { signal }),
    },
    random: () => randomBytes(6).readUIntBE(0, 6) / 2 ** 48,
    env: (name) => process.env[name] || undefined,
    fetch: (input, init) => fetch(input, init),
    processes: realProcesses(),
  };
}
