import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import fc from "fast-check";
import { z } from "zod";
import { CadreError, type Log, realWorld, silentLog } from "../platform/index.ts";
import { builtinTools } from "./builtin/index.ts";
import { createPipeline } from "./pipeline.ts";
import { OUTPUT_TEXT_MAX } from "./stages/bound.ts";
import { benchOf } from "./tool.testing.ts";
import { defineTool, type Tool } from "./tool.ts";

function toolOf(run: Tool["run"], more: Partial<Tool> = {}): Tool {
  return {
    ...defineTool({
      name: "probe",
      description: "For tests.",
      input: z.strictObject({ text: z.string().default("") }),
      kind: "internal",
      effect: "pure",
      timeoutMs: 30_000,
      run: run as never,
    }),
    ...more,
  } as Tool;
}

describe("validate", () => {
  const wrong: readonly (readonly [string, string, string, RegExp])[] = [
    [
      "an unknown tool",
      "raed",
      "{}",
      /no tool `raed`.*Did you mean `read`\? You have: read, write/,
    ],
    ["a far-off name", "teleport", "{}", /no tool `teleport`\. Nothing was done\. You have: read/],
    [
      "a tool of others",
      "shell",
      '{"command":"true"}',
      /`shell` is not among yours.*You have: read, write\./,
    ],
    ["broken JSON", "read", '{"path": "a', /not valid JSON: .*"path": string, "offset"\?: integer/],
    ["a missing field", "read", "", /`path`: .*expected string[\s\S]*\{ "path": string/],
    ["a wrong type", "read", '{"path": 7}', /`path`: .*expected string/],
    ["an unknown field", "read", '{"path":"a","lines":3}', /there is no `lines`/],
    ["a list", "read", "[]", /expected object/],
  ];
  for (const [title, tool, args, told] of wrong) {
    test(`${title} is refused, with what would be right; nothing is recorded`, async (t) => {
      const bench = await benchOf(t);

      const outcome = await bench.call(tool, args, { allowed: ["read", "write"] });

      assert.equal(outcome.kind, "refused");
      assert.match(outcome.text, told);
      assert.deepEqual(bench.intents, []);
    });
  }

  test("whatever a model writes, there is an outcome", async (t) => {
    const bench = await benchOf(t);
    const names = fc.oneof(fc.constantFrom("read", "glob", "grep", "write", "edit"), fc.string());
    const args = fc.oneof(
      fc.string(),
      fc.json(),
      fc.record({ path: fc.string() }).map((it) => JSON.stringify(it)),
    );

    await fc.assert(
      fc.asyncProperty(names, args, async (tool, text) => {
        const outcome = await bench.call(tool, text);

        assert.ok(["done", "refused", "failed"].includes(outcome.kind));
      }),
      { numRuns: 200 },
    );
  });

  test("arguments too large for a recorded step are refused", async (t) => {
    const bench = await benchOf(t);

    const outcome = await bench.call("write", { path: "a", content: "x".repeat(260_000) });

    assert.match(outcome.text, /at most \d+ are taken/);
    assert.deepEqual(await readdir(bench.workspace), []);
  });
});

describe("record", () => {
  test("the intent is durable before the effect, with the arguments that will be used", async (t) => {
    const bench = await benchOf(t);
    let atIntent: string[] = ["not called"];

    await bench.call(
      "write",
      { path: "a", content: "x" },
      {
        recorder: {
          began: async (intent) => {
            atIntent = await readdir(bench.workspace);
            assert.deepEqual(intent, {
              call: "call_1",
              tool: "write",
              effect: "keyed",
              arguments: { path: "a", content: "x" },
            });
          },
        },
      },
    );

    assert.deepEqual(atIntent, []);
    assert.equal(await readFile(join(bench.workspace, "a"), "utf8"), "x");
  });

  test("a lost lease stops the call before its effect", async (t) => {
    const bench = await benchOf(t);
    const lost = new CadreError("lease_lost", "The lease is held by another.");

    const call = bench.call(
      "write",
      { path: "a", content: "x" },
      { recorder: { began: () => Promise.reject(lost) } },
    );

    await assert.rejects(call, lost);
    assert.deepEqual(await readdir(bench.workspace), []);
  });

  test("a repeat is not recorded twice; a command's intent names its sandbox", async (t) => {
    const bench = await benchOf(t);

    await bench.call("write", { path: "a", content: "x" }, { isRepeat: true });
    await bench.call("shell", { command: "true" });

    assert.deepEqual(
      bench.intents.map((it) => [it.tool, it.sandbox]),
      [["shell", "none"]],
    );
  });
});

describe("authorise", () => {
  test("a task without a workspace has no files and no commands", async (t) => {
    const bench = await benchOf(t);

    for (const [tool, args] of [
      ["read", { path: "a" }],
      ["shell", { command: "true" }],
    ] as const) {
      const outcome = await bench.call(tool, args, { place: { workspace: null } });

      assert.equal(outcome.kind, "refused");
      assert.match(outcome.text, /needs a workspace/);
    }
    assert.deepEqual(bench.intents, []);
  });

  test("an agent that only reads writes nothing", async (t) => {
    const bench = await benchOf(t);
    await writeFile(join(bench.workspace, "a"), "x");

    const place = { profile: "read-only" } as const;
    const write = await bench.call("write", { path: "b", content: "x" }, { place });
    const edit = await bench.call("edit", { path: "a", old: "x", new: "y" }, { place });

    assert.deepEqual([write.kind, edit.kind], ["refused", "refused"]);
    assert.deepEqual(await readdir(bench.workspace), ["a"]);
  });
});

describe("execute", () => {
  test("a tool that throws is a failed outcome with its message, and logged", async (t) => {
    const told: string[] = [];
    const log: Log = { ...silentLog, warn: (_, message) => told.push(message) };
    const tools = [toolOf(() => Promise.reject(new Error("the disk is gone")))];
    const bench = await benchOf(t, { tools, log });

    const outcome = await bench.call("probe", {});

    assert.deepEqual(outcome, { kind: "failed", text: "`probe` failed: the disk is gone" });
    assert.deepEqual(told, ["a tool failed"]);
  });

  test("a tool that takes too long is told to stop, and left when it does not", async (t) => {
    let told = false;
    const slow = toolOf(
      (context) => {
        context.signal.addEventListener("abort", () => {
          told = true;
        });
        return new Promise(() => undefined);
      },
      { timeoutMs: 1_000 },
    );
    // Time passes at once: nothing is waited for.
    const clock = { ...realWorld().clock, sleep: async () => undefined };
    const bench = await benchOf(t, { tools: [slow], world: { ...realWorld(), clock } });

    const outcome = await bench.call("probe", {});

    assert.equal(outcome.kind, "failed");
    assert.match(outcome.text, /stopped after 1 s/);
    assert.ok(told);
  });

  test("an aborted call ends as failed, with what the tool still says", async (t) => {
    const stop = new AbortController();
    const tool = toolOf(async (context) => {
      stop.abort();
      assert.ok(context.signal.aborted);
      return { kind: "failed", text: "half of it is done" };
    });
    const bench = await benchOf(t, { tools: [tool] });

    const outcome = await bench.call("probe", {}, { signal: stop.signal });

    assert.deepEqual(outcome, { kind: "failed", text: "half of it is done" });
  });
});

describe("bound", () => {
  test("a long output is kept whole in an artifact; the model sees its head and its tail", async (t) => {
    const whole = `begin ${"é".repeat(100_000)} end`;
    const tools = [toolOf(async () => ({ kind: "done", text: whole, facts: { exitCode: 0 } }))];
    const bench = await benchOf(t, { tools });

    const outcome = await bench.call("probe", {});

    assert.ok(Buffer.byteLength(outcome.text) <= OUTPUT_TEXT_MAX);
    assert.match(
      outcome.text,
      /^begin é+\n\[\.\.\. \d+ of 200010 bytes left out[^\uFFFD]+\n.* end$/,
    );
    const id = String(outcome.facts?.["artifact"]);
    const path = String(outcome.facts?.["artifactPath"]);
    assert.ok(outcome.text.includes(id) && outcome.text.includes(path));
    assert.equal(await readFile(path, "utf8"), whole);
    assert.equal(outcome.facts?.["exitCode"], 0);
  });

  test("an output at the bound stays as it is", async (t) => {
    const text = "x".repeat(OUTPUT_TEXT_MAX);
    const bench = await benchOf(t, { tools: [toolOf(async () => ({ kind: "done", text }))] });

    assert.deepEqual(await bench.call("probe", {}), { kind: "done", text });
  });

  test("facts too large for a transcript go to an artifact too", async (t) => {
    const facts = { diff: "x".repeat(100_000) };
    const bench = await benchOf(t, {
      tools: [toolOf(async () => ({ kind: "done", text: "", facts }))],
    });

    const outcome = await bench.call("probe", {});

    const path = String(outcome.facts?.["factsArtifactPath"]);
    assert.deepEqual(JSON.parse(await readFile(path, "utf8")), facts);
  });
});

test("tools are described by JSON Schema, only those asked for", () => {
  const pipeline = createPipeline({ tools: builtinTools, world: realWorld(), log: silentLog });

  const all = pipeline.describe(undefined);
  const [read, ...rest] = pipeline.describe(["read"]);

  assert.deepEqual(
    all.map((it) => it.name),
    ["read", "write", "edit", "glob", "grep", "shell"],
  );
  assert.deepEqual(rest, []);
  assert.equal(read?.input["type"], "object");
  assert.deepEqual(read?.input["required"], ["path"]);
  assert.ok(read !== undefined && !("$schema" in read.input));
});
