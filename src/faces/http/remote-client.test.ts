// The client from afar against a real hub, over a line that the test can cut.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { startHttpHub } from "../../../test/support/http-hub.ts";
import { type Contract, type HubState, remoteClient } from "../../operations/index.ts";
import { CadreError, type JournalEvent, realWorld } from "../../platform/index.ts";

type Hub = Awaited<ReturnType<typeof startHttpHub>>;
type Note = { readonly id: string; readonly text: string };
type NoteContract = Contract & {
  readonly "notes.add": {
    readonly input: { readonly text: string; readonly idempotencyKey?: string };
    readonly output: Note;
  };
  readonly "notes.list": {
    readonly input: object;
    readonly output: { readonly items: readonly Note[] };
  };
};

/** A line to the hub. `cut` breaks all connections; `swallow` lets answers vanish from now on. */
async function lineTo(t: TestContext, hub: Hub) {
  const ends = new Set<Socket>();
  let isSwallowing = false;
  let isDown = false;
  const server = createServer((near) => {
    if (isDown) {
      near.destroy();
      return;
    }
    const far = connect(hub.port, "127.0.0.1");
    for (const end of [near, far]) {
      ends.add(end);
      end.on("error", () => undefined);
      end.on("close", () => {
        ends.delete(end);
        near.destroy();
        far.destroy();
      });
    }
    // The hub answers to its own port only, so the line speaks under that name.
    near.once("data", (bytes) => {
      far.write(bytes.toString("latin1").replace(`:${port}\r\n`, `:${hub.port}\r\n`), "latin1");
      near.on("data", (more) => far.write(more));
    });
    far.on("data", (bytes) => isSwallowing || near.write(bytes));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = () => {
    for (const end of ends) end.destroy();
  };
  t.after(() => {
    cut();
    server.close();
  });
  const { port } = server.address() as { port: number };
  return {
    port,
    cut,
    swallow: () => {
      isSwallowing = true;
    },
    heal: () => {
      isSwallowing = false;
      isDown = false;
    },
    down: () => {
      isDown = true;
      cut();
    },
  };
}

function clientOf(
  t: TestContext,
  url: string,
  token: string,
  { world = realWorld(), states = [] as HubState[] } = {},
) {
  const client = remoteClient<NoteContract>({
    url,
    token,
    world,
    onState: (one) => states.push(one),
  });
  t.after(() => client.close());
  return { client, states };
}

async function hubBehindLine(t: TestContext) {
  const hub = await startHttpHub(t);
  const line = await lineTo(t, hub);
  return { hub, line, ...clientOf(t, `http://127.0.0.1:${line.port}`, hub.token) };
}

async function take(events: AsyncIterable<JournalEvent>, count: number): Promise<JournalEvent[]> {
  const taken: JournalEvent[] = [];
  for await (const event of events) {
    taken.push(event);
    if (taken.length === count) break;
  }
  return taken;
}

const textsOf = (events: readonly JournalEvent[]) => events.map((event) => event.data["text"]);

test("calls are answered as in process, and refusals are the hub's own errors", async (t) => {
  const hub = await startHttpHub(t);
  const { client } = clientOf(t, hub.url, hub.token);

  const note = await client.call("notes.add", { text: "a" });

  assert.deepEqual((await client.call("notes.list", {})).items, [note]);
  await assert.rejects(client.call("notes.add", { text: "" }), (error: CadreError) => {
    assert.ok(error instanceof CadreError);
    assert.equal(error.code, "invalid_input");
    assert.match(error.message, /notes\.add/);
    assert.ok(Array.isArray(error.details["issues"]));
    return true;
  });
});

test("a thousand calls at once are all answered", async (t) => {
  const hub = await startHttpHub(t);
  const { client } = clientOf(t, hub.url, hub.token);

  const notes = await Promise.all(
    Array.from({ length: 2_000 }, (_, index) => client.call("notes.add", { text: String(index) })),
  );

  assert.equal(new Set(notes.map((note) => note.id)).size, 2_000);
});

test("followers hear every event once, in order, with the time as a number", async (t) => {
  const hub = await startHttpHub(t);
  const { client } = clientOf(t, hub.url, hub.token);
  const all = take(client.follow({}, { after: 0 }), 50);
  const memos = take(client.follow({ types: ["memo.*"] }, { after: 0 }), 1);

  for (let index = 0; index < 49; index++) await client.call("notes.add", { text: String(index) });
  await hub.rest("POST", "/notes", { text: "m", kind: "memo" });

  const events = await all;
  const journal = await hub.journal();
  assert.deepEqual(textsOf(events), [...Array.from({ length: 49 }, (_, n) => String(n)), "m"]);
  assert.deepEqual(
    events.map((event) => event.position),
    journal,
  );
  assert.equal(typeof events[0]?.at, "number");
  assert.equal((await memos)[0]?.position, journal.at(-1));
});

test("a write whose answer was lost is sent again, and done once", async (t) => {
  const { hub, line, client } = await hubBehindLine(t);
  await client.call("notes.list", {});

  line.swallow();
  const answer = client.call("notes.add", { text: "once" });
  for await (const event of hub.stream.follow({ types: ["note.added"] }, { after: 0 })) {
    if (event.position > 0) break;
  }
  line.heal();
  line.cut();

  const note = await answer;
  assert.deepEqual((await client.call("notes.list", {})).items, [note]);
});

test("a follower goes on behind a cut without a gap or an echo", async (t) => {
  const { hub, line, client, states } = await hubBehindLine(t);
  const total = 200;
  const seen: JournalEvent[] = [];

  const following = (async () => {
    for await (const event of client.follow({}, { after: 0 })) {
      seen.push(event);
      if (seen.length % 40 === 0) line.cut();
      if (event.data["text"] === String(total - 1)) break;
    }
  })();
  for (let index = 0; index < total; index++) {
    await hub.rest("POST", "/notes", { text: String(index) });
  }
  await following;

  assert.deepEqual(
    textsOf(seen),
    Array.from({ length: total }, (_, index) => String(index)),
  );
  assert.deepEqual(
    seen.map((event) => event.position),
    await hub.journal(),
  );
  assert.ok(states.some((state) => state.kind === "lost"));
});

test("the caller's own key in the input stays the key", async (t) => {
  const hub = await startHttpHub(t);
  const add = (text: string) => {
    const { client } = clientOf(t, hub.url, hub.token);
    return client.call("notes.add", { text, idempotencyKey: "mine" });
  };

  const first = await add("a");
  const again = await add("a");

  assert.equal(again.id, first.id);
  await assert.rejects(add("b"), { code: "idempotency_conflict" });
});

test("where no hub is, a call and a follower fail at once and say what to do", async (t) => {
  const hub = await startHttpHub(t);
  await hub.face.close();
  const { client } = clientOf(t, hub.url, hub.token);

  for (const attempt of [client.call("notes.list", {}), take(client.follow({}), 1)]) {
    await assert.rejects(attempt, (error: CadreError) => {
      assert.equal(error.code, "not_ready");
      assert.match(error.message, new RegExp(`No Cadre hub answers at ${hub.url}`));
      assert.ok(error.next.includes("cadre up"));
      return true;
    });
  }
});

test("a wrong token is told as what it is, not tried again", async (t) => {
  const hub = await startHttpHub(t);
  const { client, states } = clientOf(t, hub.url, "wrong");

  await assert.rejects(client.call("notes.list", {}), { code: "unauthenticated" });
  await assert.rejects(take(client.follow({}), 1), { code: "unauthenticated" });
  assert.deepEqual(states, []);
});

test("calls give up on a hub that went away; followers wait for it", async (t) => {
  const real = realWorld();
  let passed = 0;
  const world = {
    ...real,
    clock: { ...real.clock, monotonic: () => real.clock.monotonic() + passed },
  };
  const hub = await startHttpHub(t);
  const line = await lineTo(t, hub);
  const states: HubState[] = [];
  const { client } = clientOf(t, `http://127.0.0.1:${line.port}`, hub.token, {
    world,
    // Each time the line is found down, twenty seconds have passed.
    states: Object.assign(states, { push: () => (passed += 20_000) }),
  });
  const next = take(client.follow({}, { after: 0 }), 2);
  await client.call("notes.add", { text: "a" });

  line.down();
  const lost = client.call("notes.list", {});
  await assert.rejects(lost, { code: "not_ready" });
  line.heal();
  await hub.rest("POST", "/notes", { text: "b" });

  assert.deepEqual(textsOf(await next), ["a", "b"]);
});

test("a follower that does not keep up leaves, comes back, and misses nothing", async (t) => {
  const hub = await startHttpHub(t);
  const { client } = clientOf(t, hub.url, hub.token);
  const total = 8_000;
  const iterator = client.follow({}, { after: 0 })[Symbol.asyncIterator]();
  const first = iterator.next();
  await Promise.all(
    Array.from({ length: total }, (_, index) => client.call("notes.add", { text: String(index) })),
  );
  // Another follower of the same line has heard all: the idle one's queue is over its bound by now.
  await take(client.follow({}, { after: 0 }), total);
  const seen = [(await first).value.position];
  while (seen.length < total) seen.push((await iterator.next()).value.position);

  const journal = await hub.journal();
  assert.equal(journal.length, total);
  assert.deepEqual(seen, journal);
  await iterator.return?.();
});

test("an abort ends a follower; closing ends all and refuses new calls", async (t) => {
  const hub = await startHttpHub(t);
  const { client } = clientOf(t, hub.url, hub.token);
  const stop = new AbortController();
  const aborted = take(client.follow({}, { signal: stop.signal }), 1);
  const other = take(client.follow({}), 1);
  await client.call("notes.list", {});

  stop.abort();
  assert.deepEqual(await aborted, []);
  await client.close();
  await client.close();

  assert.deepEqual(await other, []);
  await assert.rejects(client.call("notes.list", {}), { code: "stopped" });
});
