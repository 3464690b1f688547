import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { CadreError, type ErrorCode } from "../platform/index.ts";
import {
  agentsOfList,
  assembleTeam,
  implicitAgent,
  loadAgents,
  loadTeam,
  parseAgentFile,
} from "./definition-file.ts";

const LIBRARY = join(import.meta.dirname, "../../library");

const file = (front: string, body = "You code.") => `---\n${front}\n---\n\n${body}\n`;
const parse = (front: string, body?: string) => parseAgentFile(file(front, body), "agents/x.md");

const refusal =
  (code: ErrorCode, ...patterns: RegExp[]) =>
  (error: unknown) => {
    assert.ok(error instanceof CadreError, String(error));
    assert.equal(error.code, code);
    for (const pattern of patterns) assert.match(error.message, pattern);
    return true;
  };

async function folderOf(t: TestContext, files: { readonly [path: string]: string }) {
  const folder = await mkdtemp(join(tmpdir(), "cadre-agents-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  return folder;
}

test("a file with only a name and a description is an agent with the defaults", () => {
  const agent = parse("name: coder\ndescription: Writes code.");

  assert.equal(agent.prompt, "You code.");
  assert.deepEqual(agent.roles, ["worker"]);
  assert.deepEqual(agent.models, []);
  assert.equal(agent.tools, undefined);
  assert.equal(agent.limits.stepsMax, 100);
  assert.equal(agent.source, "agents/x.md");
  assert.match(agent.version, /^[0-9a-f]{64}$/);
});

test("a coding agent's own file is understood: tools as text, their names, inherit, color", () => {
  const agent = parse(
    "name: reviewer\ndescription: Use when: a diff is ready, or asked\ntools: Read, Grep, Bash, Grep\nmodel: inherit\ncolor: blue",
  );

  assert.equal(agent.description, "Use when: a diff is ready, or asked");
  assert.deepEqual(agent.tools, ["read", "grep", "shell"]);
  assert.deepEqual(agent.models, []);
});

test("one model may be written as model, several as models, not both", () => {
  const one = parse("name: a\ndescription: d\nmodel: anthropic/claude-sonnet-4-5");
  const two = parse("name: a\ndescription: d\nmodels: [openai/gpt-5.2, google/gemini-3]");

  assert.deepEqual(one.models, ["anthropic/claude-sonnet-4-5"]);
  assert.deepEqual(two.models, ["openai/gpt-5.2", "google/gemini-3"]);
  assert.throws(
    () => parse("name: a\ndescription: d\nmodel: x/y\nmodels: [x/z]"),
    refusal("invalid_agent", /x\.md:4: .*either "model" or "models"/),
  );
});

const wrong: readonly (readonly [string, string, RegExp])[] = [
  ["a field with a typo", "name: a\ndescripton: d", /x\.md:3: .*"descripton".*mean "description"/],
  [
    "a model without a provider",
    "name: a\ndescription: d\nmodel: sonnet",
    /x\.md:4: .*provider\/m/,
  ],
  ["a name with capitals", "name: My Agent\ndescription: d", /x\.md:2: .*a-z, 0-9 and dash/],
  ["a field that stands twice", "name: a\ndescription: d\nname: b", /x\.md:4: .*"name".*twice/],
  ["an alias", "name: &n a\ndescription: *n", /x\.md:3: Aliases are not allowed/],
  ["broken YAML", "name: a\ndescription: d\ntools: [read", /x\.md:\d+: /],
  [
    "a wrong limit",
    "name: a\ndescription: d\nlimits:\n  stepsMax: many",
    /x\.md:5: "limits\.stepsMax" must be/,
  ],
  ["an unknown role", "name: a\ndescription: d\nroles: [plnner]", /x\.md:4: .*mean "planner"/],
];

for (const [name, front, sentence] of wrong) {
  test(`${name} is told with file, line and what would be right`, () => {
    assert.throws(() => parse(front), refusal("invalid_agent", sentence));
  });
}

test("all that is wrong in a file is told at once", () => {
  assert.throws(
    () => parse("nam: a\ndescription: d\ntoolz: x"),
    refusal("invalid_agent", /x\.md:2: .*mean "name"/, /x\.md:4: .*mean "tools"/),
  );
});

test("a file without front matter is told what an agent file looks like", () => {
  assert.throws(
    () => parseAgentFile("# Just notes\n", "agents/x.md"),
    refusal("invalid_agent", /x\.md:1: .*starts with a line "---"/),
  );
});

test("Windows line ends, a byte order mark and a rule in the prompt are no obstacle", () => {
  const text =
    "\uFEFF---\r\nname: a\r\ndescription: d\r\n---\r\nAbove.\r\n\r\n---\r\n\r\nBelow.\r\n";

  const agent = parseAgentFile(text, "a.md");

  assert.equal(agent.name, "a");
  assert.equal(agent.prompt, "Above.\r\n\r\n---\r\n\r\nBelow.");
});

test("a prompt beyond its bound is refused with its length", () => {
  assert.throws(
    () => parse("name: a\ndescription: d", "x".repeat(200_001)),
    refusal("invalid_agent", /200001 characters/),
  );
});

test("the version depends on what the definition says, not on how or where it is written", () => {
  const one = parseAgentFile(file("name: a\ndescription: d\ntools: Read"), "one.md");
  const same = parseAgentFile(file("tools:\n  - read\ndescription: 'd'\nname: a"), "two.md");
  const other = parseAgentFile(file("name: a\ndescription: d\ntools: Read", "Else."), "one.md");

  assert.equal(one.version, same.version);
  assert.notEqual(one.version, other.version);
});

test("a folder is read whole: sorted by name, without its README", async (t) => {
  const folder = await folderOf(t, {
    "1.md": file("name: zoe\ndescription: d"),
    "2.md": file("name: abe\ndescription: d"),
    "README.md": "# How we work",
    "notes.txt": "no agent",
  });

  const agents = await loadAgents(folder);

  assert.deepEqual(
    agents.map(({ name }) => name),
    ["abe", "zoe"],
  );
});

test("two files with one name are refused, naming both", async (t) => {
  const folder = await folderOf(t, {
    "1.md": file("name: abe\ndescription: d"),
    "2.md": file("name: abe\ndescription: e"),
  });

  await assert.rejects(loadAgents(folder), refusal("invalid_agent", /"abe"/, /1\.md/, /2\.md/));
});

test("the problems of all files of a folder are told at once", async (t) => {
  const folder = await folderOf(t, { "1.md": "nothing", "2.md": file("name: a\ndescripton: d") });

  await assert.rejects(loadAgents(folder), refusal("invalid_agent", /1\.md:1: /, /2\.md:3: /));
});

test("a missing folder and an unknown team are not found, with the nearest name", async (t) => {
  const folder = await folderOf(t, {});

  await assert.rejects(loadAgents(join(folder, "no")), refusal("not_found", /no can't be read/));
  await assert.rejects(loadTeam(LIBRARY, "sofware"), refusal("not_found", /mean "software"/));
});

test("an error in the configuration's list names its place", () => {
  assert.throws(
    () => agentsOfList([{ name: "a", description: "d" }, { nme: "b" }], "cadre.yaml"),
    refusal("invalid_agent", /agents\.list\[1\]\.nme: .*mean "name"/),
  );
});

test("the list's agents are like those of files, down to the version", () => {
  const [listed] = agentsOfList(
    [{ name: "a", description: "d", tools: "Read", prompt: "You code." }],
    "cadre.yaml",
  );

  assert.equal(listed?.version, parse("name: a\ndescription: d\ntools: [read]").version);
  assert.equal(listed?.source, "cadre.yaml: agents.list[0]");
});

test("the team is the folder's, else the library's, and the list; else main alone", async (t) => {
  const folder = await folderOf(t, { "a/abe.md": file("name: abe\ndescription: d") });
  const base = { libraryFolder: LIBRARY, list: [], listSource: "cadre.yaml" };
  const names = async (sources: Partial<Parameters<typeof assembleTeam>[0]>) =>
    (await assembleTeam({ ...base, folder: join(folder, "none"), ...sources })).map((a) => a.name);
  const list = [{ name: "zoe", description: "d" }];

  assert.deepEqual(await names({}), ["main"]);
  assert.deepEqual(await names({ list }), ["zoe"]);
  assert.deepEqual(await names({ team: "software" }), ["coder", "planner", "reviewer", "tester"]);
  assert.deepEqual(await names({ folder: join(folder, "a"), team: "software", list }), [
    "abe",
    "zoe",
  ]);
  await assert.rejects(
    names({ folder: join(folder, "a"), list: [{ name: "abe", description: "d" }] }),
    refusal("invalid_agent", /Two agents are called "abe"/),
  );
});

test("everything that ships is valid, and a planner leads each team", async () => {
  const team = await loadTeam(LIBRARY, "software");

  assert.deepEqual(
    team.filter(({ roles }) => roles.includes("planner")).map(({ name }) => name),
    ["planner"],
  );
  for (const agent of team) {
    assert.ok(agent.prompt.length > 200, agent.name);
    assert.deepEqual(agent.models, [], `${agent.name} runs on whichever model is configured`);
  }
  assert.equal(implicitAgent().name, "main");
});

test("the first run's team is valid, and its broken variant differs in the coder alone", async () => {
  const example = join(import.meta.dirname, "../../examples/first-run");

  const team = await loadAgents(join(example, "agents"));
  const scripts = await readdir(join(example, "rehearsal"));
  const read = (folder: string, script: string) => readFile(join(example, folder, script), "utf8");
  const differing: string[] = [];
  for (const script of scripts) {
    const [whole, broken] = [
      await read("rehearsal", script),
      await read("rehearsal-broken", script),
    ];
    if (whole !== broken) differing.push(script);
  }

  assert.deepEqual(
    team.map(({ models }) => `${models[0]?.replace("rehearsal/", "")}.yaml`),
    scripts.sort(),
  );
  assert.deepEqual(differing, ["coder.yaml"]);
});
