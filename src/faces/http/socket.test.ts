// JSON-RPC over real WebSockets.
import assert from "node:assert/strict";
import { once } from "node:events";
import { type TestContext, test } from "node:test";
import { WebSocket } from "ws";
import { patientWorld, startHttpHub } from "../../../test/support/http-hub.ts";
import type { Request } from "../../operations/index.ts";
import { createHttpFace } from "./index.ts";
import { CALLS_MAX } from "./session.ts";

type Hub = Awaited<ReturnType<typeof startHttpHub>>;
type Message = {
  readonly id?: number | null;
  readonly method?: string;
  readonly result?: { readonly [field: string]: unknown };
  readonly error?: {
    readonly code: number;
    readonly message: string;
    readonly data?: { readonly code: string };
  };
  readonly params?: {
    readonly subscription: string;
    readonly events: readonly { position: number }[];
  };
};

const target = (hub: Hub) => `${hub.url.replace("http", "ws")}/api/v2/ws`;

async function open(t: TestContext, hub: Hub) {
  const socket = new WebSocket(target(hub), { headers: { authorization: `Bearer ${hub.token}` } });
  t.after(() => socket.terminate());
  const heard: Message[] = [];
  let wake = () => {};
  socket.on("message", (text) => {
    heard.push(...[JSON.parse(String(text))].flat());
    wake();
  });
  await once(socket, "open");
  const until = async (isIt: (message: Message) => boolean): Promise<Message> => {
    for (;;) {
      const found = heard.find(isIt);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  let last = 0;
  return {
    socket,
    heard,
    until,
    say: (message: unknown) =>
      socket.send(typeof message === "string" ? message : JSON.stringify(message)),
    call: async (method: string, params?: unknown, more: object = {}) => {
      last += 1;
      const id = last;
      socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params, ...more }));
      return await until((message) => message.id === id);
    },
  };
}

/** The status an upgrade is refused with; 101 when it is not. */
async function upgrade(
  hub: Hub,
  options: { path?: string; protocols?: string[]; headers?: object },
) {
  const url = target(hub).replace("/api/v2/ws", options.path ?? "/api/v2/ws");
  const socket = new WebSocket(url, options.protocols ?? [], { headers: { ...options.headers } });
  socket.on("error", () => undefined);
  const status = await Promise.race([
    once(socket, "open").then(() => 101),
    once(socket, "unexpected-response").then(([, response]) => response.statusCode as number),
  ]);
  const { protocol } = socket;
  socket.terminate();
  return { status, protocol };
}

test("a socket opens for the token, in the header or as a subprotocol, and for nobody else", async (t) => {
  const hub = await startHttpHub(t);
  const authorization = `Bearer ${hub.token}`;

  assert.equal((await upgrade(hub, { headers: { authorization } })).status, 101);
  const browser = await upgrade(hub, { protocols: ["cadre.v2", `cadre.bearer.${hub.token}`] });
  assert.deepEqual(browser, { status: 101, protocol: "cadre.v2" });
  assert.equal((await upgrade(hub, {})).status, 401);
  assert.equal((await upgrade(hub, { headers: { authorization: "Bearer x" } })).status, 401);
  assert.equal((await upgrade(hub, { protocols: ["cadre.v2", "cadre.bearer.x"] })).status, 401);
  assert.equal(
    (await upgrade(hub, { headers: { authorization, origin: "http://evil.example" } })).status,
    403,
  );
  assert.equal(
    (await upgrade(hub, { headers: { authorization, host: "evil.example" } })).status,
    403,
  );
  assert.equal(
    (await upgrade(hub, { path: "/elsewhere", headers: { authorization } })).status,
    404,
  );
});

test("every operation is a method, and a refusal carries its problem", async (t) => {
  const { call } = await open(t, await startHttpHub(t));

  const added = await call("notes.add", { text: "a" });
  const bad = await call("notes.add", { text: "" });
  const missing = await call("notes.get", { id: "note_0" });
  const unknown = await call("notes.sing", {});

  assert.equal(added.result?.["text"], "a");
  assert.deepEqual([bad.error?.code, bad.error?.data?.code], [-32_000, "invalid_input"]);
  assert.deepEqual([missing.error?.code, missing.error?.data?.code], [-32_000, "not_found"]);
  assert.deepEqual([unknown.error?.code, unknown.error?.data?.code], [-32_601, "not_found"]);
});

test("one idempotency key is one write, over a socket too", async (t) => {
  const { call } = await open(t, await startHttpHub(t));

  const first = await call("notes.add", { text: "a" }, { idempotencyKey: "k" });
  const again = await call("notes.add", { text: "a" }, { idempotencyKey: "k" });
  const other = await call("notes.add", { text: "b" }, { idempotencyKey: "k" });

  assert.equal(again.result?.["id"], first.result?.["id"]);
  assert.equal(other.error?.data?.code, "idempotency_conflict");
});

test("what is no request is answered as JSON-RPC has it", async (t) => {
  const { say, until, heard, call } = await open(t, await startHttpHub(t));

  say("{");
  assert.equal((await until((one) => one.error?.code === -32_700)).id, null);
  say({ jsonrpc: "1.0", id: 100, method: "notes.list" });
  assert.equal((await until((one) => one.id === 100)).error?.code, -32_600);
  say([]);
  await until((one) => one.id === null && one.error?.code === -32_600);
  say([
    { jsonrpc: "2.0", id: 200, method: "notes.add", params: { text: "b" } },
    { jsonrpc: "2.0", method: "notes.add", params: { text: "silent" } },
    7,
  ]);
  assert.equal((await until((one) => one.id === 200)).result?.["text"], "b");
  const count = heard.length;
  say({ jsonrpc: "2.0", method: "notes.get", params: { id: "note_0" } });
  await call("notes.list");
  assert.equal(heard.length, count + 1, "a notification is not answered");
});

