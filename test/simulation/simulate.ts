// One seed, one history: the real Cadre in a world that fails, and an operator who keeps asking.
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Agent } from "../../src/agents/index.ts";
import { type App, createApp, MIGRATIONS } from "../../src/app.ts";
import { type Config, config as configSchema } from "../../src/config/index.ts";
import { Worker } from "../../src/node/index.ts";
import {
  type JournalEvent,
  journalHead,
  type Log,
  type Millis,
  messageOf,
  type NodeId,
  openSqlite,
  readEvents,
  type Store,
} from "../../src/platform/index.ts";
import { createPipeline, refusingSandbox } from "../../src/tools/index.ts";
import {
  clientOver,
  countedStore,
  faultyBus,
  faultyStore,
  type StoreFaults,
  worldOf,
} from "./faults.ts";
import { Broken, checkEnd, Invariants } from "./invariants.ts";
import { Ledger, ledgerTools, ledgerWorkspaces } from "./ledger.ts";
import { Life, type LifeFaults, NO_FAULTS } from "./life.ts";
import { type ModelFaults, scriptedModel } from "./model.ts";
import { operate } from "./operator.ts";
import { SimTime, seededRandom } from "./time.ts";
import { type Weather, weatherOf } from "./weather.ts";

export type SimOptions = {
  /** The process dies at every single step it records, and starts again. */
  readonly park?: boolean;
  /** Hears the history as it is made. */
  readonly tell?: (line: string) => void;
};

export type Report = {
  readonly seed: number;
  readonly digest: string;
  readonly tasks: number;
  readonly deaths: number;
  readonly effects: number;
  readonly modelCalls: number;
  readonly events: number;
  readonly virtualMs: Millis;
};

const LEASE_MS: Millis = 5_000;
/** Faults come for so long; then the world is kind, and all must come to an end. */
const FAULTS_MS: Millis = 60_000;
const STEPS_MAX = 400_000;
const VIRTUAL_MS_MAX: Millis = 1_800_000;

/** Memory where there is some: no disk is simulated, so none has to be waited for. */
const SCRATCH = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
/** Lines of either history that come with a broken promise. */
const LAST_LINES = 25;

/** Runs one seed to its end. Throws `Broken` when a promise was. */
export async function simulate(seed: number, options: SimOptions = {}): Promise<Report> {
  const home = await mkdtemp(join(SCRATCH, "cadre-sim-"));
  const file = await openSqlite({ file: ":memory:", migrations: MIGRATIONS });
  try {
    return await new Simulation(seed, options, home, file).run();
  } finally {
    await file.close();
    await rm(home, { recursive: true, force: true });
  }
}

function lineOf({ type, task, run, data }: JournalEvent): string {
  const whose = [task?.slice(-6), run?.slice(-6)].filter((it) => it !== undefined).join(" ");
  return `${type} ${whose} ${JSON.stringify(data)}`;
}

type Running<T> = { readonly life: Life; readonly value: T };

class Simulation {
  readonly #seed: number;
  readonly #options: SimOptions;
  readonly #home: string;
  readonly #time = new SimTime();
  readonly #ledger = new Ledger();
  readonly #invariants = new Invariants();
  readonly #acknowledged = new Set<string>();
  readonly #history: string[] = [];
  readonly #store: Store;
  readonly #chance: () => number;
  readonly #weather: Weather;
  #hub: Running<App> | undefined;
  #deaths = 0;
  #lives = 0;
  #writes = 0;
  #modelCalls = 0;
  #trouble: unknown;

  constructor(seed: number, options: SimOptions, home: string, store: Store) {
    this.#seed = seed;
    this.#options = options;
    this.#home = home;
    this.#chance = seededRandom(seed);
    this.#weather = weatherOf(this.#chance, LEASE_MS, { isParked: options.park === true });
    this.#store = this.#watched(countedStore(store, this.#time));
  }

