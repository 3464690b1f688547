// A worker over the real operations and a real store, in virtual time, with a model and tools the
// test holds in its hand.
import type { TestContext } from "node:test";
import { type Agent, agentMigrations } from "../../src/agents/index.ts";
import {
  chooseCandidate,
  type Model,
  type ModelAnswer,
  type ModelContract,
  type ModelRequest,
  modelMigrations,
  modelOperations,
} from "../../src/models/index.ts";
import { Fallback, Worker, type WorkerPorts } from "../../src/node/index.ts";
import {
  type Client,
  createInvoker,
  eventStream,
  idempotencyMigration,
  localClient,
} from "../../src/operations/index.ts";
import {
  idMaker,
  journalMigration,
  type Log,
  localBus,
  type NodeId,
  silentLog,
  type World,
} from "../../src/platform/index.ts";
import {
  type RecordedStep,
  type TaskContract,
  type TaskView,
  taskMigrations,
  taskOperations,
} from "../../src/tasks/index.ts";
import {
  createPipeline,
  refusingSandbox,
  type Tool,
  type Workspace,
  type WorkspaceRequest,
  type Workspaces,
} from "../../src/tools/index.ts";
import { countedStore } from "../simulation/faults.ts";
import { SimTime, seededRandom } from "../simulation/time.ts";
import { openTestStore } from "./store.ts";

export type BenchContract = TaskContract & ModelContract;

/** What the model says, from the request and how often it was asked before. */
export type Answering = (request: ModelRequest, asked: number) => Said | Promise<Said>;
export type Said = Partial<Pick<ModelAnswer, "text" | "finish">> & {
  readonly calls?: readonly { readonly tool: string; readonly input: object }[];
};

export type WorkerSetting = {
  readonly answer: Answering;
  readonly agents?: readonly Agent[];
  readonly tools?: readonly Tool[];
  readonly workspaces?: Workspaces;
  readonly log?: Log;
  /** Stands between a worker and the operations. */
  readonly between?: (client: Client<TaskContract>) => Client<TaskContract>;
};

export type WorkerBench = {
  readonly client: Client<BenchContract>;
  readonly time: SimTime;
  /** Every operation workers called, in order. */
  readonly calls: string[];
  /** Another worker, of a node of its own unless one is named. */
  start(node?: NodeId): Promise<Worker>;
  /** Lets time pass until this holds. */
  until(holds: () => Promise<boolean> | boolean): Promise<void>;
  /** The task once it has ended. */
  ended(id: TaskView["id"]): Promise<TaskView>;
  /** The transcript of the task's newest run. */
  steps(id: TaskView["id"]): Promise<RecordedStep["step"][]>;
};

