// Server-sent events over real sockets.
import assert from "node:assert/strict";
import { once } from "node:events";
import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { type TestContext, test } from "node:test";
import { patientWorld, startHttpHub } from "../../../test/support/http-hub.ts";

type Hub = Awaited<ReturnType<typeof startHttpHub>>;
type Frame = { readonly [field: string]: string };

/** Opens a stream; the response is not read until the test does. */
async function open(
  t: TestContext,
  hub: Hub,
  query = "",
  headers: object = {},
): Promise<{ response: IncomingMessage; call: ClientRequest }> {
  const call = request(`${hub.url}/api/v2/events/stream${query}`, {
    headers: { authorization: `Bearer ${hub.token}`, ...headers },
  });
  t.after(() => call.destroy());
  call.on("error", () => undefined);
  call.end();
  const [response] = (await once(call, "response")) as [IncomingMessage];
  return { response, call };
}

/** Reads frames until there are `count` that are not comments. */
async function frames(response: IncomingMessage, count: number): Promise<Frame[]> {
  const found: Frame[] = [];
  let text = "";
  for await (const chunk of response.iterator({ destroyOnReturn: false })) {
    text += String(chunk);
    const parts = text.split("\n\n");
    text = parts.pop() ?? "";
    for (const part of parts.filter((one) => !one.startsWith(":"))) {
      found.push(
        Object.fromEntries(
          part.split("\n").map((line) => {
            const at = line.indexOf(": ");
            return [line.slice(0, at), line.slice(at + 2)];
          }),
        ),
      );
    }
    if (found.length >= count) break;
  }
  return found;
}

const textOf = (frame: Frame | undefined) =>
  (JSON.parse(frame?.["data"] ?? "{}") as { data: { text: string } }).data.text;

test("a stream greets, then tells what comes; each id is the position to resume from", async (t) => {
  const hub = await startHttpHub(t);
  await hub.rest("POST", "/notes", { text: "before" });
  const before = (await hub.journal()).at(-1);
  const { response } = await open(t, hub);
  await hub.rest("POST", "/notes", { text: "after" });

  const [hello, event] = await frames(response, 2);
  const after = (await hub.journal()).at(-1);

  assert.equal(response.headers["content-type"], "text/event-stream; charset=utf-8");
  assert.deepEqual([hello?.["event"], hello?.["id"]], ["hello", `${before}`]);
  assert.deepEqual(JSON.parse(hello?.["data"] ?? ""), { position: before, after: before });
  assert.deepEqual(
    [event?.["event"], event?.["id"], textOf(event)],
    ["note.added", `${after}`, "after"],
  );
});

test("a stream that resumes tells what lies between, and its greeting does not skip it", async (t) => {
  const hub = await startHttpHub(t);
  for (const text of ["a", "b", "c"]) await hub.rest("POST", "/notes", { text });
  const [a, b] = await hub.journal();

  const byHeader = await frames(
    (await open(t, hub, "?after=0", { "last-event-id": `${a}` })).response,
    3,
  );
  const byQuery = await frames((await open(t, hub, `?after=${b}`)).response, 2);

  assert.deepEqual([byHeader[0]?.["event"], byHeader[0]?.["id"]], ["hello", `${a}`]);
  assert.deepEqual(byHeader.slice(1).map(textOf), ["b", "c"]);
  assert.deepEqual(byQuery.slice(1).map(textOf), ["c"]);
});

test("a stream tells only what was asked for", async (t) => {
  const hub = await startHttpHub(t);
  await hub.rest("POST", "/notes", { text: "a" });
  await hub.rest("POST", "/notes", { text: "b", kind: "memo" });
  await hub.rest("POST", "/tasks", { text: "c" });
  await hub.rest("POST", "/notes", { text: "d" });

  const byTypes = await frames(
    (await open(t, hub, "?after=0&types=memo.*,task.created")).response,
    3,
  );
  const byRoot = await frames((await open(t, hub, "?after=0&root=task_note")).response, 3);

  assert.deepEqual(
    byTypes.slice(1).map((one) => one["event"]),
    ["memo.added", "task.created"],
  );
  assert.deepEqual(byRoot.slice(1).map(textOf), ["a", "d"]);
});

test("many events travel in few frames, in order, none missing", async (t) => {
  const hub = await startHttpHub(t);
  const { response } = await open(t, hub);

  const seen = frames(response, 1_201);
  for (let sent = 0; sent < 1_200; sent += 40) {
    await Promise.all(Array.from({ length: 40 }, () => hub.rest("POST", "/notes", { text: "x" })));
  }

  const positions = (await seen).slice(1).map((one) => Number(one["id"]));
  const journal = await hub.journal();
  assert.equal(journal.length, 1_200);
  assert.deepEqual(positions, journal);
});

test("a reader that stalls never grows the hub, is closed, and resumes without a gap", async (t) => {
  const world = patientWorld();
  const hub = await startHttpHub(t, { world });
  const big = "x".repeat(200_000);
  const { response, call } = await open(t, hub);
  response.pause();
  // 24 MB that nobody reads; what the kernel takes is not ours.
  for (let index = 0; index < 120; index++) await hub.rest("POST", "/notes", { text: big });
  const journal = await hub.journal();
  response.on("error", () => undefined);
  const cut = new Promise((resolve) => response.once("close", resolve));

  const buffered = bufferedBytes(hub);
  assert.ok(buffered < 2 * 1024 * 1024, `${buffered} bytes wait`);
  world.passLongSleeps();
  response.resume();
  await cut;
  call.destroy();

  const resumed = await frames((await open(t, hub, "?after=0")).response, 121);
  assert.equal(journal.length, 120);
  assert.deepEqual(
    resumed.slice(1).map((one) => Number(one["id"])),
    journal,
  );
});

/** What the hub's sockets hold back, told by the process's own list of them. */
function bufferedBytes(hub: Hub): number {
  const handles = (
    process as unknown as { _getActiveHandles(): { localPort?: number; writableLength?: number }[] }
  )._getActiveHandles();
  return handles
    .filter((one) => one.localPort === hub.port)
    .reduce((sum, one) => sum + (one.writableLength ?? 0), 0);
}
