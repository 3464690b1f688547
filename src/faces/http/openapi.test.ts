// The OpenAPI document and the page made of it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { z } from "zod";
import { startHttpHub } from "../../../test/support/http-hub.ts";
import { type Operation, operation } from "../../operations/index.ts";
import { openApiDocument } from "./openapi.ts";
import { referencePage } from "./reference-page.ts";

const sample = operation({
  name: "things.make",
  summary: "Make a <thing>.",
  effect: "write",
  permission: "operate",
  http: "POST /things/:kind/:id",
  input: z.strictObject({
    kind: z.enum(["a", "b"]),
    id: z.string().regex(/^thing_[0-9a-z]+$/),
    title: z.string().min(1).max(20),
    when: z.iso.datetime().optional(),
    parts: z.array(z.strictObject({ n: z.int().min(1) })).min(1),
    extra: z.record(z.string(), z.json()).default({}),
    types: z
      .union([z.string().transform((text) => text.split(",")), z.array(z.string())])
      .optional(),
  }),
  output: z.object({ id: z.string(), extra: z.json() }),
  refusals: ["not_found"],
  handle: () => Promise.reject(new Error("never called")),
});

async function problemsOf(document: unknown): Promise<unknown> {
  const result = await new Validator().validate(document as Record<string, unknown>);
  return result.valid ? [] : result.errors;
}

const documentOf = (operations: readonly Operation[]) =>
  openApiDocument(operations, { version: "1.2.3" });

test("the document is valid OpenAPI 3.1 and is served without a token", async (t) => {
  const hub = await startHttpHub(t);

  const response = await fetch(`${hub.url}/api/v2/openapi.json`);
  const document = await response.json();

  assert.equal(response.status, 200);
  assert.deepEqual(await problemsOf(document), []);
  assert.deepEqual(await problemsOf(documentOf([sample])), []);
});

test("every operation is described at its own path, with its errors", async (t) => {
  const hub = await startHttpHub(t);
  const document = documentOf([...hub.invoker.operations.values()]);

  for (const op of hub.invoker.operations.values()) {
    const [method = "", path = ""] = op.http.split(" ");
    const spec =
      document.paths[`/api/v2${path.replace(/:(\w+)/g, "{$1}")}`]?.[method.toLowerCase()];
    assert.equal(spec?.["operationId"], op.name);
    assert.equal(spec?.["summary"], op.summary);
    const said = JSON.stringify(spec?.["responses"]);
    for (const code of [...op.refusals, "unauthenticated", "invalid_input"]) {
      assert.match(said, new RegExp(`"${code}"`), op.name);
    }
  }
});

test("path fields are parameters, the rest is the body, and its example is accepted", () => {
  const spec = documentOf([sample]).paths["/api/v2/things/{kind}/{id}"]?.["post"] as {
    parameters: { name: string; in: string; example?: string }[];
    requestBody: { content: { "application/json": { example: object } } };
  };
  const { example } = spec.requestBody.content["application/json"];

  assert.deepEqual(
    spec.parameters.map((one) => `${one.in} ${one.name}`),
    ["path kind", "path id", "header Idempotency-Key"],
  );
  const path = { kind: spec.parameters[0]?.example, id: spec.parameters[1]?.example };
  assert.equal(sample.input.safeParse({ ...example, ...path }).success, true);
});

test("no reference points into the void", () => {
  const document = documentOf([sample]);
  const schemas = document.components["schemas"] as object;

  for (const [, name] of JSON.stringify(document).matchAll(
    /"\$ref":"#\/components\/schemas\/([^"]+)"/g,
  )) {
    assert.ok(Object.hasOwn(schemas, String(name)), name);
  }
  assert.doesNotMatch(JSON.stringify(document), /\$defs/);
});

test("the reference runs nothing, loads nothing, and shows every operation and every error", async (t) => {
  const hub = await startHttpHub(t);

  const response = await fetch(`${hub.url}/api/v2/docs`);
  const page = await response.text();

  const policy = response.headers.get("content-security-policy") ?? "";
  assert.match(policy, /^default-src 'none'; style-src 'sha256-/);
  assert.match(policy, /frame-ancestors 'none'/);
  assert.doesNotMatch(page, /<script|<img|<link|src=|style=|javascript:|\son\w+=/i);
  for (const name of hub.invoker.operations.keys()) assert.ok(page.includes(`id="${name}"`), name);
  assert.ok(page.includes('id="error-rate_limited"'));
});

test("what an operation says of itself is text on the page, never markup", () => {
  const page = referencePage(documentOf([sample]));

  assert.ok(page.includes("Make a &lt;thing&gt;."));
  assert.ok(!page.includes("<thing>"));
});

test("the reference unfolds what is inside a field, and shows an answer that many share once", () => {
  const big = z.object({
    id: z.string(),
    owner: z.object({ "inner-name": z.string() }),
    a: z.string(),
    b: z.string(),
    c: z.string(),
  });
  const answering = (name: string, http: Operation["http"], output: z.ZodType): Operation => ({
    name,
    summary: "Answer.",
    effect: "read",
    permission: "read",
    http,
    input: z.strictObject({}),
    output,
    refusals: [],
    handle: sample.handle,
  });
  const get = answering("things.get", "GET /things/one", big);
  const list = answering("things.list", "GET /things", z.object({ items: z.array(big) }));
  const drop = answering("things.drop", "DELETE /things", big);

  const page = referencePage(documentOf([get, list, drop]));

  assert.equal(page.split("<code>inner-name</code>").length - 1, 1);
  assert.match(page, /list of what <a href="#things.get">things.get<\/a> answers/);
  assert.match(page, /What <a href="#things.get">things.get<\/a> answers\./);
});

test("a problem's type leads to its place in the reference", async (t) => {
  const hub = await startHttpHub(t);

  const response = await fetch(`${hub.url}/errors/not_found`, { redirect: "manual" });

  assert.equal(response.status, 302);
  assert.equal(response.headers.get("location"), "/api/v2/docs#error-not_found");
});
