// A bare hub for benchmarks: the real store, pipeline and task operations; no faces, no loops.
import {
  createInvoker,
  eventStream,
  idempotencyMigration,
  localClient,
} from "../src/operations/index.ts";
import {
  idMaker,
  journalMigration,
  localBus,
  openPostgres,
  openSqlite,
  realWorld,
  type Store,
} from "../src/platform/index.ts";
import { type TaskContract, taskMigrations, taskOperations } from "../src/tasks/index.ts";

/** What an acknowledged write survives, as the store of each engine is opened. */
export const DURABILITY = {
  SQLite: "WAL, synchronous=FULL",
  Postgres: "synchronous_commit=on",
} as const;

export const BENCH_NODE = "node_bench";
const principal = { id: "user:bench", kind: "user", roles: ["admin", "operator", "node"] } as const;
const migrations = [journalMigration, idempotencyMigration, ...taskMigrations];

export const openSqliteHub = async (file: string) =>
  hubOver(await openSqlite({ file, migrations }));

export const openPostgresHub = async (url: string, poolMax: number) =>
  hubOver(await openPostgres({ url, poolMax, migrations, world: realWorld() }));

export type BenchHub = Awaited<ReturnType<typeof hubOver>>;

async function hubOver(store: Store) {
  const world = realWorld();
  const bus = localBus();
  const invoker = createInvoker(
    {
      store,
      bus,
      world,
      newId: idMaker(world),
      authenticator: { authenticate: () => principal },
      authorizer: { mayCall: () => true, mayAct: () => true },
      outputs: "checked outside",
    },
    taskOperations,
  );
  const stream = eventStream({ store, bus, world });
  const client = localClient<TaskContract>({ invoker, stream }, { kind: "internal", principal });
  await client.call("tasks.offer", {
    node: BENCH_NODE,
    offers: [{ agent: "main", capabilities: [], slots: 10_000 }],
  });
  return { store, client, invoker, stream, bus, world };
}
