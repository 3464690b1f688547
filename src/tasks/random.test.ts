// T14 and T3 under anything: several workers and an impatient operator, for many seeds.
import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../test/support/invoker.ts";
import { type Claim, openTasks, type TaskBench } from "../../test/support/tasks.ts";
import { CadreError } from "../platform/index.ts";

const NODES = ["node_a", "node_b", "node_c"];
const STEPS = 150;

for (const seed of [11, 12, 13, 14]) {
  test(`whatever workers and operators do, no open task is stuck (seed ${seed})`, async (t) => {
    const hub = await openTasks(t, seed);
    const walk = new Walk(hub, seededRandom(seed));
    for (const node of NODES) await hub.offer({ coder: [], planner: ["plan"] }, node);

    for (let step = 0; step < STEPS; step++) {
      const what = await walk.step();
      assert.deepEqual(await hub.stuck(), [], `after ${what} at step ${step}`);
      assert.deepEqual(await walk.twiceHeld(), [], `after ${what} at step ${step}`);
    }

    await walk.finish();
    assert.deepEqual((await hub.call("tasks.counts", {})).open, {});
    assert.equal(walk.mended, 0, "the sweep found nothing to mend");
  });
}

/** One history: what is known of tasks and claims, and the next random move. */
class Walk {
  readonly #hub: TaskBench;
  readonly #random: () => number;
  readonly #tasks: `task_${string}`[] = [];
  #claims: Claim[] = [];
  mended = 0;

  constructor(hub: TaskBench, random: () => number) {
    this.#hub = hub;
    this.#random = random;
  }