test("a subscription tells what comes after its cursor until it is ended", async (t) => {
  const hub = await startHttpHub(t);
  const { call, until, heard } = await open(t, hub);
  await call("notes.add", { text: "a" });
  const journal = await hub.journal();

  const { result } = await call("events.subscribe", { filter: { types: ["note.*"] }, after: 0 });
  const first = await until((one) => one.method === "events.batch");
  await call("events.unsubscribe", { subscription: result?.["subscription"] });
  const before = heard.length;
  await call("notes.add", { text: "b" });
  await call("notes.list");

  assert.equal(result?.["after"], 0);
  assert.equal(first.params?.subscription, result?.["subscription"]);
  assert.equal(journal.length, 1);
  assert.deepEqual(
    first.params?.events.map((event) => event.position),
    journal,
  );
  assert.equal(
    heard.slice(before).some((one) => one.method === "events.batch"),
    false,
  );
  const twice = await call("events.unsubscribe", { subscription: "sub_99" });
  assert.equal(twice.error?.data?.code, "not_found");
});

test("a subscription asked for in a batch says nothing before the batch is answered", async (t) => {
  const hub = await startHttpHub(t);
  await hub.rest("POST", "/notes", { text: "a" });
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const invoker = {
    ...hub.invoker,
    invoke: async (request: Request) => {
      if (request.operation === "notes.list") await gate;
      return await hub.invoker.invoke(request);
    },
  };
  const face = await createHttpFace({ ...hub.options, invoker });
  t.after(() => face.close());
  const { say, call, until, heard } = await open(t, { ...hub, url: face.url });

  say([
    { jsonrpc: "2.0", id: 100, method: "events.subscribe", params: { after: 0 } },
    { jsonrpc: "2.0", id: 101, method: "notes.list" },
  ]);
  // Time enough for an event that is there already, counted in other calls of the same socket.
  for (let n = 0; n < 50; n++) await call("events.list");
  assert.equal(
    heard.find((one) => one.id === 100 || one.method === "events.batch"),
    undefined,
  );
  release();
  await until((one) => one.method === "events.batch");

  const order = heard.slice(-3).map((one) => one.id ?? one.method);
  assert.deepEqual(order, [100, 101, "events.batch"]);
});

test("more calls at once than a socket may have are refused, and the others are answered", async (t) => {
  const { say, until, heard } = await open(t, await startHttpHub(t));
  const requests = Array.from({ length: CALLS_MAX }, (_, id) => ({
    jsonrpc: "2.0",
    id,
    method: "notes.list",
  }));

  // Two batches in one turn of the hub's loop: the second finds the first under way.
  say(requests);
  say(requests.map((one) => ({ ...one, id: one.id + CALLS_MAX })));
  await until(() => heard.length === 2 * CALLS_MAX);

  const refused = heard.filter((one) => one.error?.data?.code === "rate_limited").length;
  assert.ok(refused > 0 && refused <= CALLS_MAX, `${refused} refused`);
  assert.equal(heard.filter((one) => one.result !== undefined).length, 2 * CALLS_MAX - refused);
});

test("a socket that stalls never grows the hub, and is closed with the cursor to resume from", async (t) => {
  const world = patientWorld();
  const hub = await startHttpHub(t, { world });
  const { socket, call, heard } = await open(t, hub);
  await call("events.subscribe", { after: 0 });
  socket.pause();
  const big = "x".repeat(200_000);
  for (let index = 0; index < 120; index++) await hub.rest("POST", "/notes", { text: big });
  const journal = await hub.journal();

  const waiting = (
    process as unknown as { _getActiveHandles(): { localPort?: number; writableLength?: number }[] }
  )
    ._getActiveHandles()
    .filter((one) => one.localPort === hub.port)
    .reduce((sum, one) => sum + (one.writableLength ?? 0), 0);
  assert.ok(waiting < 2 * 1024 * 1024, `${waiting} bytes wait`);
  const closed = once(socket, "close");
  world.passLongSleeps();
  // The hub says goodbye behind what it sent; a reader that wakes up in time hears it.
  socket.resume();
  const [code, reason] = (await closed) as [number, Buffer];

  assert.equal(code, 1013);
  const resumeAfter = Number(/resume after (\d+)/.exec(String(reason))?.[1]);
  const positions = heard.flatMap((one) => one.params?.events ?? []).map((event) => event.position);
  assert.deepEqual(positions, journal.slice(0, positions.length));
  assert.ok(positions.includes(resumeAfter), `${resumeAfter}, heard up to ${positions.at(-1)}`);
});

test("a message larger than any operation takes closes the socket, not the hub", async (t) => {
  const hub = await startHttpHub(t);
  const { socket } = await open(t, hub);
  const closed = once(socket, "close");
  socket.on("error", () => undefined);

  socket.send(`"${"x".repeat(5 * 1024 * 1024)}"`);

  assert.equal((await closed)[0], 1009);
  assert.equal((await fetch(`${hub.url}/health`)).status, 200);
});

test("a closing hub says so to its sockets", async (t) => {
  const hub = await startHttpHub(t);
  const { socket } = await open(t, hub);
  const closed = once(socket, "close");

  await hub.face.close();

  assert.equal((await closed)[0], 1001);
});