  async run(): Promise<Report> {
    this.#inBackground(this.#keepHub());
    for (let node = 1; node <= this.#weather.nodes; node++)
      this.#inBackground(this.#keepNode(node));
    let isAsked = false;
    let keys = 0;
    const operator = this.#lifeOf("operator", NO_FAULTS);
    this.#inBackground(
      operate({
        client: clientOver(operator, () => this.#asked()),
        sleep: (ms) => operator.sleep(ms),
        random: seededRandom(this.#seed ^ 0x0f0f),
        newKey: () => `operator-${++keys}`,
        acknowledged: this.#acknowledged,
        tell: (what) => this.#tell(`operator: ${what}`),
      }).then(() => {
        isAsked = true;
      }),
    );
    try {
      await this.#drive(() => isAsked);
      await this.#invariants.check(this.#store, this.#acknowledged, "everything");
      await checkEnd(this.#store, this.#ledger, this.#acknowledged);
    } catch (error) {
      if (error instanceof Broken) error.history = await this.#lastLines();
      throw error;
    }
    return await this.#report();
  }

  async #lastLines(): Promise<readonly string[]> {
    const events = await this.#store.read(async (tx) =>
      readEvents(tx, {}, Math.max(0, (await journalHead(tx)) - LAST_LINES), LAST_LINES),
    );
    return [
      "What befell the processes:",
      ...this.#history.slice(-LAST_LINES),
      "What the journal says:",
      ...events.map(lineOf),
    ];
  }

  /** Lets everyone run, checks, moves time on: until all that was asked for has ended. */
  async #drive(isAsked: () => boolean): Promise<void> {
    let looked = -1;
    let open = 0;
    for (let step = 0; ; step++) {
      await this.#time.settle();
      if (this.#trouble !== undefined) throw this.#trouble;
      if (looked !== this.#writes) {
        looked = this.#writes;
        const checked = await this.#invariants.check(this.#store, this.#acknowledged);
        for (const event of checked.news) this.#tellNews(event);
        open = checked.open;
      }
      if (isAsked() && open === 0) return;
      if (step > STEPS_MAX || this.#time.elapsed > VIRTUAL_MS_MAX) {
        throw new Broken("T14", "the tasks never came to an end");
      }
      if (!this.#time.advance()) throw new Broken("T14", "nobody waits for anything any more");
    }
  }

  /** What the journal says beside what befell the processes: for whoever reads one seed. */
  #tellNews(event: JournalEvent): void {
    this.#options.tell?.(`${String(this.#time.elapsed).padStart(8)}   ${lineOf(event)}`);
  }

  async #report(): Promise<Report> {
    const events = await this.#store.read((tx) =>
      tx.all("SELECT * FROM journal ORDER BY position"),
    );
    const told = [...this.#history, ...events.map((event) => JSON.stringify(event))];
    return {
      seed: this.#seed,
      digest: createHash("sha256").update(told.join("\n")).digest("hex"),
      tasks: this.#acknowledged.size,
      deaths: this.#deaths,
      effects: [...this.#ledger.applied.values()].reduce((sum, count) => sum + count, 0),
      modelCalls: this.#modelCalls,
      events: events.length,
      virtualMs: this.#time.elapsed,
    };
  }

  // ---- Processes --------------------------------------------------------------------------------

  /** One hub after the other, each on what the one before left. */
  async #keepHub(): Promise<void> {
    for (;;) {
      const { startCrash } = this.#weather;
      const life = this.#lifeOf("hub", { ...this.#faults(), stall: 0, crash: startCrash });
      const random = this.#newRandom();
      let isStarting = true;
      const calm = (): StoreFaults =>
        isStarting || this.#isKind() ? { lostBefore: 0, lostAfter: 0 } : this.#weather.store;
      const world = worldOf(life, this.#time, random);
      // While a process starts it reads real files: virtual time stands still.
      this.#time.pending += 1;
      const starting = createApp({
        config: this.#config(),
        home: this.#home,
        world,
        log: logOf(life),
        listen: false,
        agents: TEAM,
        parts: {
          store: faultyStore(this.#store, life, random, calm),
          bus: this.#bus(life, random),
          sandbox: refusingSandbox([]),
          ...this.#worldly(life, random),
        },
      });
      const app = await Promise.race([starting, life.died]);
      this.#time.pending -= 1;
      isStarting = false;
      if (app !== undefined) {
        life.faults = this.#faults();
        this.#hub = { life, value: app };
        await life.died;
      }
      this.#hub = undefined;
      this.#deaths += 1;
      await this.#time.sleep(200 + this.#chance() * 5_000);
    }
  }

  /** A worker in a process of its own, which asks the hub over a connection. */
  async #keepNode(number: number): Promise<void> {
    for (;;) {
      const life = this.#lifeOf(`node ${number}`, this.#faults());
      const random = this.#newRandom();
      const node: NodeId = `node_sim${number}`;
      const worker = new Worker(
        {
          node,
          client: clientOver(life, () => this.#asNode(node)),
          ...this.#worldly(life, random),
          sandbox: refusingSandbox([]),
          artifacts: NO_ARTIFACTS,
          world: worldOf(life, this.#time, random),
          log: logOf(life),
          team: new Map(TEAM.map((agent) => [agent.name, agent])),
          defaultModel: undefined,
          // A remote node hears no rings at all: it must get along without.
          wakes: () => () => undefined,
        },
        { slots: this.#weather.slots, leaseMs: LEASE_MS },
      );
      this.#inBackground(worker.start());
      await life.died;
      this.#deaths += 1;
      await this.#time.sleep(this.#chance() * 10_000);
    }
  }

  #worldly(life: Life, random: () => number) {
    const modelFaults = (): ModelFaults =>
      this.#isKind() ? { fails: 0, silent: 0 } : this.#weather.model;
    return {
      model: scriptedModel(life, random, modelFaults, () => {
        this.#modelCalls += 1;
      }),
      pipeline: createPipeline({
        tools: ledgerTools(this.#ledger, life, random),
        world: worldOf(life, this.#time, random),
        log: logOf(life),
      }),
      workspaces: ledgerWorkspaces(this.#ledger, life, random, this.#weather.conflicts),
    };
  }

  #bus(life: Life, random: () => number) {
    const bus = faultyBus(life, this.#time, random, this.#weather.lostRings);
    if (this.#options.park !== true) return bus;
    return {
      ...bus,
      wake: (topics: ReadonlySet<string>) => {
        if (topics.has("run.step")) life.die("at a step it has recorded");
        else bus.wake(topics);
      },
    };
  }

  #asked() {
    const hub = this.#hub;
    return hub === undefined ? undefined : { life: hub.life, client: hub.value.client };
  }

  #asNode(node: NodeId) {
    const hub = this.#hub;
    if (hub === undefined) return undefined;
    return {
      life: hub.life,
      client: hub.value.clientOf({ id: node, kind: "node", roles: ["node"] }),
    };
  }

  #lifeOf(machine: string, faults: LifeFaults): Life {
    this.#lives += 1;
    return new Life({
      machine,
      number: this.#lives,
      time: this.#time,
      random: this.#newRandom(),
      faults,
      isKind: () => this.#isKind(),
      tell: (what) => this.#tell(what),
    });
  }

  #config(): Config {
    return configSchema.parse({ node: { slots: this.#weather.slots, leaseMs: LEASE_MS } });
  }

  #faults(): LifeFaults {
    return this.#weather.life;
  }

  #isKind(): boolean {
    return this.#time.elapsed > FAULTS_MS && this.#options.park !== true;
  }

  #newRandom(): () => number {
    return seededRandom(Math.floor(this.#chance() * 2 ** 32));
  }

  #tell(what: string): void {
    const line = `${String(this.#time.elapsed).padStart(8)} ${what}`;
    this.#history.push(line);
    this.#options.tell?.(line);
  }

  /** What dies in the background must not die unheard. */
  #inBackground(work: Promise<unknown>): void {
    work.catch((error: unknown) => {
      this.#trouble ??= error;
    });
  }

  #watched(store: Store): Store {
    return {
      ...store,
      write: async (body) => {
        const value = await store.write(body);
        this.#writes += 1;
        return value;
      },
    };
  }
}

/** What a process has to say of itself becomes part of the history. */
function logOf(life: Life): Log {
  const tell = (facts: object, message: string) => {
    const { why, err } = facts as { readonly why?: unknown; readonly err?: unknown };
    const cause = err === undefined ? why : messageOf(err);
    life.tell(cause === undefined ? message : `${message} ${cause}`);
  };
  return { debug: () => undefined, info: tell, warn: tell, error: tell };
}

// ---- Who works ----------------------------------------------------------------------------------

const agent = (name: string, over: Partial<Agent>): Agent => ({
  name,
  description: `Plays ${name}.`,
  type: "general",
  capabilities: [],
  roles: ["worker"],
  models: ["rehearsal/simulated"],
  instancesMax: 3,
  // Clocks that are set forward count as time worked.
  limits: { stepsMax: 100, outputTokensMax: 1_000, wallMs: 86_400_000 },
  prompt: "You play a script.",
  version: "1",
  source: "simulation",
  ...over,
});

const TEAM: readonly Agent[] = [
  agent("planner", { roles: ["planner"] }),
  agent("coder", { capabilities: ["work"] }),
  agent("tester", { capabilities: ["work", "test"], instancesMax: 1 }),
];

const NO_ARTIFACTS = {
  put: () => Promise.reject(new Error("The simulation keeps no artifacts.")),
  get: () => Promise.resolve(undefined),
  pathOf: () => "",
};
