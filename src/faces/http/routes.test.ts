// Operations as REST: one input from path, query and body; one answer with its headers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { startHttpHub } from "../../../test/support/http-hub.ts";
import { waitForTask } from "./wait.ts";

const idOf = (answer: { body: { readonly [field: string]: unknown } }) => String(answer.body["id"]);

test("path, query and body become one input", async (t) => {
  const hub = await startHttpHub(t);
  const id = idOf(await hub.rest("POST", "/notes", { text: "a" }));

  assert.deepEqual((await hub.rest("GET", `/notes/${id}`)).body, {
    id,
    text: "a",
    version: 1,
    state: "new",
  });
  assert.equal((await hub.rest("PATCH", `/notes/${id}`, { text: "b" })).body["text"], "b");
  assert.equal((await hub.rest("PATCH", `/notes/${id}`, { id, text: "c" })).body["text"], "c");
});

test("a write under one Idempotency-Key happens once; another body under it is a conflict", async (t) => {
  const hub = await startHttpHub(t);
  const add = (text: string, key: string) =>
    hub.rest("POST", "/notes", { text }, { "idempotency-key": key });

  const first = await add("a", "k1");
  const again = await add("a", '"k1"');
  const other = await add("b", "k1");

  assert.equal(idOf(again), idOf(first));
  assert.deepEqual([other.status, other.body["code"]], [409, "idempotency_conflict"]);
  assert.equal(((await hub.rest("GET", "/notes")).body["items"] as unknown[]).length, 1);
});

test("a page leads to the next one until the list ends", async (t) => {
  const hub = await startHttpHub(t);
  for (const text of ["a", "b", "c", "d", "e"]) await hub.rest("POST", "/notes", { text });

  const seen: unknown[] = [];
  let path: string | undefined = "/notes?limit=2&state=any";
  while (path !== undefined) {
    const page: Awaited<ReturnType<typeof hub.rest>> = await hub.rest("GET", path);
    seen.push(...(page.body["items"] as { text: string }[]).map((item) => item.text));
    path = /^<\/api\/v2([^>]+)>; rel="next"$/.exec(page.headers.get("link") ?? "")?.[1];
  }

  assert.deepEqual(seen, ["a", "b", "c", "d", "e"]);
});

test("an unchanged thing is not sent again; a change gives it another ETag", async (t) => {
  const hub = await startHttpHub(t);
  const id = idOf(await hub.rest("POST", "/notes", { text: "a" }));
  const etag = (await hub.rest("GET", `/notes/${id}`)).headers.get("etag") ?? "";
  const ask = () =>
    hub.rest("GET", `/notes/${id}`, undefined, { "if-none-match": `"0", W/${etag}` });

  const unchanged = await ask();
  await hub.rest("PATCH", `/notes/${id}`, { text: "b" });
  const changed = await ask();

  assert.deepEqual(
    [unchanged.status, unchanged.text, unchanged.headers.get("etag")],
    [304, "", etag],
  );
  assert.deepEqual([changed.status, changed.body["text"]], [200, "b"]);
  assert.match(changed.headers.get("etag") ?? "", /^"2\.[\w-]{22}"$/);
});

test("what moves without its version, as a lease does, is sent again, yet refuses no change", async (t) => {
  const hub = await startHttpHub(t);
  const id = idOf(await hub.rest("POST", "/notes", { text: "a" }));
  const etag = (await hub.rest("GET", `/notes/${id}`)).headers.get("etag") ?? "";
  await hub.store.write((tx) => tx.run("UPDATE notes SET state = 'renewed' WHERE id = ?", id));

  const moved = await hub.rest("GET", `/notes/${id}`, undefined, { "if-none-match": etag });
  const change = await hub.rest("PATCH", `/notes/${id}`, { text: "b" }, { "if-match": etag });

  assert.deepEqual([moved.status, moved.body["state"]], [200, "renewed"]);
  assert.deepEqual([change.status, change.body["version"]], [200, 2]);
});

test("If-Match refuses a change of what has changed", async (t) => {
  const hub = await startHttpHub(t);
  const id = idOf(await hub.rest("POST", "/notes", { text: "a" }));
  const etag = (await hub.rest("GET", `/notes/${id}`)).headers.get("etag") ?? "";
  const change = (text: string) =>
    hub.rest("PATCH", `/notes/${id}`, { text }, { "if-match": etag });

  assert.equal((await change("b")).status, 200);
  const late = await change("c");

  assert.deepEqual([late.status, late.body["code"]], [409, "stale_write"]);
});

test("a request's id comes back and stands in the journal beside what it caused", async (t) => {
  const hub = await startHttpHub(t);

  const named = await hub.rest("POST", "/notes", { text: "a" }, { "x-request-id": "order-66" });
  const odd = await hub.rest("POST", "/notes", { text: "b" }, { "x-request-id": "no good" });

  assert.equal(named.headers.get("x-request-id"), "order-66");
  assert.match(odd.headers.get("x-request-id") ?? "", /^req_/);
  await hub.journal();
  const { items } = (await hub.rest("GET", "/events")).body as { items: { correlation: string }[] };
  assert.deepEqual(
    items.map((event) => event.correlation),
    ["order-66", odd.headers.get("x-request-id")],
  );
});

test("Prefer: wait answers with the ended task, at once when it has ended already", async (t) => {
  const hub = await startHttpHub(t);
  const submitted = hub.rest("POST", "/tasks", { text: "x" }, { prefer: "wait=60" });
  for await (const event of hub.stream.follow({ types: ["task.created"] }, { after: 0 })) {
    await hub.rest("POST", `/tasks/${event.task}/finish`);
    break;
  }

  const answer = await submitted;
  const again = await hub.rest("GET", `/tasks/${idOf(answer)}`, undefined, { prefer: "wait=60" });

  assert.deepEqual([answer.status, answer.body["state"]], [200, "completed"]);
  assert.equal(answer.headers.get("preference-applied"), "wait=60");
  assert.deepEqual([again.status, again.body["state"]], [200, "completed"]);
});

test("Prefer: wait answers 202 with the task as it stands when the time is over", async (t) => {
  const hub = await startHttpHub(t);

  const answer = await hub.rest(
    "POST",
    "/tasks",
    { text: "x" },
    { prefer: "respond-async, wait=0" },
  );
  const plain = await hub.rest("POST", "/tasks", { text: "x" });

  assert.deepEqual([answer.status, answer.body["state"]], [202, "queued"]);
  assert.equal(plain.status, 200);
});

test("every operation of the registry is reached by its route", async (t) => {
  const hub = await startHttpHub(t);

  for (const op of hub.invoker.operations.values()) {
    const [method = "", path = ""] = op.http.split(" ");
    const answer = await hub.rest(method, path.replace(/:\w+/g, "note_1"));
    const reached =
      answer.status === 200 ||
      ["invalid_input", "not_found", "internal"].includes(String(answer.body["code"]));
    assert.ok(reached, `${op.name}: ${answer.status} ${answer.text}`);
    assert.doesNotMatch(answer.text, /There is no (GET|POST|PUT|PATCH|DELETE)/, op.name);
  }
});

test("a task that ends before the wait begins is not waited for", async (t) => {
  const hub = await startHttpHub(t);
  const queued = (await hub.rest("POST", "/tasks", { text: "x" })).body;
  await hub.rest("POST", `/tasks/${String(queued["id"])}/finish`);
  const credentials = { kind: "bearer", token: hub.token } as const;
  const never = new AbortController().signal;

  const latest = await waitForTask(hub, queued, { credentials }, { waitMs: 60_000, signal: never });

  assert.equal((latest as { state: string }).state, "completed");
});
