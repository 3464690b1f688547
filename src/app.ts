// Wires configuration and world into a running Cadre. No rule stands here.
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Agent, agentMigrations } from "./agents/index.ts";
import type { Config } from "./config/index.ts";
import type { CadreContract } from "./faces/contract.ts";
import { Housekeeper, Sweeper, type SystemFacts } from "./hub/index.ts";
import { localIdentity } from "./identity/index.ts";
import {
  chooseCandidate,
  createModels,
  defaultModel,
  type Model,
  type ModelName,
  modelMigrations,
} from "./models/index.ts";
import { Collector, Fallback, Worker } from "./node/index.ts";
import {
  type Client,
  createInvoker,
  eventStream,
  idempotencyAgeMigration,
  idempotencyMigration,
  localClient,
  type Principal,
} from "./operations/index.ts";
import {
  type Bus,
  CadreError,
  type FolderLock,
  idMaker,
  iso,
  journalMigration,
  type Log,
  localBus,
  lockFolder,
  type Migration,
  type NewId,
  type NodeId,
  openPostgres,
  openSqlite,
  postgresBus,
  type Store,
  type World,
} from "./platform/index.ts";
import { allOperations } from "./registry.ts";
import { taskMigrations } from "./tasks/index.ts";
import {
  builtinTools,
  chooseSandbox,
  createPipeline,
  fileArtifacts,
  gitWorkspaces,
  refusingSandbox,
  type Sandbox,
  type ToolPipeline,
  type Workspaces,
} from "./tools/index.ts";

export type AppOptions = {
  readonly config: Config;
  /** Absolute path of the folder state lives in; made when it is not there. */
  readonly home: string;
  readonly world: World;
  readonly log: Log;
  /** Whether the HTTP face opens its port. */
  readonly listen: boolean;
  /** False: only a look at what is stored; nothing is claimed, swept or recovered. */
  readonly works?: boolean;
  /** The whole team. Absent: the team as it was last stored. */
  readonly agents?: readonly Agent[];
  readonly rehearsalFolder?: string;
  /** Parts of the world a simulator brings along; each replaces the one made here. */
  readonly parts?: AppParts;
};

export type AppParts = {
  readonly store?: Store;
  readonly bus?: Bus;
  readonly model?: Model;
  readonly pipeline?: ToolPipeline;
  readonly workspaces?: Workspaces;
  readonly sandbox?: Sandbox;
};

export type App = {
  /** As the local user. */
  readonly client: Client<CadreContract>;
  /** Where the HTTP face listens. */
  readonly url: string | undefined;
  readonly token: string;
  readonly facts: SystemFacts;
  /** Tasks a hub that died had in hand and that go on now. */
  readonly recovered: number;
  /** Calls in this process as someone else: a node, a test. */
  clientOf(principal: Principal): Client<CadreContract>;
  /** Stops claiming, lets held runs record and release, closes. `now`: at once. Twice is fine. */
  stop(how: "graceful" | "now"): Promise<void>;
};

/** The whole schema, in its order. */
export const MIGRATIONS: readonly Migration[] = [
  journalMigration,
  idempotencyMigration,
  ...taskMigrations,
  ...agentMigrations,
  idempotencyAgeMigration,
  ...modelMigrations,
];

const LOCAL_USER: Principal = { id: "user:local", kind: "user", roles: ["admin", "operator"] };
const HUB: Principal = { id: "hub", kind: "hub", roles: ["admin", "node"] };

/** Starts a Cadre; resolves once it works. What was begun is undone again when a part fails. */
export async function createApp(options: AppOptions): Promise<App> {
  const undo = new Undoing();
  try {
    return await start(options, undo);
  } catch (error) {
    await undo.run("now");
    throw error;
  }
}

