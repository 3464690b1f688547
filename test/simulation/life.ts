// One life of one process: it may be stopped for a while, and it may end between any two calls.
//
// Every port of a process goes through its life. At each call the process may die before the call
// had its effect, or after it and before it learns of it. A dead process never hears an answer, and
// nothing it asks for is done.
import type { Millis } from "../../src/platform/index.ts";
import type { SimTime } from "./time.ts";

export type LifeFaults = {
  /** Chance to die at one side of one call. */
  readonly crash: number;
  /** Chance to be stopped there, as by SIGSTOP, and for how long at most. */
  readonly stall: number;
  readonly stallMsMax: Millis;
  /** Chance that its wall clock is set to another time there, and how far off it may be. */
  readonly jump: number;
  readonly jumpMsMax: Millis;
};

export const NO_FAULTS: LifeFaults = {
  crash: 0,
  stall: 0,
  stallMsMax: 0,
  jump: 0,
  jumpMsMax: 0,
};

export class Life {
  readonly name: string;
  /** Where it lives, as did those before it. */
  readonly machine: string;
  readonly #time: SimTime;
  readonly #random: () => number;
  readonly #isKind: () => boolean;
  readonly #died: Promise<void>;
  #announceDeath: () => void = () => undefined;
  #stalledUntil: Millis = 0;
  #clockOffMs: Millis = 0;
  #isDead = false;
  faults: LifeFaults;
  readonly tell: (what: string) => void;

  constructor(parts: {
    readonly machine: string;
    /** Which one it is of all lives of this simulation. */
    readonly number: number;
    readonly time: SimTime;
    readonly random: () => number;
    readonly faults: LifeFaults;
    /** True once the world has turned kind: nothing more happens to anyone. */
    isKind(): boolean;
    readonly tell: (what: string) => void;
  }) {
    this.machine = parts.machine;
    this.name = `${parts.machine}#${parts.number}`;
    this.#time = parts.time;
    this.#random = parts.random;
    this.faults = parts.faults;
    this.#isKind = parts.isKind;
    this.tell = (what) => parts.tell(`${this.name}: ${what}`);
    this.#died = new Promise((resolve) => {
      this.#announceDeath = resolve;
    });
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  /** What its wall clock says. */
  now(): Millis {
    return this.#time.now() + this.#clockOffMs;
  }

  /** Resolves when it dies, which may be never. */
  get died(): Promise<void> {
    return this.#died;
  }

  die(where: string): void {
    if (this.#isDead) return;
    this.#isDead = true;
    this.#time.activity += 1;
    this.tell(`dies ${where}`);
    this.#announceDeath();
  }

  /** Makes a call of this process: all of its ports go through here. */
  async through<T>(what: string, effect: () => Promise<T>): Promise<T> {
    await this.#pass(`before ${what}`);
    try {
      const value = await effect();
      await this.#pass(`after ${what}`);
      return value;
    } catch (error) {
      await this.#pass(`after ${what}`);
      throw error;
    }
  }

  /** The same for what can't be stopped half way, yet may be the last thing a process does. */
  async atOnce<T>(what: string, effect: () => T): Promise<T> {
    if (this.#isDead) return await never();
    if (this.#happens(this.faults.crash)) {
      this.die(`before ${what}`);
      return await never();
    }
    const value = effect();
    await this.#pass(`after ${what}`);
    return value;
  }

  async sleep(ms: Millis, signal?: AbortSignal): Promise<void> {
    if (this.#isDead) await never();
    try {
      await this.#time.sleep(ms, signal);
    } finally {
      await this.#pass("in its sleep");
    }
  }

  #happens(chance: number): boolean {
    return chance > 0 && !this.#isKind() && this.#random() < chance;
  }

  async #pass(where: string): Promise<void> {
    this.#time.activity += 1;
    if (this.#isDead) await never();
    if (this.#happens(this.faults.crash)) {
      this.die(where);
      await never();
    }
    if (this.#happens(this.faults.jump)) {
      this.#clockOffMs = Math.round((2 * this.#random() - 1) * this.faults.jumpMsMax);
      this.tell(`has its clock set ${this.#clockOffMs} ms off ${where}`);
    }
    if (this.#happens(this.faults.stall)) {
      const ms = Math.ceil(this.#random() * this.faults.stallMsMax);
      this.#stalledUntil = Math.max(this.#stalledUntil, this.#time.elapsed + ms);
      this.tell(`is stopped for ${ms} ms ${where}`);
    }
    while (this.#stalledUntil > this.#time.elapsed) {
      await this.#time.sleep(this.#stalledUntil - this.#time.elapsed);
      this.#time.activity += 1;
      if (this.#isDead) await never();
    }
  }
}

/** What a dead process waits for. */
export const never = (): Promise<never> => new Promise(() => undefined);
