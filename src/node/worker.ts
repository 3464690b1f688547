// The loop beside the agents: offer, claim, run, beat.
//
// Keeps T3 on this side: a claim that is lost, or that could not be renewed for the length of its
// lease, is aborted at once. Keeps T5: workers pull, and only what their agents have room for.
import type { Agent } from "../agents/index.ts";
import { CadreError, Doorbell, type Millis, messageOf, ringsFor } from "../platform/index.ts";
import type { Failure } from "../tasks/index.ts";
import { COOLDOWN_TOPICS } from "./fallback.ts";
import { isForLater, patiently } from "./run/patience.ts";
import { treeOf } from "./run/place.ts";
import type { RunControl, RunEnd, RunPorts } from "./run/ports.ts";
import type { Claim, RunRecord } from "./run/record.ts";
import { openRun, performRun } from "./run/run.ts";
import { failWith } from "./run/write.ts";

export type WorkerPorts = RunPorts & {
  /** Hears the types of events as they commit; a hint that may be lost. Answers how to stop. */
  wakes(listener: (topics: ReadonlySet<string>) => void): () => void;
};

export type WorkerOptions = {
  /** Tasks worked on at once, over all agents. */
  readonly slots: number;
  readonly leaseMs: Millis;
  readonly labels?: { readonly [name: string]: string };
  readonly region?: string;
};

/** One claim being worked on. */
type Held = {
  readonly claim: Claim;
  readonly agent: string;
  readonly abort: AbortController;
  /** Monotonic time of the last proof that the lease is ours. */
  provenAt: number;
  done: Promise<void>;
};

/** What was told to stop at once is waited for so long. */
const LEAVE_MS_MAX: Millis = 5_000;
/** Even with every wake lost, ready work is found this soon. */
const LOOK_AGAIN_MS: Millis = 1_000;
const CLAIMS_PER_CALL_MAX = 256;
const BEATS_PER_LEASE = 3;

const WORK_TOPICS = [
  "task.created",
  "task.queued",
  "task.requeued",
  "task.retried",
  "task.resumed",
];
const STOP_TOPICS = ["task.cancelled", "task.paused"];

export class Worker {
  readonly #ports: WorkerPorts;
  readonly #options: WorkerOptions;
  readonly #held = new Map<string, Held>();
  readonly #mayWork = new Doorbell();
  readonly #mustBeat = new Doorbell();
  /** Ends the loops. The runs have signals of their own. */
  readonly #ending = new AbortController();
  /** Aborted when there is no time for good manners. */
  readonly #leaving = new AbortController();
  /** Aborted when what does not stop is waited for no more. */
  readonly #tired = new AbortController();
  /** Aborted when this worker has stopped. */
  readonly #gone = new AbortController();
  #patience: Promise<void> = Promise.resolve();
  #isStarted = false;
  #isDraining = false;
  #claiming: Promise<void> = Promise.resolve();
  #beating: Promise<void> = Promise.resolve();
  #unsubscribe: () => void = () => undefined;

  constructor(ports: WorkerPorts, options: WorkerOptions) {
    this.#ports = ports;
    this.#options = options;
  }

  /** Claims held right now. */
  get held(): number {
    return this.#held.size;
  }

