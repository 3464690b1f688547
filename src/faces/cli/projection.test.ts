import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { operation } from "../../operations/index.ts";
import { openCli, REGISTRY } from "./cli.testing.ts";
import { allCommands } from "./cli.ts";
import { type CommandSpec, GLOBAL_OPTIONS, nameOf } from "./command.ts";
import { projected } from "./commands/rooms.ts";
import { FRONT_PAGE } from "./help.ts";
import { parse } from "./parse.ts";
import { commandPath, inputOf } from "./projection.ts";

const sample = operation({
  name: "things.makeMany",
  summary: "Make things.",
  effect: "write",
  permission: "operate",
  http: "POST /things",
  input: z.strictObject({
    title: z.string(),
    count: z.int().min(0).max(9).default(5),
    isLoud: z.boolean().optional(),
    kind: z.enum(["small", "large"]).optional(),
    tags: z.array(z.string()).default([]),
    parts: z.array(z.strictObject({ size: z.number() })).optional(),
    labels: z.record(z.string(), z.string()).default({}),
    inputs: z.record(z.string(), z.json()).default({}),
    budget: z
      .strictObject({ costUsd: z.number().optional(), note: z.string().optional() })
      .optional(),
    place: z.discriminatedUnion("kind", [z.strictObject({ kind: z.literal("none") })]).optional(),
    deadline: z.iso.datetime().nullable().optional(),
  }),
  output: z.object({}),
  refusals: [],
  command: { args: ["title"] },
  handle: async () => ({}),
});

const inputFrom = async (...argv: readonly string[]) =>
  inputOf(sample, await parse(projected(sample), argv));

test("every operation is a command, or says that it is for programs only", async (t) => {
  const { host } = await openCli(t);
  const names = new Set((await allCommands(host)).map(nameOf));

  const missing = REGISTRY.filter((op) => op.command !== null)
    .map((op) => commandPath(op).join(" "))
    .filter((name) => !names.has(name));

  assert.deepEqual(missing, []);
});

test("what is for programs only but wanted by people has a command made by hand", async (t) => {
  const { host } = await openCli(t);
  const names = new Set((await allCommands(host)).map(nameOf));
  const byHand: Readonly<Record<string, string>> = {
    "events.list": "events",
    "models.cooldowns": "models list",
    "system.status": "status",
    "tasks.counts": "status",
  };
  const forReading = REGISTRY.filter((op) => op.command === null && op.permission === "read");

  const unreachable = forReading
    .filter((op) => op.name !== "tasks.find")
    .filter((op) => !names.has(byHand[op.name] ?? ""));

  assert.deepEqual(
    unreachable.map((op) => op.name),
    [],
  );
});

test("no two commands share a name, and no option of one hides an option of all", async (t) => {
  const { host } = await openCli(t);
  const specs = await allCommands(host);
  const globals = new Set(GLOBAL_OPTIONS.map((option) => option.name));

  const clashes = specs.flatMap((spec) =>
    spec.options
      .filter((option) => globals.has(option.name))
      .map((option) => `${nameOf(spec)} --${option.name}`),
  );

  assert.equal(new Set(specs.map(nameOf)).size, specs.length);
  assert.deepEqual(clashes, []);
});

test("the front page names only commands and verbs there are", async (t) => {
  const { host } = await openCli(t);
  const specs: readonly CommandSpec[] = await allCommands(host);
  const rows = FRONT_PAGE.flatMap(({ rows: all }) => all);

  for (const [left, right] of rows) {
    const [first = ""] = left.split(" ");
    const verbs = specs.filter(({ path }) => path[0] === first).map(({ path }) => path[1]);
    assert.notEqual(verbs.length, 0, first);
    if (verbs[0] === undefined) continue;
    for (const verb of right.split(", ")) assert.ok(verbs.includes(verb), `${first} ${verb}`);
  }
});

test("fields are read by their kind", async () => {
  const input = await inputFrom(
    "A title",
    ...["--count", "3", "--is-loud", "--kind", "large"],
    ...["--tags", "a", "--tags", "b", "--parts", '{"size": 2}', "--parts", '[{"size": 3}]'],
    ...[
      "--labels",
      "team=core",
      "--inputs",
      "n=3",
      "--inputs",
      "text=plain words",
      "--inputs",
      '{"deep": {"x": 1}}',
    ],
    ...["--budget", "costUsd=2.5", "--budget", "note=7", "--place", '{"kind":"none"}'],
  );

  assert.deepEqual(input, {
    title: "A title",
    count: 3,
    isLoud: true,
    kind: "large",
    tags: ["a", "b"],
    parts: [{ size: 2 }, { size: 3 }],
    labels: { team: "core" },
    inputs: { n: 3, text: "plain words", deep: { x: 1 } },
    budget: { costUsd: 2.5, note: "7" },
    place: { kind: "none" },
  });
});

test("what is not written is not sent: defaults are the hub's own", async () => {
  assert.deepEqual(await inputFrom("A title"), { title: "A title" });
  assert.deepEqual(await inputFrom("A title", "--deadline", "none"), {
    title: "A title",
    deadline: null,
  });
});

test("a value of the wrong kind is refused with the option's name", async () => {
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [["T", "--count", "many"], /--count takes a number, not "many"/],
    [["T", "--place", "{none}"], /--place takes JSON/],
    [["T", "--labels", "team"], /--labels takes KEY=VALUE or JSON, not "team"/],
    [
      ["T", "--kind", "larg"],
      /--kind can't be "larg"\. Did you mean large\? It is one of small, large\./,
    ],
  ];

  for (const [argv, message] of wrong) await assert.rejects(inputFrom(...argv), message);
});

test("words after -- are never options", async () => {
  assert.deepEqual(await inputFrom("--", "--not-an-option"), { title: "--not-an-option" });
});
