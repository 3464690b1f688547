// The pipeline over a real store, with operations made for the test.
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { z } from "zod";
import { openTestStore } from "../../test/support/store.ts";
import { CadreError, idMaker, journalMigration, localBus, readEvents } from "../platform/index.ts";
import { createInvoker, type Invoker, type InvokerParts, idempotencyMigration } from "./invoke.ts";
import { type Operation, operation } from "./operation.ts";
import type { Credentials, Permission, Principal } from "./principal.ts";

const notes = {
  id: "0900-notes",
  up: ["CREATE TABLE notes (id TEXT PRIMARY KEY, text TEXT NOT NULL)"],
} as const;

const addNote = operation({
  name: "notes.add",
  summary: "Add a note.",
  effect: "write",
  permission: "operate",
  http: "POST /notes",
  input: z.strictObject({ text: z.string().min(1), fail: z.boolean().optional() }),
  output: z.object({ id: z.string() }),
  refusals: [],
  inputBytesMax: 1_000,
  resource: ({ text }) => ({ kind: "note", id: text }),
  async handle({ tx, newId, emit }, { text, fail }) {
    const id = newId("note");
    await tx.run("INSERT INTO notes (id, text) VALUES (?, ?)", id, text);
    emit({ type: "note.added", data: { id } });
    if (fail === true) throw new CadreError("limit_exceeded", "No more notes.");
    return { id };
  },
});

const listNotes = operation({
  name: "notes.list",
  summary: "List notes.",
  effect: "read",
  permission: "read",
  http: "GET /notes",
  input: z.strictObject({}),
  output: z.object({ texts: z.array(z.string()) }),
  refusals: [],
  async handle({ tx }) {
    const rows = await tx.all("SELECT text FROM notes ORDER BY id");
    return { texts: rows.map((row) => String(row["text"])) };
  },
});

const ann: Principal = { id: "user:ann", kind: "user", roles: ["operator"] };
const eve: Principal = { id: "user:eve", kind: "user", roles: ["viewer"] };
const as = (principal: Principal): Credentials => ({ kind: "internal", principal });

async function house(
  t: TestContext,
  operations: readonly Operation[] = [addNote, listNotes],
  outputs: InvokerParts["outputs"] = "checked",
) {
  const store = await openTestStore(t, [journalMigration, idempotencyMigration, notes]);
  const world = {
    clock: { now: () => 1_000, monotonic: () => 0, sleep: () => Promise.resolve() },
    random: () => 0.5,
  };
  const bus = localBus();
  const rings: string[] = [];
  bus.subscribe((topics) => rings.push(...topics));
  const invoker: Invoker = createInvoker(
    {
      store,
      bus,
      world,
      newId: idMaker(world),
      authenticator: {
        authenticate(credentials) {
          if (credentials.kind === "internal") return credentials.principal;
          if (credentials.kind === "bearer") return ann;
          throw new CadreError("unauthenticated", "Show a token.");
        },
      },
      authorizer: {
        mayCall: (principal: Principal, permission: Permission) =>
          permission === "read" || principal.roles.includes("operator"),
        mayAct: (_principal, _permission, resource) => resource.id !== "forbidden fruit",
      },
      outputs,
    },
    operations,
  );
  const events = () => store.read((tx) => readEvents(tx, {}, 0, 100));
  const texts = async () =>
    (await invoker.invoke({ operation: "notes.list", input: {}, credentials: as(eve) })) as {
      texts: string[];
    };
  return { invoker, events, texts, rings };
}

const refusedAs = (code: string) => (error: unknown) =>
  error instanceof CadreError && error.code === code;

test("a change, its event and its answer under a key commit together", async (t) => {
  const { invoker, events, texts } = await house(t);

  await invoker.invoke({ operation: "notes.add", input: { text: "milk" }, credentials: as(ann) });

  assert.deepEqual((await texts()).texts, ["milk"]);
  const [event] = await events();
  assert.equal(event?.type, "note.added");
  assert.equal(event?.actor, "user:ann");
});

test("an operation that fails late leaves nothing behind: no change, no event, no key", async (t) => {
  const { invoker, events, texts } = await house(t);
  const input = { text: "milk", fail: true };

  await assert.rejects(
    invoker.invoke({ operation: "notes.add", input, credentials: as(ann), idempotencyKey: "k1" }),
    refusedAs("limit_exceeded"),
  );

  assert.deepEqual((await texts()).texts, []);
  assert.deepEqual(await events(), []);
  await assert.doesNotReject(
    invoker.invoke({
      operation: "notes.add",
      input: { text: "tea" },
      credentials: as(ann),
      idempotencyKey: "k1",
    }),
  );
});

test("the same key gives the first answer and changes nothing again", async (t) => {
  const { invoker, events, texts } = await house(t);
  const request = {
    operation: "notes.add",
    input: { text: "milk" },
    credentials: as(ann),
    idempotencyKey: "k1",
  };

  const answers = await Promise.all([invoker.invoke(request), invoker.invoke(request)]);

  assert.deepEqual(answers[0], answers[1]);
  assert.equal((await texts()).texts.length, 1);
  assert.equal((await events()).length, 1);
});

