import assert from "node:assert/strict";
import { test } from "node:test";
import { agent } from "../../../../test/support/worker.ts";
import type { Principal } from "../../../operations/index.ts";
import { openCli } from "../cli.testing.ts";
import { widthOf } from "../text.ts";

const NODE: Principal = { id: "node_test", kind: "node", roles: ["node"] };
const HUB: Principal = { id: "hub", kind: "hub", roles: ["admin"] };
const CLAUDE = "anthropic/claude-sonnet-4-5";

async function openTeam(...args: Parameters<typeof openCli>) {
  const bench = await openCli(...args);
  const chain = [CLAUDE, "openai/gpt-5.2", "google/gemini-3.1-pro-preview"];
  await bench.app.clientOf(HUB).call("agents.sync", {
    agents: [
      structuredClone(agent("coder", { models: chain })),
      structuredClone(agent("planner")),
      structuredClone(agent("tester", { models: chain })),
    ],
  });
  return bench;
}

type Bench = Awaited<ReturnType<typeof openTeam>>;

const fail = ({ app }: Bench, failure: "rate_limited" | "auth") =>
  app.clientOf(NODE).call("models.settle", {
    model: CLAUDE,
    outcome: { kind: "failed", class: failure, message: `${CLAUDE} could not answer: no.` },
  });

test("each chain is shown once, with who has it and why a model is not asked", async (t) => {
  const bench = await openTeam(t, { env: { ANTHROPIC_API_KEY: "k", OPENAI_API_KEY: "k" } });
  await fail(bench, "rate_limited");

  const { code, out } = await bench.run("models");

  assert.equal(code, 0);
  const lines = out.split("\n");
  assert.equal(lines[0], "coder, tester");
  assert.match(
    lines[1] ?? "",
    /^ {2}⧗ anthropic\/claude-sonnet-4-5 +cools down 0:\d\d, rate limited$/,
  );
  assert.equal(lines[2], "    anthropic/claude-sonnet-4-5 could not answer: no.");
  assert.match(lines[3] ?? "", /^ {2}✓ openai\/gpt-5\.2 +ready$/);
  assert.match(lines[4] ?? "", /^ {2}✗ google\/\S+ +no key: GEMINI_API_KEY is not set$/);
  assert.deepEqual(lines.slice(5, 7), ["", "planner"]);
  assert.match(lines[7] ?? "", /⧗ anthropic\/claude-sonnet-4-5/);
  for (const line of lines) assert.ok(widthOf(line) <= 80, line);
});

test("a refused key says how to go on once it is mended, and that lets the model be asked", async (t) => {
  const bench = await openTeam(t, { env: { ANTHROPIC_API_KEY: "k" } });
  await fail(bench, "auth");

  const before = await bench.run("models");
  const cleared = await bench.run("models", "clear", CLAUDE);
  const after = await bench.run("models");
  const again = await bench.run("models", "clear", CLAUDE);

  assert.match(before.out, /cools down \d:\d\d, key refused/);
  assert.match(before.out, /Next {2}cadre models clear anthropic\/claude-sonnet-4-5/);
  assert.equal(cleared.out, `✓ ${CLAUDE} may be asked again.\n`);
  assert.doesNotMatch(after.out, /cools down|Next/);
  assert.deepEqual([again.code, again.out], [4, ""]);
});

test("without any key an agent that names no model is told what to set", async (t) => {
  const bench = await openTeam(t);

  const { out } = await bench.run("models", "list");

  assert.match(out, /planner\n {2}! no model: set a provider's key, or models\.default/);
});

test("as JSON it is the operation's own answer", async (t) => {
  const bench = await openTeam(t, { env: { OPENAI_API_KEY: "k" } });
  await fail(bench, "rate_limited");

  const { out } = await bench.run("models", "--json");

  const { data } = JSON.parse(out);
  assert.deepEqual(data, await bench.app.client.call("models.cooldowns", {}));
  assert.equal(data.cooldowns[0]?.class, "rate_limited");
});
