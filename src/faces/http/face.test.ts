// The face over real sockets: who is let in, and what each bad day is answered with.
import assert from "node:assert/strict";
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { type TestContext, test } from "node:test";
import { startHttpHub } from "../../../test/support/http-hub.ts";
import { type CadreError, type ErrorCode, realWorld } from "../../platform/index.ts";
import { createHttpFace } from "./index.ts";

type Hub = Awaited<ReturnType<typeof startHttpHub>>;

/**
 * One request as bytes, one answer as bytes. Our side stays open until the hub closes: to Node's
 * server a caller that has ended its side is gone, and an answer not ready by then is dropped.
 */
async function raw(hub: Hub, text: string): Promise<string> {
  const socket = connect(hub.port, "127.0.0.1");
  socket.write(text);
  let answer = "";
  for await (const chunk of socket) answer += String(chunk);
  return answer;
}

const get = (hub: Hub, path: string, headers: readonly string[]) =>
  raw(hub, [`GET ${path} HTTP/1.1`, ...headers, "Connection: close", "", ""].join("\r\n"));

const statusOf = (answer: string) => Number(answer.split(" ")[1]);

async function refusedListen(t: TestContext, config: object): Promise<CadreError> {
  const hub = await startHttpHub(t);
  try {
    const face = await createHttpFace({
      ...hub.options,
      config: { host: "127.0.0.1", port: 0, insecureRemote: false, ...config },
    });
    await face.close();
  } catch (error) {
    return error as CadreError;
  }
  throw new Error("it listened");
}

test("a foreign Host or Origin is refused, with a good token too, on every address", async (t) => {
  const hub = await startHttpHub(t);
  const auth = `Authorization: Bearer ${hub.token}`;
  const host = `Host: 127.0.0.1:${hub.port}`;

  assert.equal(statusOf(await get(hub, "/api/v2/notes", [host, auth])), 200);
  for (const headers of [
    [`Host: evil.example:${hub.port}`, auth],
    [`Host: 127.0.0.1:${hub.port + 1}`, auth],
    [host, auth, "Origin: http://evil.example"],
    [host, auth, "Origin: null"],
  ]) {
    for (const path of ["/api/v2/notes", "/health", "/api/v2/docs", "/nowhere"]) {
      assert.equal(statusOf(await get(hub, path, headers)), 403, `${path} ${headers.join(" | ")}`);
    }
  }
});

test("without the token nothing of the hub is told", async (t) => {
  const hub = await startHttpHub(t);
  await hub.rest("POST", "/notes", { text: "private" });

  for (const authorization of ["", "Bearer", "Bearer wrong", `Basic ${hub.token}`, hub.token]) {
    for (const path of ["/notes", "/events", "/events/stream"]) {
      const answer = await hub.rest("GET", path, undefined, { authorization });
      assert.equal(answer.status, 401);
      assert.equal(answer.headers.get("www-authenticate"), "Bearer");
      assert.equal(answer.body["code"], "unauthenticated");
      assert.doesNotMatch(answer.text, /private/);
    }
  }
});

test("60 MB from nobody are refused before they are sent", async (t) => {
  const hub = await startHttpHub(t);
  const socket = connect(hub.port, "127.0.0.1");
  socket.write(
    `POST /api/v2/notes HTTP/1.1\r\nHost: 127.0.0.1:${hub.port}\r\nContent-Type: application/json\r\nContent-Length: 60000000\r\n\r\n{"text":"`,
  );

  // Not one more byte is sent: an answer shows that none was waited for.
  let answer = "";
  for await (const chunk of socket) answer += String(chunk);

  assert.equal(statusOf(answer), 401);
  assert.match(answer, /connection: close/i);
});

test("a body over the operation's bound is refused by its announced and by its real size", async (t) => {
  const hub = await startHttpHub(t);
  const text = (bytes: number) => `{"text":"${"x".repeat(bytes - 11)}"}`;

  const exact = await hub.rest("POST", "/notes", text(1024 * 1024));
  const over = await hub.rest("POST", "/notes", text(1024 * 1024 + 1));
  const chunked = await raw(
    hub,
    `POST /api/v2/notes HTTP/1.1\r\nHost: 127.0.0.1:${hub.port}\r\nAuthorization: Bearer ${hub.token}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n200000\r\n${"x".repeat(0x200000)}\r\n0\r\n\r\n`,
  ).catch((error: NodeJS.ErrnoException) => error.code ?? "");

  assert.equal(exact.status, 200);
  assert.equal(over.status, 413);
  assert.equal(over.body["code"], "payload_too_large");
  // The hub may cut the line before the client has read the answer: both are a refusal.
  assert.match(chunked, /^HTTP\/1.1 413|ECONNRESET|EPIPE/);
  assert.equal((await hub.rest("GET", "/notes")).status, 200);
});