  #pick<T>(list: readonly T[]): T | undefined {
    return list[Math.floor(this.#random() * list.length)];
  }

  async step(): Promise<string> {
    this.#hub.clock.now += Math.floor(this.#random() * 20_000) - 2_000;
    const moves: (readonly [string, () => Promise<unknown>])[] = [
      ["submit", () => this.#submit()],
      ["graph", () => this.#graph()],
      ["claim", () => this.#claim()],
      ["claim", () => this.#claim()],
      ["end", () => this.#end()],
      ["end", () => this.#end()],
      ["record", () => this.#record()],
      ["delegate", () => this.#delegate()],
      ["steer", () => this.#steer()],
      ["sweep", () => this.#sweep()],
      ["abandon", () => this.#hub.call("tasks.abandon", { node: this.#pick(NODES) ?? "" })],
    ];
    const move = this.#pick(moves);
    assert.ok(move !== undefined);
    const [name, run] = move;
    try {
      await run();
    } catch (error) {
      // A refusal is an answer: late results and steering of what has ended are part of the game.
      if (!(error instanceof CadreError) || !REFUSALS.has(error.code)) throw error;
    }
    return name;
  }

  #above() {
    const parent = this.#random() < 0.3 ? this.#pick(this.#tasks) : undefined;
    const after = this.#random() < 0.4 ? this.#pick(this.#tasks) : undefined;
    const policies = ["fail", "skip", "continue"] as const;
    return {
      ...(parent === undefined ? {} : { parent }),
      after: after === undefined ? [] : [after],
      onFailure: this.#pick(policies) ?? "fail",
      priority: Math.floor(this.#random() * 10),
      attemptsMax: 1 + Math.floor(this.#random() * 3),
    };
  }

  async #submit() {
    const runAt = new Date(this.#hub.clock.now + 30_000).toISOString();
    const timed = this.#random() < 0.2 ? { runAt } : {};
    const late = this.#random() < 0.1 ? { deadline: runAt } : {};
    this.#tasks.push((await this.#hub.submit({ ...this.#above(), ...timed, ...late })).id);
  }

  async #graph() {
    const keys = ["a", "b", "c", "d"];
    const made = await this.#hub.graph(
      keys.map((key, i) => {
        const inner = keys.slice(0, i).filter(() => this.#random() < 0.4);
        const { after, ...rest } = this.#above();
        return { key, ...rest, after: [...inner, ...after] };
      }),
    );
    this.#tasks.push(...(Object.values(made) as `task_${string}`[]));
  }

  async #claim() {
    this.#claims.push(
      ...(await this.#hub.claim(1 + Math.floor(this.#random() * 3), this.#pick(NODES))),
    );
  }

  /** Claims are kept after their end now and then, so that late results are tried. */
  #take(): Claim | undefined {
    const claim = this.#pick(this.#claims);
    if (this.#random() < 0.8) this.#claims = this.#claims.filter((other) => other !== claim);
    return claim;
  }

  async #end() {
    const claim = this.#take();
    if (claim === undefined) return;
    const { steps } = await this.#hub.call("runs.get", { id: claim.run });
    const now = { ...claim, steps };
    const dice = this.#random();
    if (dice < 0.6) await this.#hub.complete(now);
    else if (dice < 0.8) await this.#hub.fail(now);
    else if (dice < 0.9) await this.#hub.fail(now, "gave_up", "never");
    else await this.#hub.call("tasks.release", { id: claim.task.id, epoch: claim.epoch });
  }

  async #record() {
    const claim = this.#pick(this.#claims);
    if (claim === undefined) return;
    const { steps } = await this.#hub.call("runs.get", { id: claim.run });
    const { epoch, run, task } = claim;
    const told = { kind: "told", from: "test", text: "Go on." } as const;
    await this.#hub.call("runs.record", { id: task.id, epoch, run, at: steps, steps: [told] });
  }

  async #delegate() {
    const claim = this.#take();
    if (claim === undefined) return;
    const { steps } = await this.#hub.call("runs.get", { id: claim.run });
    const { epoch, run, task } = claim;
    const { parent: _, after, ...rest } = this.#above();
    const tasks = [
      { key: "x", title: "X", ...rest, after },
      { key: "y", title: "Y", after: ["x"] },
    ];
    const out = await this.#hub.call("tasks.delegate", {
      id: task.id,
      epoch,
      run,
      at: steps,
      tasks,
    });
    this.#tasks.push(...out.tasks.map(({ id }) => id));
  }

  async #steer() {
    const id = this.#pick(this.#tasks);
    if (id === undefined) return;
    const verbs = [
      "tasks.pause",
      "tasks.resume",
      "tasks.cancel",
      "tasks.retry",
      "tasks.retry",
    ] as const;
    await this.#hub.call(this.#pick(verbs) ?? "tasks.pause", { id });
  }

  async #sweep() {
    this.mended += (await this.#hub.sweep()).mended;
  }

  /** T3: per run at most one open lease, and epochs that never repeat for one task. */
  async twiceHeld(): Promise<unknown[]> {
    return await this.#hub.store.read((tx) =>
      tx.all("SELECT task FROM runs WHERE state = 'open' GROUP BY task HAVING COUNT(*) > 1"),
    );
  }

  /** Everything is let go, and workers that do not fail any more bring it to its end. */
  async finish(): Promise<void> {
    for (let round = 0; round < 300; round++) {
      this.#hub.clock.now += 70_000;
      await this.#sweep();
      const { items } = await this.#hub.call("tasks.list", { open: true, limit: 500 });
      if (items.length === 0) return;
      for (const { id, paused, parent } of items) {
        if (paused && parent === undefined) await this.#hub.call("tasks.resume", { id });
        else if (paused) await this.#hub.call("tasks.resume", { id }).catch(() => undefined);
      }
      for (const claim of await this.#hub.claim(256, "node_a")) {
        const { steps } = await this.#hub.call("runs.get", { id: claim.run });
        await this.#hub.complete({ ...claim, steps });
      }
    }
  }
}

const REFUSALS = new Set<string>([
  "lease_lost",
  "illegal_transition",
  "stale_write",
  "invalid_input",
]);
