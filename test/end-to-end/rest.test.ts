// F2, F3. The whole of Cadre over HTTP: every operation of the real registry, and the flows a program
// goes through, a hub that dies under its readers among them.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { createApp } from "../../src/app.ts";
import { config } from "../../src/config/index.ts";
import type { Model } from "../../src/models/index.ts";
import { ERROR_CODES, realWorld, silentLog } from "../../src/platform/index.ts";
import { allOperations } from "../../src/registry.ts";
import { refusingSandbox } from "../../src/tools/index.ts";
import { agent } from "../support/worker.ts";
import { clientOf, killNow, ready, scratch, start } from "./cadre.ts";

type Fields = { readonly [field: string]: unknown };

const done: Model = {
  answer: async ({ model }) => ({
    model,
    text: "Done.",
    calls: [],
    finish: "stop",
    usage: { tokensIn: 1, tokensOut: 1, tokensCached: 0, costUsd: 0 },
    rehearsed: true,
    tookMs: 1,
  }),
};

/** A Cadre that listens, and one REST call to it with its token. */
async function listening(t: TestContext) {
  const app = await createApp({
    config: config.parse({ listen: { port: 0 } }),
    home: scratch(t),
    world: realWorld(),
    log: silentLog,
    listen: true,
    agents: [agent("coder", { models: ["rehearsal/any"] })],
    parts: { sandbox: refusingSandbox([]), model: done },
  });
  t.after(() => app.stop("now"));
  const rest = async (method: string, path: string, body?: unknown, headers: object = {}) => {
    const response = await fetch(`${app.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${app.token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      body: (text === "" ? {} : JSON.parse(text)) as Fields,
    };
  };
  return { app, rest, operations: allOperations(app.facts) };
}

type Answer = Awaited<ReturnType<Awaited<ReturnType<typeof listening>>["rest"]>>;

const idOf = (answer: Answer) => String(answer.body["id"]);
/** Nobody of the team can do it: it stays as it is. */
const NOBODYS = { capabilities: ["nobody-has-this"] };

/** Checks that an answer is a problem document (RFC 9457) of our one table; answers its code. */
function codeOf({ status, headers, body }: Answer): string {
  const code = String(body["code"]);
  assert.ok(Object.hasOwn(ERROR_CODES, code), JSON.stringify(body));
  const { status: expected, title, retry } = ERROR_CODES[code as keyof typeof ERROR_CODES];
  assert.match(headers.get("content-type") ?? "", /^application\/problem\+json/);
  assert.deepEqual([status, body["status"], body["title"]], [expected, expected, title]);
  assert.equal(body["type"], `/errors/${code}`);
  assert.equal(body["retry"], retry);
  assert.equal(body["instance"], `urn:cadre:request:${headers.get("x-request-id")}`);
  assert.ok(Array.isArray(body["next"]) && typeof body["details"] === "object");
  return code;
}

test("every operation is reached by its own route: it names what is wrong with its input", async (t) => {
  const { rest, operations } = await listening(t);

  for (const op of operations) {
    const [method = "", route = ""] = op.http.split(" ");
    const path = `/api/v2${route.replace(/:\w+/g, "x")}`;
    const hasBody = method !== "GET" && method !== "DELETE";
    const unknown = hasBody
      ? await rest(method, path, { "no-such-field": 1 })
      : await rest(method, `${path}?no-such-field=1`);
    const nobody = await rest(method, path, undefined, { authorization: "" });

    assert.equal(codeOf(unknown), "invalid_input", op.name);
    const detail = String(unknown.body["detail"]);
    assert.ok(detail.startsWith(`${op.name}: `) && detail.includes("no-such-field"), detail);
    assert.equal(codeOf(nobody), "unauthenticated", op.name);
  }
  assert.ok(operations.length > 20);
});

test("an operation that is asked with nothing answers, or says what it lacks", async (t) => {
  const { rest, operations } = await listening(t);

  for (const op of operations) {
    const [method = "", route = ""] = op.http.split(" ");
    const hasPath = route.includes(":");
    const answer = await rest(method, `/api/v2${route.replace(/:\w+/g, "x")}`);

    if (answer.status === 200) continue;
    const code = codeOf(answer);
    assert.ok(code === "invalid_input" || (hasPath && code === "not_found"), `${op.name}: ${code}`);
    assert.doesNotMatch(String(answer.body["detail"]), /There is no [A-Z]+ \//, op.name);
  }
});

test("the OpenAPI document of the real registry is valid, and tells of every operation", async (t) => {
  const { rest, operations } = await listening(t);

  const { body: document } = await rest("GET", "/api/v2/openapi.json", undefined, {
    authorization: "",
  });
  const result = await new Validator().validate(document);

  assert.deepEqual(result.valid ? [] : result.errors, []);
  const paths = document["paths"] as { [path: string]: { [method: string]: Fields } };
  const told = Object.values(paths).flatMap((item) =>
    Object.values(item).map((one) => one["operationId"]),
  );
  assert.deepEqual(
    operations.map(({ name }) => name).filter((name) => !told.includes(name)),
    [],
  );
});

test("one intent is one task: its key gives the first answer, and another body is a conflict", async (t) => {
  const { rest } = await listening(t);
  const submit = (title: string) =>
    rest("POST", "/api/v2/tasks", { title, ...NOBODYS }, { "idempotency-key": "order-1" });

  const [first, again] = await Promise.all([submit("Once"), submit("Once")]);
  const other = await submit("Another");

  assert.deepEqual(again.body, first.body);
  assert.equal(codeOf(other), "idempotency_conflict");
  assert.deepEqual(other.body["details"], { idempotencyKey: "order-1" });
  const { body } = await rest("GET", "/api/v2/tasks");
  assert.equal((body["items"] as unknown[]).length, 1);
});

test("an unchanged task is not sent again, and a change made on an old version is refused", async (t) => {
  const { rest } = await listening(t);
  const id = idOf(await rest("POST", "/api/v2/tasks", { title: "A", ...NOBODYS }));
  const path = `/api/v2/tasks/${id}`;
  const etag = (await rest("GET", path)).headers.get("etag") ?? "";
  const rename = (title: string) => rest("PATCH", path, { title }, { "if-match": etag });
  const ask = () => rest("GET", path, undefined, { "if-none-match": etag });

  const unchanged = await ask();
  const renamed = await rename("B");
  const late = await rename("C");
  const changed = await ask();

  assert.equal(unchanged.status, 304);
  assert.deepEqual([renamed.status, renamed.body["title"]], [200, "B"]);
  assert.equal(codeOf(late), "stale_write");
  assert.deepEqual([changed.status, changed.body["title"]], [200, "B"]);
  assert.notEqual(changed.headers.get("etag"), etag);
});

test("Prefer: wait answers with the result of the work", async (t) => {
  const { rest } = await listening(t);

  const ended = await rest("POST", "/api/v2/tasks", { title: "Do it" }, { prefer: "wait=60" });
  const open = await rest(
    "POST",
    "/api/v2/tasks",
    { title: "Wait for nobody", ...NOBODYS },
    { prefer: "wait=0" },
  );

  assert.deepEqual([ended.status, ended.body["state"]], [200, "completed"]);
  assert.equal((ended.body["result"] as Fields)["text"], "Done.");
  assert.equal(open.status, 202);
});

test("pages lead from one to the next, each task once, whatever is submitted meanwhile", async (t) => {
  const { rest } = await listening(t);
  const submit = async (title: string) =>
    idOf(await rest("POST", "/api/v2/tasks", { title, ...NOBODYS }));
  const ids: string[] = [];
  for (let n = 0; n < 7; n++) ids.push(await submit(`Task ${n}`));

  const seen: string[] = [];
  let path: string | undefined = "/api/v2/tasks?limit=2&open=true";
  while (path !== undefined) {
    const page: Answer = await rest("GET", path);
    seen.push(...(page.body["items"] as { id: string }[]).map(({ id }) => id));
    await submit("In between");
    path = /^<([^>]+)>; rel="next"$/.exec(page.headers.get("link") ?? "")?.[1];
    if (ids.every((id) => seen.includes(id))) break;
  }

  assert.deepEqual(
    ids.filter((id) => !seen.includes(id)),
    [],
  );
  assert.equal(new Set(seen).size, seen.length);
});

test("refusals of the real rules are problems that name the thing", async (t) => {
  const { rest } = await listening(t);
  const gone = "task_0000000000000000";

  const missing = await rest("GET", `/api/v2/tasks/${gone}`);
  const cycle = await rest("POST", "/api/v2/tasks/graph", {
    tasks: [
      { key: "egg", title: "Egg", after: ["hen"] },
      { key: "hen", title: "Hen", after: ["egg"] },
    ],
  });

  assert.equal(codeOf(missing), "not_found");
  assert.match(String(missing.body["detail"]), new RegExp(gone));
  codeOf(cycle);
  assert.match(String(cycle.body["detail"]), /egg.*hen|hen.*egg/);
});

// ---- A hub that dies ----------------------------------------------------------------------------

type Reader = { readonly url: string; readonly token: string; readonly signal: AbortSignal };

/** Positions of one type by server-sent events; behind an end of the line once `resume` resolves. */
async function* sseFrom(reader: Reader, type: string, resume: () => Promise<void>) {
  const { url, token, signal } = reader;
  let last = "0";
  while (!signal.aborted) {
    await resume();
    const headers = { authorization: `Bearer ${token}`, "last-event-id": last };
    try {
      const response = await fetch(`${url}/api/v2/events/stream?types=${type}`, {
        headers,
        signal,
      });
      let text = "";
      for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        const frames = `${text}${chunk}`.split("\n\n");
        text = frames.pop() ?? "";
        for (const frame of frames) {
          const [, id, event] = /^id: (\d+)\nevent: (.+)$/m.exec(frame) ?? [];
          if (id === undefined || event === "hello") continue;
          last = id;
          yield Number(id);
        }
      }
    } catch {
      // The hub is down, or the reader has enough: the loop's condition tells which.
    }
  }
}

async function journalOf(client: ReturnType<typeof clientOf>, type: string): Promise<number[]> {
  const positions: number[] = [];
  for (let after = 0; ; ) {
    const page = await client.call("events.list", { types: [type], after, limit: 1_000 });
    if (page.items.length === 0) return positions;
    positions.push(...page.items.map(({ position }) => position));
    after = page.next;
  }
}

/** Lets everything else of this process go on. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const KILLS = 2;
const BATCH = 100;

test("readers of a hub that is killed and started again miss nothing, and nothing comes twice", async (t) => {
  const home = scratch(t);
  let hub = start(t, ["up", "--port", "0"], { home });
  const { url } = await ready(hub, home);
  const token = readFileSync(join(home, "token"), "utf8").trim();
  const client = clientOf(t, home, url);
  const stop = new AbortController();
  t.after(() => stop.abort());
  const { signal } = stop;
  let rounds = 0;
  const submit = () => {
    rounds += 1;
    return Promise.all(
      Array.from({ length: BATCH }, (_, n) =>
        client.call("tasks.submit", { title: `${rounds}.${n}`, ...NOBODYS }),
      ),
    );
  };

  const byClient: number[] = [];
  const bySse: number[] = [];
  let mayResume = Promise.resolve();
  const reading = Promise.all([
    (async () => {
      const filter = { types: ["task.created"] };
      for await (const { position } of client.follow(filter, { after: 0, signal })) {
        byClient.push(position);
      }
    })(),
    (async () => {
      const resume = () => mayResume;
      for await (const position of sseFrom({ url, token, signal }, "task.created", resume)) {
        bySse.push(position);
      }
    })(),
  ]);
  for (let kill = 0; kill < KILLS; kill++) {
    const { promise, resolve: release } = Promise.withResolvers<void>();
    mayResume = promise;
    // Killed with calls in flight: each is sent again under its key, and is one task.
    const before = byClient.length;
    const submitted = submit();
    while (byClient.length === before) await turn();
    await killNow(hub);
    hub = start(t, ["up", "--port", new URL(url).port], { home });
    await ready(hub, home);
    assert.equal((await submitted).length, BATCH);
    // What happens while a reader is away is what it must be told when it is back.
    await submit();
    release();
  }
  await submit();
  const journal = await journalOf(client, "task.created");
  const last = journal.at(-1) ?? 0;
  // More events behind the last that counts: a reader that lost it is not waited for.
  const isBehind = (seen: readonly number[]) => (seen.at(-1) ?? 0) < last;
  while (isBehind(byClient) || isBehind(bySse)) {
    await client.call("tasks.submit", { title: "One more", ...NOBODYS });
  }
  stop.abort();
  await reading;

  assert.equal(journal.length, (2 * KILLS + 1) * BATCH);
  const counted = (seen: readonly number[]) => seen.filter((position) => position <= last);
  assert.deepEqual(counted(byClient), journal);
  assert.deepEqual(counted(bySse), journal);
});
