import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { openTestStore } from "../../test/support/store.ts";
import { createInvoker, idempotencyMigration } from "../operations/index.ts";
import {
  CadreError,
  idMaker,
  journalMigration,
  localBus,
  readEvents,
  realWorld,
} from "../platform/index.ts";
import { agentOf, parseAgentFile } from "./definition-file.ts";
import { agentOperations, planSync } from "./operations.ts";
import { agentMigrations } from "./store.ts";

const agent = (name: string, prompt = "You work.", source = `${name}.md`) =>
  parseAgentFile(`---\nname: ${name}\ndescription: d\n---\n${prompt}`, source);

async function hub(t: TestContext) {
  const world = realWorld();
  const store = await openTestStore(t, [
    journalMigration,
    idempotencyMigration,
    ...agentMigrations,
  ]);
  const principal = { id: "user:local", kind: "user", roles: ["admin"] } as const;
  const invoker = createInvoker(
    {
      store,
      bus: localBus(),
      world,
      newId: idMaker(world),
      authenticator: { authenticate: () => principal },
      authorizer: { mayCall: () => true, mayAct: () => true },
    },
    agentOperations,
  );
  return {
    call: (operation: string, input: unknown) =>
      invoker.invoke({ operation, input, credentials: { kind: "none" } }),
    news: () =>
      store.read(async (tx) =>
        (await readEvents(tx, { types: ["agent.*"] }, 0, 100)).map(
          ({ type, data }) => `${type} ${data["name"]}`,
        ),
      ),
  };
}

test("what was synced is listed by name, every field as it was", async (t) => {
  const { call } = await hub(t);
  const agents = [agent("zoe"), agent("abe")];

  await call("agents.sync", { agents });

  assert.deepEqual(await call("agents.list", {}), { items: [agents[1], agents[0]] });
  assert.deepEqual(await call("agents.get", { name: "zoe" }), agents[0]);
});

test("a sync makes its list the whole team and tells what changed, once", async (t) => {
  const { call, news } = await hub(t);
  await call("agents.sync", { agents: [agent("abe"), agent("bob"), agent("cleo")] });

  const agents = [agent("abe"), agent("bob", "Otherwise."), agent("dan")];
  const answer = await call("agents.sync", { agents });
  const again = await call("agents.sync", { agents });

  assert.deepEqual(answer, { added: ["dan"], changed: ["bob"], removed: ["cleo"] });
  assert.deepEqual(again, { added: [], changed: [], removed: [] });
  assert.deepEqual(await news(), [
    "agent.added abe",
    "agent.added bob",
    "agent.added cleo",
    "agent.added dan",
    "agent.changed bob",
    "agent.removed cleo",
  ]);
});

test("an agent whose file was only moved has its new source and makes no news", async (t) => {
  const { call, news } = await hub(t);
  await call("agents.sync", { agents: [agent("abe")] });

  const answer = await call("agents.sync", { agents: [agent("abe", "You work.", "new/abe.md")] });

  assert.deepEqual(answer, { added: [], changed: [], removed: [] });
  assert.equal(
    ((await call("agents.get", { name: "abe" })) as { source: string }).source,
    "new/abe.md",
  );
  assert.deepEqual(await news(), ["agent.added abe"]);
});

test("an unknown agent is not found, with the nearest name and the others", async (t) => {
  const { call } = await hub(t);
  await call("agents.sync", { agents: [agent("backend"), agent("tester")] });

  await assert.rejects(call("agents.get", { name: "backnd" }), (error: unknown) => {
    assert.ok(error instanceof CadreError && error.code === "not_found");
    assert.equal(error.message, 'There is no agent "backnd". Nearest: backend. Others: tester.');
    assert.deepEqual(error.next, ["cadre agents show backend"]);
    return true;
  });
});

test("a team in which a name stands twice is refused", async (t) => {
  const { call } = await hub(t);

  await assert.rejects(
    call("agents.sync", { agents: [agent("abe"), agent("abe", "Else.")] }),
    (error: unknown) => error instanceof CadreError && error.code === "invalid_input",
  );
});

test("a plan for a sync never writes what is known already", () => {
  const abe = agentOf({ ...agent("abe") }, "abe.md");

  const sync = planSync([{ name: "abe", version: abe.version, source: "abe.md" }], [abe]);

  assert.deepEqual(sync, { write: [], added: [], changed: [], removed: [] });
});