  /** True while a run works in the work tree of this task, or may still do so. */
  worksIn(task: string): boolean {
    return [...this.#held.values()].some(({ claim }) => treeOf(claim.task) === task);
  }

  /** Returns once the node's agents are offered; work is claimed from then on. */
  async start(): Promise<void> {
    if (this.#isStarted) return;
    this.#isStarted = true;
    this.#unsubscribe = this.#ports.wakes((topics) => {
      if (ringsFor(topics, WORK_TOPICS)) this.#mayWork.ring();
      if (ringsFor(topics, COOLDOWN_TOPICS)) this.#ports.fallback?.forget();
      if (ringsFor(topics, STOP_TOPICS) && this.#held.size > 0) this.#mustBeat.ring();
    });
    await patiently(() => this.#offer(), this.#ports.world, this.#leaving.signal);
    this.#claiming = this.#claimLoop();
    this.#beating = this.#beatLoop();
  }

  /**
   * graceful: claims nothing more, lets each run come to its next boundary and gives its task
   * back. now: aborts what runs and leaves; the leases are taken back by whoever abandons the
   * node. A run that does not hear it is left after `LEAVE_MS_MAX`: it has no more effects and
   * records nothing more. May be called twice; the second call may be the harder one.
   */
  async stop(how: "graceful" | "now"): Promise<void> {
    this.#isDraining = true;
    this.#mayWork.ring();
    if (how === "now" && !this.#leaving.signal.aborted) {
      this.#leaving.abort(new CadreError("stopped", "The worker was stopped at once."));
      this.#patience = this.#losePatience();
    }
    await Promise.race([this.#allEnded(), aborted(this.#tired.signal)]);
    this.#unsubscribe();
    this.#ending.abort();
    this.#gone.abort();
    await this.#patience;
  }

  async #allEnded(): Promise<void> {
    await this.#claiming;
    await Promise.all([...this.#held.values()].map(({ done }) => done));
    this.#ending.abort();
    await this.#beating;
  }

  /** A model, a tool or a hub that does not hear that it shall stop must not hold it up for ever. */
  async #losePatience(): Promise<void> {
    const { world, log, node } = this.#ports;
    try {
      await world.clock.sleep(LEAVE_MS_MAX, this.#gone.signal);
    } catch (error) {
      if (this.#gone.signal.aborted) return;
      throw error;
    }
    const tasks = [...this.#held.values()].map(({ claim }) => claim.task.id);
    log.warn({ node, tasks, afterMs: LEAVE_MS_MAX }, "What did not stop was left behind.");
    this.#tired.abort();
  }

  async #offer(): Promise<void> {
    const { node, client, team } = this.#ports;
    await client.call("tasks.offer", {
      node,
      offers: [...team.values()].map(({ name, capabilities, instancesMax }) => ({
        agent: name,
        capabilities: [...capabilities],
        slots: Math.min(instancesMax, this.#options.slots),
      })),
      ...(this.#options.labels === undefined ? {} : { labels: { ...this.#options.labels } }),
      ...(this.#options.region === undefined ? {} : { region: this.#options.region }),
    });
  }

  // ---- Claiming -------------------------------------------------------------------------------

  async #claimLoop(): Promise<void> {
    const { world, log } = this.#ports;
    while (!this.#isDraining) {
      // A ring from here on is for what the claim below can't have seen.
      this.#mayWork.reset();
      let waitMs = LOOK_AGAIN_MS;
      try {
        waitMs = await this.#claimOnce();
      } catch (error) {
        log.error({ err: error, node: this.#ports.node }, "Claiming failed; trying again.");
      }
      if (this.#isDraining) return;
      await this.#mayWork.wait(waitMs, world.clock, this.#ending.signal);
    }
  }

  /** Claims what there is room for; answers how long to wait before the next look. */
  async #claimOnce(): Promise<Millis> {
    const room = this.#options.slots - this.#held.size;
    if (room <= 0) return LOOK_AGAIN_MS;
    const { node, client, world } = this.#ports;
    const askedAt = world.clock.monotonic();
    const { claims, readyAt } = await client.call("tasks.claim", {
      node,
      free: this.#freeSlots(room),
      limit: Math.min(room, CLAIMS_PER_CALL_MAX),
      leaseMs: this.#options.leaseMs,
    });
    // Whatever was stopped in the meantime: what was claimed is held, and given back by its run.
    for (const claim of claims) this.#hold(claim, askedAt);
    if (claims.length > 0) return 0;
    if (readyAt === null) return LOOK_AGAIN_MS;
    return Math.min(LOOK_AGAIN_MS, Math.max(1, Date.parse(readyAt) - world.clock.now()));
  }

  #freeSlots(room: number): Record<string, number> {
    const busy = new Map<string, number>();
    for (const { agent } of this.#held.values()) busy.set(agent, (busy.get(agent) ?? 0) + 1);
    const free: Record<string, number> = {};
    for (const { name, instancesMax } of this.#ports.team.values()) {
      const slots = Math.min(room, instancesMax - (busy.get(name) ?? 0));
      if (slots > 0) free[name] = slots;
    }
    return free;
  }

  #hold(claim: Claim, provenAt: number): void {
    const held: Held = {
      claim,
      agent: claim.task.lease?.agent ?? "",
      abort: new AbortController(),
      provenAt,
      done: Promise.resolve(),
    };
    const key = keyOf(claim.task.id, claim.epoch);
    const leave = () => held.abort.abort(this.#leaving.signal.reason);
    this.#leaving.signal.addEventListener("abort", leave, { once: true });
    if (this.#leaving.signal.aborted) leave();
    this.#held.set(key, held);
    held.done = this.#work(held).finally(() => {
      this.#leaving.signal.removeEventListener("abort", leave);
      this.#held.delete(key);
      this.#mayWork.ring();
    });
  }

  // ---- Working --------------------------------------------------------------------------------

  /** Never rejects: this is the top of a run's loop. */
  async #work(held: Held): Promise<void> {
    const { claim, abort } = held;
    const facts = { task: claim.task.id, run: claim.run, epoch: claim.epoch, agent: held.agent };
    const { log } = this.#ports;
    const settled = new AbortController();
    const timeout = this.#timeOut(held, settled.signal);
    let record: RunRecord | undefined;
    try {
      record = await openRun(this.#ports, claim, abort.signal);
      const end = await this.#perform(held, record);
      log.debug({ ...facts, end }, "A run came to its end.");
    } catch (error) {
      await this.#afterTrouble(held, record, error).catch((second: unknown) => {
        // Another holds the task, or the lease runs out: it is taken up from its transcript.
        const level = second instanceof CadreError ? "warn" : "error";
        log[level]({ ...facts, err: second, cause: messageOf(error) }, "A run was left as it is.");
      });
    } finally {
      settled.abort();
      await timeout;
    }
  }

  async #perform(held: Held, record: RunRecord): Promise<RunEnd> {
    const agent = this.#agentOf(held);
    return await performRun(this.#ports, held.claim, agent, this.#controlOf(held), record);
  }

  #agentOf(held: Held): Agent {
    const agent = this.#ports.team.get(held.agent);
    if (agent !== undefined) return agent;
    throw new CadreError(
      "not_found",
      `This node does not have agent "${held.agent}". Add its file, or assign the task to another.`,
    );
  }

  #controlOf(held: Held): RunControl {
    return {
      signal: held.abort.signal,
      isDraining: () => this.#isDraining,
      assertHeld: () => {
        held.abort.signal.throwIfAborted();
        const late = this.#unproven(held);
        if (late !== undefined) throw late;
      },
    };
  }

  /** What went wrong decides what the task is told: nothing, an attempt that failed, or a bug. */
  async #afterTrouble(held: Held, record: RunRecord | undefined, error: unknown): Promise<void> {
    const { claim, abort } = held;
    const facts = { task: claim.task.id, run: claim.run, epoch: claim.epoch };
    const reason: unknown = abort.signal.aborted ? abort.signal.reason : error;
    const code = reason instanceof CadreError ? reason.code : undefined;
    // Another holds it, or nobody should: leave without a word.
    if (code === "lease_lost" || code === "stopped") {
      this.#ports.log.info({ ...facts, why: messageOf(reason) }, "A run was left.");
      return;
    }
    // Nothing true can be added to a transcript that is not what we hold: the lease runs out.
    if (record === undefined || code === "stale_write") {
      this.#ports.log.error({ ...facts, err: error }, "A run was left: its record is not known.");
      return;
    }
    const failure = failureOf(reason);
    if (failure.code === "internal") {
      this.#ports.log.error({ ...facts, err: error }, "A run died of a bug.");
    }
    const run = { ports: this.#ports, claim, control: this.#controlOf(held), record };
    await failWith(run, failure, this.#leaving.signal);
  }

  /** T1's attempt timeout: aborts the run when its time is over, unless it settles first. */
  async #timeOut(held: Held, settled: AbortSignal): Promise<void> {
    const { clock } = this.#ports.world;
    const leftMs = Math.max(0, Date.parse(held.claim.attemptEndsAt) - clock.now());
    try {
      await clock.sleep(leftMs, settled);
    } catch (error) {
      if (settled.aborted) return;
      throw error;
    }
    held.abort.abort(
      new CadreError(
        "timed_out",
        `The attempt was not done by ${held.claim.attemptEndsAt}. Raise attemptTimeoutMs, or split the task.`,
      ),
    );
  }

  // ---- Beating --------------------------------------------------------------------------------

  async #beatLoop(): Promise<void> {
    const { world, log } = this.#ports;
    const everyMs = Math.floor(this.#options.leaseMs / BEATS_PER_LEASE);
    while (!this.#ending.signal.aborted) {
      await this.#mustBeat.wait(everyMs, world.clock, this.#ending.signal);
      this.#mustBeat.reset();
      if (this.#held.size === 0) continue;
      try {
        await this.#beat();
      } catch (error) {
        log.warn({ err: error, node: this.#ports.node }, "A heartbeat failed.");
      }
      this.#dropUnproven();
    }
  }

  async #beat(): Promise<void> {
    const { node, client, world } = this.#ports;
    const beatAt = world.clock.monotonic();
    const asked = [...this.#held.values()];
    const { lost } = await client.call("tasks.heartbeat", {
      node,
      leaseMs: this.#options.leaseMs,
      held: asked.map(({ claim }) => ({ task: claim.task.id, epoch: claim.epoch })),
    });
    for (const held of asked) held.provenAt = beatAt;
    for (const { task, epoch, why } of lost) {
      this.#held.get(keyOf(task, epoch))?.abort.abort(new CadreError("lease_lost", why));
    }
  }

  /** Beats that fail for a whole lease: somebody else may hold it by now. */
  #dropUnproven(): void {
    for (const held of this.#held.values()) {
      const late = this.#unproven(held);
      if (late !== undefined) held.abort.abort(late);
    }
  }

  /** By the clock of this machine, counted from before the hub was asked: never later than its. */
  #unproven({ provenAt, claim }: Held): CadreError | undefined {
    if (this.#ports.world.clock.monotonic() - provenAt < this.#options.leaseMs) return undefined;
    return new CadreError(
      "lease_lost",
      `The lease of ${claim.task.id} was not renewed for ${this.#options.leaseMs} ms.`,
    );
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });

const keyOf = (task: string, epoch: number): string => `${task} ${epoch}`;

function failureOf(reason: unknown): Failure {
  if (!(reason instanceof CadreError)) {
    return { code: "internal", message: `A bug in Cadre: ${messageOf(reason)}`, retry: "later" };
  }
  return {
    code: reason.code,
    message: reason.message,
    // A bug may be one of timing; another attempt is cheap, and the count of attempts bounds it.
    retry: reason.code === "internal" || isForLater(reason) ? "later" : "never",
  };
}
