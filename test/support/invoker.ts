// The real pipeline over a fresh store, with a clock and a chance the test holds in its hand.
import type { TestContext } from "node:test";
import {
  type Authenticator,
  type Authorizer,
  type Contract,
  createInvoker,
  type Invoker,
  idempotencyMigration,
  type Operation,
  type Principal,
} from "../../src/operations/index.ts";
import {
  CadreError,
  type ErrorCode,
  idMaker,
  journalMigration,
  localBus,
  type Migration,
  type Millis,
  type Store,
} from "../../src/platform/index.ts";
import { openTestStore } from "./store.ts";

/** A clock that stands still until it is told otherwise; it may also go back. */
export type TestClock = { now: Millis };

export type Bench<C extends Contract> = {
  readonly store: Store;
  readonly invoker: Invoker;
  readonly clock: TestClock;
  /** Calls as a local administrator. */
  call<N extends keyof C & string>(
    name: N,
    input: C[N]["input"],
    options?: { readonly idempotencyKey?: string },
  ): Promise<C[N]["output"]>;
};

const TESTER: Principal = { id: "user:test", kind: "user", roles: ["admin", "node"] };

const authenticator: Authenticator = {
  authenticate(credentials) {
    if (credentials.kind === "internal") return credentials.principal;
    throw new CadreError("unauthenticated", "Only code of this process calls here.");
  },
};
const authorizer: Authorizer = { mayCall: () => true, mayAct: () => true };

/** Repeatable chance: mulberry32. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export async function openBench<C extends Contract>(
  t: TestContext,
  parts: {
    readonly migrations: readonly Migration[];
    readonly operations: readonly Operation[];
    readonly seed?: number;
  },
): Promise<Bench<C>> {
  const store = await openTestStore(t, [
    journalMigration,
    idempotencyMigration,
    ...parts.migrations,
  ]);
  const clock: TestClock = { now: Date.parse("2026-11-20T12:00:00Z") };
  const random = seededRandom(parts.seed ?? 1);
  const world = {
    clock: { now: () => clock.now, monotonic: () => clock.now, sleep: () => Promise.resolve() },
    random,
  };
  const bus = localBus();
  t.after(() => bus.close());
  const invoker = createInvoker(
    { store, bus, world, newId: idMaker(world), authenticator, authorizer },
    parts.operations,
  );
  return {
    store,
    invoker,
    clock,
    async call(name, input, options) {
      const credentials = { kind: "internal", principal: TESTER } as const;
      const output = await invoker.invoke({ operation: name, input, credentials, ...options });
      return output as never;
    },
  };
}

/** For `assert.rejects`: a refusal with this code, and words its message must contain. */
export function refusal(code: ErrorCode, ...words: readonly string[]): (error: unknown) => boolean {
  return (error) => {
    if (!(error instanceof CadreError) || error.code !== code) throw error;
    const missing = words.find((word) => !error.message.includes(word));
    if (missing === undefined) return true;
    throw new Error(`"${missing}" is not in the message: ${error.message}`);
  };
}
