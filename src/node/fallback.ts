// A4. What this process knows of models that cool down, shared by all its runs.
//
// DESIGN. Each run needs it before each step, and it changes seldom. So it is read at most once a
// second, and again as soon as the journal tells of a change. Being a second late costs a call that
// fails, or one that is made a second later; nothing else.
import type {
  Choice,
  Cooldown,
  Cooldowns,
  chooseCandidate,
  FailureClass,
  ModelContract,
  ModelName,
} from "../models/index.ts";
import type { Client } from "../operations/index.ts";
import type { Millis, World } from "../platform/index.ts";
import type { ModelFailure } from "./run/facts.ts";
import type { Candidates } from "./run/next-step.ts";
import { patiently } from "./run/patience.ts";

/** After these events what is known here is old. */
export const COOLDOWN_TOPICS = ["model.cooled", "model.recovered"];

const FRESH_MS: Millis = 1_000;

export type FallbackParts = {
  readonly client: Client<ModelContract>;
  /** A4's rule, from the room of models. */
  readonly choose: typeof chooseCandidate;
  readonly world: Pick<World, "clock" | "random">;
};

type Known = {
  readonly cooldowns: Cooldowns;
  /** What the provider of each said last. */
  readonly words: ReadonlyMap<string, string>;
};

export class Fallback {
  readonly #parts: FallbackParts;
  #reading: { readonly at: number; readonly known: Promise<Known> } | undefined;

  constructor(parts: FallbackParts) {
    this.#parts = parts;
  }

  /** What is known is old, also what is just being read. */
  forget(): void {
    this.#reading = undefined;
  }

  /** The chain with what is known of its cooldowns, at most a second old. */
  async candidates(chain: readonly ModelName[], signal: AbortSignal): Promise<Candidates> {
    const { cooldowns, words } = await this.#known(signal);
    const { choose, world } = this.#parts;
    return {
      chain,
      choose: (tried): Choice => choose(chain, cooldowns, tried, world.clock.now()),
      wordsOf: (model) => words.get(model),
    };
  }

  /** An answer ends what is known of the model's failures; most often nothing is. */
  async answered(model: ModelName, signal: AbortSignal): Promise<void> {
    const { words } = await this.#known(signal);
    if (words.has(model)) await this.#settle({ model, outcome: { kind: "ok" } }, signal);
  }

  /** Every run of every hub keeps away from a model whose provider failed. */
  async failed(failure: ModelFailure, signal: AbortSignal): Promise<void> {
    const { model, message, retryAfterMs } = failure;
    // Nothing is held against a model that was not asked: its key is not set here.
    if (failure.class === undefined) return;
    const outcome = {
      kind: "failed" as const,
      // As the model's port gave it, whose table the operation knows.
      class: failure.class as FailureClass,
      message,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    };
    await this.#settle({ model, outcome }, signal);
  }

  async #settle(input: ModelContract["models.settle"]["input"], signal: AbortSignal) {
    const { client, world } = this.#parts;
    await patiently(() => client.call("models.settle", input), world, signal);
    // This run looks again before it asks: the bus may tell of it too late, or never.
    this.forget();
  }

  #known(signal: AbortSignal): Promise<Known> {
    return patiently(() => this.#reads(), this.#parts.world, signal);
  }

  #reads(): Promise<Known> {
    const now = this.#parts.world.clock.monotonic();
    if (this.#reading !== undefined && now - this.#reading.at < FRESH_MS) {
      return this.#reading.known;
    }
    const reading = { at: now, known: this.#read() };
    this.#reading = reading;
    // A reading that failed is none: whoever waits for it hears why, and the next one asks again.
    reading.known.catch(() => {
      if (this.#reading === reading) this.forget();
    });
    return reading.known;
  }

  async #read(): Promise<Known> {
    const { cooldowns } = await this.#parts.client.call("models.cooldowns", {});
    return {
      cooldowns: new Map(cooldowns.map((one) => [one.model, cooldownOf(one)])),
      words: new Map(cooldowns.map(({ model, message }) => [model, message])),
    };
  }
}

type Item = ModelContract["models.cooldowns"]["output"]["cooldowns"][number];

const cooldownOf = ({ since, until, track, failures, ...item }: Item): Cooldown => ({
  kind: "cooling",
  track,
  class: item.class,
  failures,
  since: Date.parse(since),
  until: Date.parse(until),
});