async function start(options: AppOptions, undo: Undoing): Promise<App> {
  const { config, home, world, log, parts = {}, works = true } = options;
  const startedAt = world.clock.now();
  const newId = idMaker(world);
  await mkdir(home, { recursive: true, mode: 0o700 });

  const lock = lockFor(options, startedAt);
  if (lock !== undefined) undo.add(() => lock.release());
  // Trying the sandboxes and loading the HTTP face take longest: both begin before the store opens.
  const probing = parts.sandbox ?? (works ? openSandbox(options) : refusingSandbox([]));
  const loading = options.listen ? import("./faces/http/index.ts") : undefined;
  for (const begun of [probing, loading]) heardLater(begun);
  const store = parts.store ?? (await openStore(options));
  undo.add(() => store.close());
  const bus = parts.bus ?? (await openBus(options));
  undo.add(() => bus.close());

  const identity = await localIdentity({ folder: home, world });
  const sandbox = await probing;
  const facts: SystemFacts = {
    version: await version(),
    engine: store.engine,
    startedAt: iso(startedAt),
    home,
    sandbox: sandbox.name,
    pid: process.pid,
  };
  const invoker = createInvoker(
    {
      store,
      bus,
      world,
      newId,
      authenticator: identity.authenticator,
      authorizer: identity.authorizer,
      outputs: "checked outside",
    },
    allOperations(facts, { config: config.models, env: world.env }),
  );
  const stream = eventStream({ store, bus, world });
  const clientOf = (principal: Principal): Client<CadreContract> =>
    localClient({ invoker, stream }, { kind: "internal", principal });

  const hub = clientOf(HUB);
  const recovered = works
    ? await work({ options, store, bus, sandbox, newId, hub, clientOf }, undo)
    : 0;

  let url: string | undefined;
  if (loading !== undefined) {
    const { createHttpFace } = await loading;
    const face = await createHttpFace({
      invoker,
      stream,
      world,
      log,
      config: config.listen,
      facts: { version: facts.version },
    });
    undo.add(() => face.close());
    url = face.url;
    lock?.update({ pid: process.pid, startedAt, url });
  }

  return {
    client: clientOf(LOCAL_USER),
    url,
    token: identity.token,
    facts,
    recovered,
    clientOf,
    stop: (how) => undo.run(how),
  };
}

/** A failure is told where the answer is awaited, not as a rejection nobody heard. */
function heardLater(begun: unknown): void {
  if (begun instanceof Promise) begun.catch(() => undefined);
}

// ---- The parts that work ------------------------------------------------------------------------

type Working = {
  readonly options: AppOptions;
  readonly store: Store;
  readonly bus: Bus;
  readonly sandbox: Sandbox;
  readonly newId: NewId;
  readonly hub: Client<CadreContract>;
  clientOf(principal: Principal): Client<CadreContract>;
};

/** Recovers, then starts the loops. Answers how many tasks were taken back from a dead hub. */
async function work(parts: Working, undo: Undoing): Promise<number> {
  const { options, store, bus, sandbox, hub } = parts;
  const { config, home, world, log } = options;
  const node = await nodeIdOf(parts);
  const { requeued } = await hub.call("tasks.abandon", { node });
  const agents = await team(options, hub);
  const workspaces = options.parts?.workspaces ?? gitWorkspaces({ world, home, log });
  const sweeper = new Sweeper({ client: hub, world, log, wakes: (hear) => bus.subscribe(hear) });
  const client = parts.clientOf({ id: node, kind: "node", roles: ["node"] });
  const worker = new Worker(
    {
      node,
      client,
      model:
        options.parts?.model ??
        createModels({
          config: config.models,
          world,
          log,
          ...(options.rehearsalFolder === undefined
            ? {}
            : { rehearsalFolder: options.rehearsalFolder }),
        }),
      fallback: new Fallback({ client, choose: chooseCandidate, world }),
      pipeline:
        options.parts?.pipeline ??
        createPipeline({
          tools: builtinTools,
          world,
          log,
          hidden: [home],
          shellTimeoutMs: config.tools.shellTimeoutMs,
        }),
      workspaces,
      sandbox,
      artifacts: fileArtifacts(join(home, "artifacts")),
      world,
      log,
      team: new Map(agents.map((agent) => [agent.name, agent])),
      defaultModel: (config.models.default as ModelName | undefined) ?? defaultModel(world.env),
      wakes: (hear) => bus.subscribe(hear),
    },
    { slots: config.node.slots, leaseMs: config.node.leaseMs },
  );
  const collector = new Collector({
    client,
    workspaces,
    world,
    log,
    isInUse: (task) => worker.worksIn(task),
    wakes: (hear) => bus.subscribe(hear),
  });
  sweeper.start();
  const housekeeper = new Housekeeper({ client: hub, world, log });
  housekeeper.start();
  undo.add(() => housekeeper.stop());
  undo.add(() => sweeper.stop());
  undo.add((how) => worker.stop(how));
  undo.add(() => collector.stop());
  await worker.start();
  collector.start();
  log.info({ node, engine: store.engine, sandbox: sandbox.name, requeued }, "Cadre works.");
  return requeued;
}

