import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { CadreError, parseYaml, silentLog } from "../platform/index.ts";
import { instantClock, manualClock } from "./clock.testing.ts";
import type { Model, ModelMessage, ModelRequest } from "./model.ts";
import { createModels } from "./models.ts";
import { matches, rehearsalModel } from "./rehearsal.ts";
import { type Script, script } from "./script.ts";

const scriptOf = (text: string): Script =>
  parseYaml(text, script, { source: "coder.yaml", code: "invalid_config" });

const modelOf = (text: string, clock = instantClock()): Model =>
  rehearsalModel({ scripts: new Map([["coder", scriptOf(text)]]), world: { clock } });

const user = (text: string): ModelMessage => ({ role: "user", text });
const said = (text: string): ModelMessage => ({ role: "assistant", text, calls: [] });
const result = (tool: string, text: string): ModelMessage => ({
  role: "tool",
  results: [{ call: "c", tool, text, isError: false }],
});

const request = (
  messages: readonly ModelMessage[],
  more: Partial<ModelRequest> = {},
): ModelRequest => ({
  model: "rehearsal/coder",
  agent: "coder",
  system: "",
  messages,
  tools: [],
  outputTokensMax: 1,
  signal: new AbortController().signal,
  ...more,
});

async function failed(answer: Promise<unknown>): Promise<CadreError> {
  return answer.then(
    () => assert.fail("it was answered"),
    (error) => {
      assert.ok(error instanceof CadreError, String(error));
      return error;
    },
  );
}

const talk = [
  user("Fix the parser"),
  said("Reading."),
  result("read", "line 1\nexit 1"),
  said("Hm."),
  result("shell", "exit 0\nok"),
];
const MATCHES: readonly (readonly [
  when: string,
  messages: readonly ModelMessage[],
  holds: boolean,
])[] = [
  ["{}", [], true],
  ["{}", talk, true],
  ["{step: 0}", [user("x")], true],
  ["{step: 2}", talk, true],
  ["{step: 1}", talk, false],
  ["{task: parser}", talk, true],
  ["{task: Parser}", talk, false],
  ["{task: Hm}", talk, false],
  ["{task: x}", [], false],
  ["{last: exit 0}", talk, true],
  ["{last: exit 1}", talk, false],
  ["{last: ^ok$}", talk, true],
  ["{last: parser}", [user("Fix the parser")], true],
  ["{lastTool: shell}", talk, true],
  ["{lastTool: read}", talk, false],
  ["{lastTool: shell}", [...talk, user("go on")], false],
  ["{seen: exit 1}", talk, true],
  ["{seen: Reading}", talk, true],
  ["{seen: exit 2}", talk, false],
  ["{step: 2, task: parser, last: exit 0, lastTool: shell, seen: exit 1}", talk, true],
  ["{step: 2, task: parser, last: exit 0, lastTool: shell, seen: exit 9}", talk, false],
];
for (const [when, messages, holds] of MATCHES) {
  test(`${when} ${holds ? "matches" : "does not match"} a conversation of ${messages.length}`, () => {
    const [turn] = scriptOf(`turns: [{when: ${when}, say: x}]`).turns;

    assert.equal(turn !== undefined && matches(turn.when, messages), holds);
  });
}

test("the first turn that matches answers, the same after a restart", async () => {
  const text = `
turns:
  - when: { step: 0 }
    say: Reading.
    calls:
      - { tool: read, arguments: { path: a.ts } }
      - { tool: read, arguments: '{"path": ' }
  - when: { lastTool: read }
    say: Done.
  - say: never
`;
  const first = await modelOf(text).answer(request([user("go")]));
  const again = await modelOf(text).answer(request([user("go")]));
  const second = await modelOf(text).answer(
    request([
      user("go"),
      { role: "assistant", text: first.text, calls: first.calls },
      result("read", "x"),
    ]),
  );

  assert.deepEqual(first, again);
  assert.deepEqual(first.calls, [
    { id: "call_0_0", tool: "read", arguments: '{"path":"a.ts"}' },
    { id: "call_0_1", tool: "read", arguments: '{"path": ' },
  ]);
  assert.deepEqual([first.finish, first.rehearsed, first.usage.costUsd], ["tool-calls", true, 0]);
  assert.deepEqual([second.text, second.finish], ["Done.", "stop"]);
});

test("a rehearsal says so and costs nothing, whatever tokens it pretends", async () => {
  const { usage, rehearsed } = await modelOf(
    "turns: [{say: hi, usage: {tokensIn: 1000, tokensOut: 50}}]",
  ).answer(request([user("go")]));
  const guessed = await modelOf("turns: [{say: '12345678'}]").answer(request([user("abcdefgh")]));

  assert.deepEqual(usage, { tokensIn: 1000, tokensOut: 50, tokensCached: 0, costUsd: 0 });
  assert.deepEqual([guessed.usage.tokensIn, guessed.usage.tokensOut], [2, 2]);
  assert.equal(rehearsed, true);
});

test("a conversation no turn is written for fails for good, naming script, step and last words", async () => {
  const error = await failed(modelOf("turns: [{when: {step: 0}, say: x}]").answer(request(talk)));

  assert.equal(error.code, "model_failed");
  assert.equal(error.details["retry"], "never");
  assert.match(
    error.message,
    /the script "coder" has no turn for step 2; last was said: "exit 0 ok"/,
  );
});