test("an operation with a larger bound takes what others refuse", async (t) => {
  const hub = await startHttpHub(t);

  const answer = await hub.rest("PUT", "/notes/note_1/rule", { big: "x".repeat(2 * 1024 * 1024) });

  assert.equal(answer.status, 200);
});

test("every refusal is a problem document with its code, status and request", async (t) => {
  const hub = await startHttpHub(t);
  const cases: readonly (readonly [string, string, unknown, object, number, ErrorCode])[] = [
    ["POST", "/notes", "{not json", {}, 400, "invalid_input"],
    ["POST", "/notes", '{"__proto__":{"x":1},"text":"a"}', {}, 400, "invalid_input"],
    ["POST", "/notes", "[1]", {}, 400, "invalid_input"],
    ["POST", "/notes", { text: "" }, {}, 400, "invalid_input"],
    ["POST", "/notes", { text: "a", typo: 1 }, {}, 400, "invalid_input"],
    ["POST", "/notes", "text=a", { "content-type": "text/plain" }, 415, "unsupported_media_type"],
    ["GET", "/notes?limit=many", undefined, {}, 400, "invalid_input"],
    ["GET", "/notes?limit=0", undefined, {}, 400, "invalid_input"],
    ["GET", "/notes/note_0", undefined, {}, 404, "not_found"],
    ["GET", "/notes/%zz", undefined, {}, 400, "invalid_input"],
    ["GET", "/nowhere", undefined, {}, 404, "not_found"],
    ["DELETE", "/notes", undefined, {}, 405, "method_not_allowed"],
    ["HEAD", "/events/stream", undefined, {}, 405, "method_not_allowed"],
    ["PATCH", "/notes/note_1", { id: "note_2", text: "x" }, {}, 400, "invalid_input"],
    ["PATCH", "/notes/note_1", { text: "x" }, { "if-match": "zzz" }, 400, "invalid_input"],
    ["GET", "/events/stream?after=soon", undefined, {}, 400, "invalid_input"],
  ];

  for (const [method, path, body, headers, status, code] of cases) {
    const answer = await hub.rest(method, path, body, headers);
    const name = `${method} ${path}`;
    assert.equal(answer.status, status, name);
    assert.equal(
      answer.headers.get("content-type"),
      "application/problem+json; charset=utf-8",
      name,
    );
    if (method === "HEAD") continue;
    assert.equal(answer.body["code"], code, name);
    assert.equal(answer.body["type"], `/errors/${code}`, name);
    assert.equal(answer.body["status"], status, name);
    assert.match(String(answer.body["instance"]), /^urn:cadre:request:./, name);
    assert.ok(String(answer.body["detail"]).length > 10, name);
  }
});

test("a bug tells the caller where to look, and keeps its words for the log", async (t) => {
  const logged: object[] = [];
  const log = {
    debug: () => undefined,
    info: () => undefined,
    warn: () => undefined,
    error: (facts: object) => logged.push(facts),
  };
  const hub = await startHttpHub(t, { log });

  const answer = await hub.rest("GET", "/notes/break", undefined, { "x-request-id": "mine-7" });

  assert.equal(answer.status, 500);
  assert.doesNotMatch(answer.text, /secret/);
  assert.match(String(answer.body["detail"]), /mine-7/);
  const facts = logged[0] as { err: Error; requestId: string };
  assert.match(facts.err.message, /secret inner words/);
  assert.equal(facts.requestId, "mine-7");
});

test("bytes that are no HTTP are answered and let go", async (t) => {
  const hub = await startHttpHub(t);

  assert.equal(statusOf(await raw(hub, "HELLO\r\n\r\n")), 400);
  assert.equal(statusOf(await get(hub, "/health", ["Host: x", `X: ${"y".repeat(40_000)}`])), 431);
  assert.equal((await fetch(`${hub.url}/health`)).status, 200);
});

test("HEAD answers as GET without a body; OPTIONS names the methods, and no site is allowed in", async (t) => {
  const hub = await startHttpHub(t);

  const head = await hub.rest("HEAD", "/notes");
  const options = await hub.rest("OPTIONS", "/notes");

  assert.deepEqual([head.status, head.text], [200, ""]);
  assert.deepEqual(
    [options.status, options.headers.get("allow")],
    [204, "GET, HEAD, OPTIONS, POST"],
  );
  assert.equal(options.headers.get("access-control-allow-origin"), null);
});