async function team(options: AppOptions, hub: Client<CadreContract>): Promise<readonly Agent[]> {
  if (options.agents === undefined) return (await hub.call("agents.list", {})).items;
  await hub.call("agents.sync", { agents: options.agents.map((agent) => structuredClone(agent)) });
  return options.agents;
}

/**
 * Stable for a home, so that what a dead process held is known as one's own. Not on Postgres: there
 * a copied home (a restored backup, an image with a home in it) would have the id of a hub that is
 * alive, and each start of one would take back what the other has in hand. So each process is a node
 * of its own, and the leases of a dead one run out.
 */
async function nodeIdOf({ options, store, newId }: Working): Promise<NodeId> {
  if (store.engine === "postgres") return newId("node");
  const file = join(options.home, "node");
  const known = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
  if (/^node_[0-9a-z]{1,40}$/.test(known.trim())) return known.trim() as NodeId;
  const node = newId("node");
  await writeFile(`${file}.new`, `${node}\n`, { mode: 0o600 });
  await rename(`${file}.new`, file);
  return node;
}

// ---- The ground ---------------------------------------------------------------------------------

/** A home has one hub, whatever its store: its token, its work trees and its artifacts are there. */
function lockFor(options: AppOptions, startedAt: number): FolderLock | undefined {
  const { home, parts, works = true } = options;
  if (parts?.store !== undefined || !works) return undefined;
  return lockFolder(home, { pid: process.pid, startedAt });
}

async function openStore({ config, home, world }: AppOptions): Promise<Store> {
  if (config.store.engine === "sqlite") {
    return await openSqlite({ file: join(home, "cadre.db"), migrations: MIGRATIONS, world });
  }
  const { url, poolMax } = config.store;
  return await openPostgres({ url, poolMax, migrations: MIGRATIONS, world });
}

async function openBus({ config, world }: AppOptions): Promise<Bus> {
  if (config.store.engine === "sqlite") return localBus();
  return await postgresBus({ url: config.store.url, world });
}

/** Chosen once. Where none works, agents still run, and each command they try is refused loudly. */
async function openSandbox({ config, home, world, log }: AppOptions): Promise<Sandbox> {
  const choice = await chooseSandbox({
    world,
    wanted: config.tools.sandbox,
    folder: home,
    hidden: [home],
  });
  if ("sandbox" in choice) return choice.sandbox;
  log.warn({ tried: choice.refused }, "No sandbox works here: commands of agents are refused.");
  return refusingSandbox(choice.refused);
}

async function version(): Promise<string> {
  const text = await readFile(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { readonly version: string }).version;
}

// ---- Stopping -----------------------------------------------------------------------------------

type Undo = (how: "graceful" | "now") => void | Promise<void>;

/** Takes back what was begun, last first. A second, harder call hurries the first along. */
class Undoing {
  readonly #steps: Undo[] = [];
  #running: Promise<void> | undefined;
  #current: Undo | undefined;

  add(step: Undo): void {
    this.#steps.push(step);
  }

  run(how: "graceful" | "now"): Promise<void> {
    if (this.#running === undefined) {
      this.#running = this.#all(how);
      return this.#running;
    }
    if (how === "now" && this.#current !== undefined) {
      return Promise.all([this.#current("now"), this.#running]).then(() => undefined);
    }
    return this.#running;
  }

  async #all(how: "graceful" | "now"): Promise<void> {
    const troubles: unknown[] = [];
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      this.#current = step;
      try {
        await step(how);
      } catch (error) {
        troubles.push(error);
      }
    }
    this.#current = undefined;
    if (troubles.length === 0) return;
    throw new CadreError("internal", "Cadre did not stop cleanly.", {
      cause: new AggregateError(troubles),
    });
  }
}