test("another body under a used key is a conflict that names the key", async (t) => {
  const { invoker } = await house(t);
  const add = (text: string) =>
    invoker.invoke({
      operation: "notes.add",
      input: { text },
      credentials: as(ann),
      idempotencyKey: "k1",
    });
  await add("milk");

  await assert.rejects(
    add("tea"),
    (error) => refusedAs("idempotency_conflict")(error) && /"k1"/.test(String(error)),
  );
});

test("the same key of another caller is another key", async (t) => {
  const { invoker, texts } = await house(t);
  const bob: Principal = { ...ann, id: "user:bob" };
  const add = (who: Principal, text: string) =>
    invoker.invoke({
      operation: "notes.add",
      input: { text },
      credentials: as(who),
      idempotencyKey: "k1",
    });

  await add(ann, "milk");
  await add(bob, "tea");

  assert.equal((await texts()).texts.length, 2);
});

test("the stages refuse in their order, and a refused call changes nothing", async (t) => {
  const { invoker, texts } = await house(t);
  const cases = [
    ["not_found", { operation: "notes.eat", input: {}, credentials: as(ann) }],
    [
      "payload_too_large",
      { operation: "notes.add", input: { text: "x".repeat(2_000) }, credentials: { kind: "none" } },
    ],
    [
      "unauthenticated",
      { operation: "notes.add", input: { text: 7 }, credentials: { kind: "none" } },
    ],
    ["forbidden", { operation: "notes.add", input: { text: 7 }, credentials: as(eve) }],
    ["invalid_input", { operation: "notes.add", input: { text: 7 }, credentials: as(ann) }],
    [
      "invalid_input",
      { operation: "notes.add", input: { text: "a", extra: 1 }, credentials: as(ann) },
    ],
    [
      "forbidden",
      { operation: "notes.add", input: { text: "forbidden fruit" }, credentials: as(ann) },
    ],
    [
      "invalid_input",
      { operation: "notes.add", input: { text: "a" }, credentials: as(ann), idempotencyKey: "" },
    ],
  ] as const;

  for (const [code, request] of cases) {
    await assert.rejects(invoker.invoke(request), refusedAs(code), code);
  }

  assert.deepEqual((await texts()).texts, []);
});

test("an input is measured in bytes of JSON, to the byte", async (t) => {
  const { invoker } = await house(t);
  const envelope = JSON.stringify({ text: "" }).length;
  const add = (text: string) =>
    invoker.invoke({ operation: "notes.add", input: { text }, credentials: as(ann) });

  await assert.doesNotReject(add("x".repeat(1_000 - envelope)));
  await assert.rejects(add("x".repeat(1_001 - envelope)), refusedAs("payload_too_large"));
  await assert.rejects(add("€".repeat(400)), refusedAs("payload_too_large"));
});

test("listeners are woken for what was told, after the commit", async (t) => {
  const { invoker, rings } = await house(t);

  await invoker.invoke({ operation: "notes.add", input: { text: "milk" }, credentials: as(ann) });
  await new Promise((resolve) => setImmediate(resolve));

  assert.deepEqual(rings, ["note.added"]);
});

test("a read that has news to tell is a bug", async (t) => {
  const chatty: Operation = {
    ...listNotes,
    name: "notes.chat",
    async handle({ emit }) {
      emit({ type: "note.read", data: {} });
      return { texts: [] };
    },
  };
  const { invoker } = await house(t, [chatty]);

  await assert.rejects(
    invoker.invoke({ operation: "notes.chat", input: {}, credentials: as(ann) }),
    /reads, yet it has news/,
  );
});

test("two operations of one name are refused when the house is built", async (t) => {
  await assert.rejects(house(t, [addNote, addNote]), /share a name/);
});

const tellTale = operation({
  ...listNotes,
  name: "notes.tell",
  http: "GET /notes/tale",
  output: z.object({ text: z.string() }),
  handle: () => {
    const surplus = { text: "milk", secret: "the recipe" };
    return Promise.resolve(surplus);
  },
});

test("a caller from outside never gets more than the schema says", async (t) => {
  const { invoker } = await house(t, [tellTale], "checked outside");
  const outside = { kind: "bearer", token: "t" } as const;

  const output = await invoker.invoke({
    operation: "notes.tell",
    input: {},
    credentials: outside,
  });

  assert.deepEqual(output, { text: "milk" });
});

test("outputs are checked for everybody unless the invoker is told otherwise", async (t) => {
  const call = { operation: "notes.tell", input: {}, credentials: as(ann) };

  const checked = await (await house(t, [tellTale])).invoker.invoke(call);
  const believed = await (await house(t, [tellTale], "checked outside")).invoker.invoke(call);

  assert.deepEqual(checked, { text: "milk" });
  assert.deepEqual(believed, { text: "milk", secret: "the recipe" });
});
