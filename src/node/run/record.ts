// The transcript of the run in hand: what is recorded, and what waits to be recorded with the
// next intent.
//
// DESIGN. An fsync per step would be two for each effect. Outcomes need not be durable before the
// next effect starts; intents must. So outcomes wait in memory and travel with the next intent, or
// with the operation that ends the run. What a crash loses is the outcome of the one effect whose
// intent is the last durable step: exactly what A3 allows.
import type { Client } from "../../operations/index.ts";
import { CadreError, type World } from "../../platform/index.ts";
import { STEP_BYTES_MAX, type Step, type TaskContract } from "../../tasks/index.ts";
import { Conversation } from "./conversation.ts";
import { advance, type Facts, factsOf } from "./facts.ts";
import { isForLater, patiently } from "./patience.ts";
import type { Entry, Transcript } from "./transcript.ts";

export type Claim = TaskContract["tasks.claim"]["output"]["claims"][number];

/** What of a claim every write must carry (T3). */
export type Fence = Pick<Claim, "epoch" | "run"> & { readonly task: Claim["task"]["id"] };

export interface RunRecord {
  /** All steps, recorded or waiting. */
  readonly transcript: Transcript;
  /** What they come to. */
  readonly facts: Facts;
  /** What was said in it, for the model. */
  readonly conversation: Conversation;
  /** The ids of all calls the model has made. */
  readonly callIds: ReadonlySet<string>;
  /** Takes steps that are recorded with the next intent. */
  add(...steps: readonly Step[]): void;
  /** Resolves once all news taken so far is durable. Throws `lease_lost` when they never will. */
  flush(): Promise<void>;
  /** Takes words that people see on the task, recorded with the next steps. The newest one counts. */
  remark(note: string): void;
  /**
   * What waits, plus `last`, as fields of the operation that ends the run or parks it. The record
   * itself stays as it is, for that operation may be refused.
   */
  closing(...last: readonly Step[]): {
    readonly run: Claim["run"];
    readonly at: number;
    readonly steps: Step[];
  };
}

const STEPS_PER_READ = 500;
const NOTE_LENGTH_MAX = 500;

export async function openRecord(
  parts: {
    readonly client: Client<TaskContract>;
    readonly world: Pick<World, "clock" | "random">;
    readonly signal: AbortSignal;
  },
  claim: Claim,
): Promise<RunRecord> {
  const { client, world, signal } = parts;
  const entries: Entry[] = await patiently(() => recordedEntries(client, claim), world, signal);
  let recorded = entries.length;
  let facts = factsOf(entries);
  let note: string | undefined;
  const callIds = new Set(entries.flatMap(({ step }) => idsIn(step)));

  const record: RunRecord = {
    transcript: entries,
    get facts() {
      return facts;
    },
    conversation: new Conversation(),
    callIds,
    add(...steps) {
      for (const step of steps) {
        const entry = { at: world.clock.now(), step: bounded(step) };
        entries.push(entry);
        facts = advance(facts, entry);
        for (const id of idsIn(entry.step)) callIds.add(id);
      }
    },
    remark(words) {
      note = words.slice(0, NOTE_LENGTH_MAX);
    },
    async flush() {
      // The mark of a new claim travels with the first thing done under it.
      if (!hasNews(entries.slice(recorded))) return;
      while (recorded < entries.length) {
        const steps = entries.slice(recorded).map(({ step }) => step);
        await append(recorded, steps);
        recorded += steps.length;
      }
    },
    closing(...last) {
      const waiting = entries.slice(recorded).map(({ step }) => step);
      return { run: claim.run, at: recorded, steps: [...waiting, ...last.map(bounded)] };
    },
  };

  /** Appends at this index; a try whose answer was lost may have landed. */
  async function append(at: number, steps: Step[]): Promise<void> {
    let isUncertain = false;
    const write = async () => {
      try {
        await client.call("runs.record", {
          id: claim.task.id,
          epoch: claim.epoch,
          run: claim.run,
          at,
          steps,
          ...(note === undefined ? {} : { note }),
        });
      } catch (error) {
        if (isForLater(error)) isUncertain = true;
        // Only the holder of this epoch writes here: steps past `at` are those of the lost answer.
        const isOwn = isUncertain && error instanceof CadreError && error.code === "stale_write";
        if (isOwn && (await recordedCount(client, claim)) === at + steps.length) return;
        throw error;
      }
    };
    await patiently(write, world, signal);
    note = undefined;
  }

  return record;
}

const idsIn = (step: Step): string[] =>
  step.kind === "model_answered" ? step.calls.map(({ id }) => id) : [];

const hasNews = (waiting: Transcript): boolean =>
  waiting.some(({ step }) => step.kind !== "started" && step.kind !== "resumed");

async function recordedEntries(client: Client<TaskContract>, claim: Claim): Promise<Entry[]> {
  const entries: Entry[] = [];
  if (claim.steps === 0) return entries;
  for (let after: number | null = -1; after !== null; ) {
    const page: TaskContract["runs.steps"]["output"] = await client.call("runs.steps", {
      id: claim.run,
      after,
      limit: STEPS_PER_READ,
    });
    for (const { at, step } of page.items) entries.push({ at: Date.parse(at), step });
    after = page.next;
  }
  return entries;
}

async function recordedCount(client: Client<TaskContract>, claim: Claim): Promise<number> {
  return (await client.call("runs.get", { id: claim.run })).steps;
}

/** A step too large to record must not stop the run for ever: it is told of instead. */
function bounded(step: Step): Step {
  const bytes = Buffer.byteLength(JSON.stringify(step));
  if (bytes <= STEP_BYTES_MAX) return step;
  if (step.kind === "model_answered") {
    return {
      kind: "model_failed",
      model: step.model,
      code: "limit_exceeded",
      message: `The answer has ${bytes} bytes; a step may have ${STEP_BYTES_MAX}. Lower outputTokensMax of the agent.`,
      retry: "later",
    };
  }
  if (step.kind === "tool_settled") {
    const { kind, text } = step.outcome;
    return { ...step, outcome: { kind, text: text.slice(0, STEP_BYTES_MAX / 8) } };
  }
  if (step.kind === "told") return { ...step, text: step.text.slice(0, STEP_BYTES_MAX / 8) };
  if (step.kind === "tool_began") {
    return { ...step, arguments: `(${bytes} bytes, as the model's answer above has them)` };
  }
  return step;
}