test("a caller that is too quick is told when to come back", async (t) => {
  const world = realWorld();
  const still = { ...world, clock: { ...world.clock, monotonic: () => 5 } };
  const hub = await startHttpHub(t, { rate: { perSecond: 1, burst: 2 }, world: still });

  const answers = [];
  for (let index = 0; index < 3; index++) answers.push(await hub.rest("GET", "/notes"));

  assert.deepEqual(
    answers.map((one) => one.status),
    [200, 200, 429],
  );
  const last = answers[2];
  assert.equal(last?.body["code"], "rate_limited");
  assert.equal(last?.headers.get("retry-after"), "1");
  assert.equal(last?.headers.get("ratelimit"), '"address";r=0;t=1');
});

test("health and readiness need no token; readiness asks the store", async (t) => {
  const hub = await startHttpHub(t);

  const health = await fetch(`${hub.url}/health`);
  assert.deepEqual(await health.json(), { status: "ok", name: "cadre", version: "1.2.3" });
  assert.equal((await fetch(`${hub.url}/ready`)).status, 200);
  await hub.store.close();

  assert.equal((await fetch(`${hub.url}/health`)).status, 200);
  const ready = await fetch(`${hub.url}/ready`);
  assert.equal(ready.status, 503);
  assert.equal(((await ready.json()) as { code: string }).code, "not_ready");
});

test("a second hub on the port learns that a hub is there", async (t) => {
  const hub = await startHttpHub(t);

  const error = await refusedListen(t, { port: hub.port });

  assert.equal(error.code, "port_taken");
  assert.match(error.message, new RegExp(`Port ${hub.port} is taken by another Cadre hub`));
  assert.deepEqual(error.next, ["cadre status", `cadre up --port ${hub.port + 1}`]);
});

test("another program on the port is named as what it is", async (t) => {
  const { createServer } = await import("node:http");
  const other = createServer((_request, response) => response.writeHead(404).end("no"));
  other.listen(0, "127.0.0.1");
  await once(other, "listening");
  t.after(() => other.close());
  const { port } = other.address() as { port: number };

  const error = await refusedListen(t, { port });

  assert.equal(error.code, "port_taken");
  assert.match(
    error.message,
    /another program.*\. It isn't a Cadre hub: GET \/health answered 404/,
  );
  // Where the kernel tells whose port it is, so does the error: here it is this very process.
  if (process.platform === "linux") assert.equal(error.details["pid"], process.pid);
  assert.deepEqual(error.next, [`cadre up --port ${port + 1}`]);
});

test("nothing listens beyond loopback unless it is said in so many words", async (t) => {
  for (const host of ["0.0.0.0", "::", "192.168.1.5", "hub.example"]) {
    const error = await refusedListen(t, { host });
    assert.equal(error.code, "invalid_config");
    assert.ok(error.next.includes("listen.insecureRemote: true"));
  }
  const missing = await refusedListen(t, { tls: { cert: "/nowhere/cert", key: "/nowhere/key" } });
  assert.equal(missing.code, "invalid_config");
  assert.match(missing.message, /listen\.tls\.cert: \/nowhere\/cert can't be read/);
  const open = await startHttpHub(t, {
    config: { host: "0.0.0.0", port: 0, insecureRemote: true },
  });
  assert.equal((await fetch(`${open.url}/health`)).status, 200);
});

test("a client that leaves in mid-request harms no one", async (t) => {
  const hub = await startHttpHub(t);
  for (let index = 0; index < 20; index++) {
    const socket = connect(hub.port, "127.0.0.1");
    socket.write(
      `POST /api/v2/notes HTTP/1.1\r\nHost: 127.0.0.1:${hub.port}\r\nAuthorization: Bearer ${hub.token}\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"text":"half`,
    );
    await once(socket, "connect");
    socket.destroy();
    await once(socket, "close");
  }

  const { body } = await hub.rest("GET", "/notes");

  assert.deepEqual(body["items"], []);
});

test("a face closes with requests, streams and sockets open, and may be closed twice", async (t) => {
  const hub = await startHttpHub(t);
  const stream = await fetch(`${hub.url}/api/v2/events/stream`, {
    headers: { authorization: `Bearer ${hub.token}` },
  });
  const waiting = hub.rest("POST", "/tasks", { text: "x" }, { prefer: "wait=60" });
  const idle = httpRequest(`${hub.url}/health`);
  idle.end();
  await once(idle, "response");
  for await (const event of hub.stream.follow({ types: ["task.created"] }, { after: 0 })) {
    if (event.type === "task.created") break;
  }

  await Promise.all([hub.face.close(), hub.face.close()]);

  assert.equal((await waiting).status, 202);
  await stream.text();
  await assert.rejects(fetch(`${hub.url}/health`));
});