test("text is streamed in a few pieces, over the turn's latency", async () => {
  const clock = instantClock();
  const heard: string[] = [];

  const answer = await modelOf(
    "turns: [{say: one two  three four\\nfive six, latencyMs: 800}]",
    clock,
  ).answer(request([user("go")], { onText: (delta) => heard.push(delta) }));

  assert.equal(heard.join(""), answer.text);
  assert.equal(heard.length, 3);
  assert.equal(answer.tookMs, 798);
});

test("a cancelled rehearsal is stopped, also while it waits", async () => {
  const stop = new AbortController();
  const clock = manualClock();
  const answer = modelOf("turns: [{say: x, latencyMs: 100}]", clock).answer(
    request([user("go")], { signal: stop.signal }),
  );
  stop.abort();

  assert.equal((await failed(answer)).code, "stopped");
  assert.equal(
    (
      await failed(
        modelOf("turns: [{say: x}]").answer(request([user("go")], { signal: AbortSignal.abort() })),
      )
    ).code,
    "stopped",
  );
});

test("a turn fails as often as it should, then goes on; each conversation counts by itself", async () => {
  const model = modelOf(`
turns:
  - when: { step: 0 }
    fail: { class: overloaded, message: too much., times: 2 }
    say: At last.
  - fail: { class: auth, message: no. }
`);
  const classes: unknown[] = [];
  for (const task of ["a", "b"]) {
    for (let i = 0; i < 2; i++) {
      const error = await failed(model.answer(request([user(task)])));
      classes.push([error.details["class"], error.details["retry"]]);
    }
  }

  assert.deepEqual(classes, Array(4).fill(["overloaded", "later"]));
  assert.equal((await model.answer(request([user("a")]))).text, "At last.");
  assert.equal((await failed(model.answer(request(talk)))).details["class"], "auth");
});

test("a turn that only fails is passed once it has failed enough", async () => {
  const model = modelOf("turns: [{fail: {class: server, times: 1}}, {say: Then this.}]");

  await failed(model.answer(request([user("go")])));

  assert.equal((await model.answer(request([user("go")]))).text, "Then this.");
});

async function folderOf(
  t: TestContext,
  files: { readonly [name: string]: string },
): Promise<Model> {
  const folder = await mkdtemp(join(tmpdir(), "cadre-rehearsal-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await mkdir(join(folder, "scripts"));
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(folder, "scripts", name), text);
  }
  return createModels({
    config: { providers: {}, idleTimeoutMs: 1_000, prices: {} },
    world: {
      clock: instantClock(),
      env: () => undefined,
      fetch: () => Promise.reject(new Error("no network")),
    },
    rehearsalFolder: join(folder, "scripts"),
    log: silentLog,
  });
}

test("rehearsal/<script> plays the file of that name, without network or key", async (t) => {
  const models = await folderOf(t, {
    "coder.yaml": "agent: coder\nturns: [{say: From the file.}]\n",
  });

  const answer = await models.answer(request([user("go")]));

  assert.deepEqual(
    [answer.text, answer.rehearsed, answer.model],
    ["From the file.", true, "rehearsal/coder"],
  );
});

test("a script that is not there, or leads out of the folder, is no model", async (t) => {
  const models = await folderOf(t, { "../coder.yaml": "turns: [{say: x}]" });

  for (const model of [
    "rehearsal/tester",
    "rehearsal/../coder",
    "rehearsal/a/coder",
    "rehearsal/.",
  ] as const) {
    const error = await failed(models.answer(request([user("go")], { model })));
    assert.equal(error.code, "no_model");
  }
});

const BROKEN: readonly (readonly [what: string, text: string, message: RegExp])[] = [
  [
    "a mistyped field",
    "turns:\n  - say: x\n    latncyMs: 3\n",
    /coder\.yaml:3: There is no field "latncyMs" in "turns\[0\]"\. Did you mean "latencyMs"\?/,
  ],
  [
    "a broken pattern",
    "turns:\n  - say: x\n    when:\n      last: '('\n",
    /coder\.yaml:4: .*Invalid regular expression/,
  ],
  [
    "a pattern too long",
    `turns:\n  - say: x\n    when: {last: ${"a".repeat(501)}}\n`,
    /coder\.yaml:3: .*501|coder\.yaml:3: .*500/,
  ],
  [
    "a turn that does nothing",
    "turns:\n  - when: {step: 1}\n",
    /coder\.yaml:2: .*A turn needs `say`, `calls` or `fail`\./,
  ],
  [
    "an unknown class",
    "turns:\n  - fail: {class: overload}\n",
    /coder\.yaml:2: .*Did you mean "overloaded"\?/,
  ],
];
for (const [what, text, message] of BROKEN) {
  test(`a script with ${what} is refused with its line`, async (t) => {
    const models = await folderOf(t, { "coder.yaml": text });

    const error = await failed(models.answer(request([user("go")])));

    assert.equal(error.code, "invalid_config");
    assert.match(error.message, message);
  });
}