export async function workerBench(t: TestContext, setting: WorkerSetting): Promise<WorkerBench> {
  const time = new SimTime();
  const random = seededRandom(1);
  const world: World = {
    clock: {
      now: () => time.now(),
      monotonic: () => time.elapsed,
      sleep: (ms, signal) => time.sleep(ms, signal),
    },
    random,
    env: () => undefined,
    fetch: () => Promise.reject(new Error("There is no network here.")),
    processes: { run: () => Promise.reject(new Error("There are no processes here.")) },
  };
  const migrations = [
    journalMigration,
    idempotencyMigration,
    ...taskMigrations,
    ...agentMigrations,
    ...modelMigrations,
  ];
  const store = countedStore(await openTestStore(t, migrations), time);
  const bus = localBus();
  const newId = idMaker(world);
  const invoker = createInvoker(
    {
      store,
      bus,
      world,
      newId,
      authenticator: {
        authenticate: (credentials) => {
          if (credentials.kind === "internal") return credentials.principal;
          throw new Error("Nobody from outside calls here.");
        },
      },
      authorizer: { mayCall: () => true, mayAct: () => true },
    },
    [...taskOperations, ...modelOperations({ config: { providers: {} }, env: world.env })],
  );
  const stream = eventStream({ store, bus, world });
  const client = localClient<BenchContract>(
    { invoker, stream },
    { kind: "internal", principal: { id: "user:test", kind: "user", roles: ["admin"] } },
  );
  const calls: string[] = [];
  const counted: Client<BenchContract> = {
    ...client,
    call: (name, input, options) => {
      calls.push(name);
      time.activity += 1;
      return client.call(name, input, options);
    },
  };
  const log = setting.log ?? silentLog;
  const ports: Omit<WorkerPorts, "node"> = {
    client: setting.between?.(counted) ?? counted,
    model: modelOf(setting.answer, time),
    fallback: new Fallback({ client: counted, choose: chooseCandidate, world }),
    pipeline: createPipeline({ tools: setting.tools ?? [], world, log }),
    workspaces: setting.workspaces ?? noWorkspaces,
    sandbox: refusingSandbox([]),
    artifacts: {
      put: () => Promise.reject(new Error("There are no artifacts here.")),
      get: () => Promise.resolve(undefined),
      pathOf: (id) => id,
    },
    world,
    log,
    team: new Map((setting.agents ?? [agent("coder")]).map((it) => [it.name, it])),
    defaultModel: "rehearsal/test",
    wakes: (hear) => bus.subscribe(hear),
  };
  const workers: Worker[] = [];
  t.after(() => Promise.all(workers.map((worker) => worker.stop("now"))));

  const until: WorkerBench["until"] = async (holds) => {
    for (let turn = 0; turn < 5_000; turn++) {
      await time.settle();
      if (await holds()) return;
      if (!time.advance()) throw new Error("Nobody waits for anything any more.");
    }
    throw new Error("It never came to pass.");
  };

  return {
    client,
    time,
    calls,
    async start(node = newId("node")) {
      const worker = new Worker({ ...ports, node }, { slots: 4, leaseMs: 10_000 });
      workers.push(worker);
      await worker.start();
      return worker;
    },
    until,
    async ended(id) {
      const get = () => client.call("tasks.get", { id });
      await until(async () => (await get()).endedAt !== undefined);
      return await get();
    },
    async steps(id) {
      const [run] = (await client.call("runs.list", { task: id })).items;
      if (run === undefined) return [];
      const { items } = await client.call("runs.steps", { id: run.id, limit: 1_000 });
      return items.map(({ step }) => step);
    },
  };
}

function modelOf(answer: Answering, time: SimTime): Model {
  let asked = 0;
  return {
    async answer(request) {
      time.activity += 1;
      const turn = request.messages.filter(({ role }) => role === "assistant").length;
      const { text = "", finish, calls = [] } = await answer(request, asked++);
      return {
        model: request.model,
        text,
        calls: calls.map(({ tool, input }, index) => ({
          id: `call_${turn}_${index}`,
          tool,
          arguments: JSON.stringify(input),
        })),
        finish: finish ?? (calls.length > 0 ? "tool-calls" : "stop"),
        usage: { tokensIn: 10, tokensOut: 1, tokensCached: 0, costUsd: null },
        rehearsed: true,
        tookMs: 1,
      };
    },
  };
}

export const agent = (name: string, over: Partial<Agent> = {}): Agent => ({
  name,
  description: `Is ${name}.`,
  type: "general",
  capabilities: [],
  roles: ["worker"],
  models: [],
  instancesMax: 4,
  limits: { stepsMax: 20, outputTokensMax: 1_000, wallMs: 3_600_000 },
  prompt: `You are ${name}.`,
  version: "1",
  source: "test",
  ...over,
});

const noWorkspaces: Workspaces = {
  open: async () => workspace({}),
  reset: async () => undefined,
  collect: async () => undefined,
  list: async () => [],
};

/** A workspace where nothing changes, but for what the test says. */
export const workspace = (over: Partial<Workspace>): Workspace => ({
  path: null,
  readable: [],
  commit: async () => undefined,
  merge: async () => ({ kind: "nothing" }),
  beginResolution: async () => [],
  ...over,
});

/** Workspaces as the test says, with a note of who opened, reset and collected what. */
export function notedWorkspaces(
  open: (request: WorkspaceRequest) => Workspace,
): Workspaces & { readonly notes: string[] } {
  const notes: string[] = [];
  return {
    notes,
    async open(request) {
      notes.push(`open ${request.task}`);
      return open(request);
    },
    async reset({ task }) {
      notes.push(`reset ${task}`);
    },
    async collect(ended) {
      for (const { task } of ended) notes.push(`collect ${task}`);
    },
    list: async () => [],
  };
}
