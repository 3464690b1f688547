// The one who asks: submits work at random times, changes his mind, and never takes silence for an
// answer. What was acknowledged must be there for good.
import { setImmediate as nextTurn } from "node:timers/promises";
import type { CadreContract } from "../../src/faces/contract.ts";
import type { Client } from "../../src/operations/index.ts";
import { CadreError, ERROR_CODES, type Millis, type TaskId } from "../../src/platform/index.ts";
import { ATTEMPTS_ENOUGH } from "./invariants.ts";
import { instructionsOf, pick, somePlan, someWork, upTo } from "./script.ts";

type Parts = {
  readonly client: Client<CadreContract>;
  sleep(ms: Millis): Promise<void>;
  random(): number;
  /** A name for one intent, never used twice. */
  newKey(): string;
  readonly acknowledged: Set<string>;
  tell(what: string): void;
};

const ASKS_MAX = 9;
const PAUSE_MS_MAX: Millis = 5_000;
const RETRY_MS: Millis = 700;

type Ask = () => Promise<void>;

export async function operate(parts: Parts): Promise<void> {
  const { random, acknowledged } = parts;
  const paused = new Set<TaskId>();
  let number = 0;

  const submit: Ask = async () => {
    number += 1;
    const { id } = await sure(parts, "tasks.submit", {
      ...(random() < 0.4 ? objective(random) : single(random)),
      title: `Task ${number}`,
      attemptsMax: ATTEMPTS_ENOUGH,
      priority: upTo(random, 9),
      ...(random() < 0.5 ? { workspace: REPOSITORY } : {}),
    });
    acknowledged.add(id);
  };

  const submitGraph: Ask = async () => {
    const keys = Array.from({ length: 2 + upTo(random, 5) }, (_, index) => `k${index}`);
    const { tasks } = await sure(parts, "tasks.submitGraph", {
      tasks: keys.map((key, index) => ({
        ...single(random),
        key,
        title: `Graph ${number}.${key}`,
        attemptsMax: ATTEMPTS_ENOUGH,
        after: keys.slice(0, index).filter(() => random() < 0.4),
        onFailure: pick(random, ["fail", "skip", "continue"] as const),
      })),
    });
    for (const { id } of tasks) acknowledged.add(id);
  };

  const cancel: Ask = () => steer(parts, "tasks.cancel", one(parts));
  const retry: Ask = () => steer(parts, "tasks.retry", one(parts));
  const pause: Ask = async () => {
    const id = one(parts);
    paused.add(id);
    await steer(parts, "tasks.pause", id);
  };

  await submit();
  for (let asks = 1 + upTo(random, ASKS_MAX); asks > 0; asks--) {
    await parts.sleep(random() * PAUSE_MS_MAX);
    const roll = random();
    if (roll < 0.5) await submit();
    else if (roll < 0.7) await submitGraph();
    else if (roll < 0.8) await cancel();
    else if (roll < 0.9) await pause();
    else await retry();
  }
  await parts.sleep(random() * PAUSE_MS_MAX);
  for (const id of paused) await steer(parts, "tasks.resume", id);
}

const REPOSITORY = { kind: "worktree", repository: "/sim/repository" } as const;

const objective = (random: () => number) => ({
  agent: "planner",
  type: "objective",
  instructions: instructionsOf(somePlan(random)),
});

const single = (random: () => number) => ({
  capabilities: [random() < 0.3 ? "test" : "work"],
  instructions: instructionsOf(someWork(random)),
});

const one = ({ acknowledged, random }: Parts): TaskId => pick(random, [...acknowledged]) as TaskId;

type Steering = "tasks.cancel" | "tasks.pause" | "tasks.resume" | "tasks.retry";

/** A refusal is an answer too: the task may have ended meanwhile. */
async function steer(parts: Parts, name: Steering, id: TaskId): Promise<void> {
  try {
    await sure(parts, name, { id });
  } catch (error) {
    if (!(error instanceof CadreError) || error.code !== "illegal_transition") throw error;
    parts.tell(`${name} ${id} is refused`);
  }
}

/** Asks with a key until there is an answer: a lost answer must not become a second task. */
async function sure<N extends keyof CadreContract & string>(
  parts: Parts,
  name: N,
  input: CadreContract[N]["input"],
): Promise<CadreContract[N]["output"]> {
  const idempotencyKey = parts.newKey();
  for (;;) {
    try {
      const output = await parts.client.call(name, input, { idempotencyKey });
      parts.tell(`${name} is answered`);
      return output;
    } catch (error) {
      const isLater = error instanceof CadreError && ERROR_CODES[error.code].retry === "later";
      if (!isLater) throw error;
      await parts.sleep(RETRY_MS);
      await nextTurn();
    }
  }
}
