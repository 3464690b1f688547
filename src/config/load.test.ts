import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import { CadreError } from "../platform/index.ts";
import { config as schema } from "./config.ts";
import { type Fields, isFields, overlay } from "./layers.ts";
import { isLoopback, loadConfig } from "./load.ts";

type Files = { readonly [path: string]: string };
type Env = { readonly [name: string]: string };

/** A temporary folder holding these files, gone after the test. */
async function folderWith(t: TestContext, files: Files): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "cadre-config-")));
  t.after(() => rm(folder, { recursive: true, force: true }));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  return folder;
}

const worldOf = (env: Env = {}) => ({ env: (name: string) => env[name] || undefined });

async function refused(load: Promise<unknown>): Promise<CadreError> {
  return load.then(
    () => assert.fail("the configuration was accepted"),
    (error) => {
      assert.ok(error instanceof CadreError, String(error));
      assert.equal(error.code, "invalid_config");
      return error;
    },
  );
}

test("nothing configured gives the defaults, with absolute paths", async (t) => {
  const cwd = await folderWith(t, {});

  const loaded = await loadConfig({ world: worldOf(), cwd });

  assert.deepEqual(loaded.files, []);
  assert.deepEqual(loaded.notices, []);
  assert.equal(loaded.home, join(cwd, ".cadre"));
  assert.deepEqual(loaded.config, {
    ...schema.parse({}),
    home: join(cwd, ".cadre"),
    agents: { folder: join(cwd, "agents"), list: [] },
  });
});

test("each layer wins over the one below: default, project, user, environment, flags", async (t) => {
  const cwd = await folderWith(t, {
    "p/cadre.yaml": "listen:\n  port: 1001\nnode:\n  slots: 1\n  leaseMs: 1001\n",
    "home/.config/cadre/config.yaml": "listen:\n  port: 1002\nnode:\n  slots: 2\n",
  });
  const load = (env: Env, flags: object) =>
    loadConfig({ world: worldOf(env), cwd: join(cwd, "p"), flags: { ...flags } });
  const HOME = join(cwd, "home");

  const project = await load({}, {});
  const user = await load({ HOME }, {});
  const environment = await load({ HOME, CADRE_PORT: "1003" }, {});
  const flags = await load({ HOME, CADRE_PORT: "1003" }, { listen: { port: 1004 } });

  assert.deepEqual(
    [project, user, environment, flags].map(({ config, origin }) => [
      config.listen.port,
      config.node.slots,
      config.node.leaseMs,
      origin("listen.port"),
    ]),
    [
      [1001, 1, 1001, { layer: "project", source: "cadre.yaml:2" }],
      [1002, 2, 1001, { layer: "user", source: `${HOME}/.config/cadre/config.yaml:2` }],
      [1003, 2, 1001, { layer: "environment", source: "CADRE_PORT" }],
      [1004, 2, 1001, { layer: "flags", source: "the command line" }],
    ],
  );
  assert.deepEqual(flags.origin("tools.sandbox"), { layer: "default", source: "the default" });
  assert.deepEqual(flags.files, [join(cwd, "p/cadre.yaml"), `${HOME}/.config/cadre/config.yaml`]);
});

test("the project file is found above, but never above the repository's root", async (t) => {
  const cwd = await folderWith(t, {
    "cadre.yaml": "node: {slots: 1}\n",
    "repo/.git/HEAD": "",
    "repo/src/deep/x": "",
    "with/.git": "gitdir: elsewhere\n",
    "with/cadre.yaml": "node: {slots: 7}\n",
    "with/src/x": "",
  });

  const outside = await loadConfig({ world: worldOf(), cwd: join(cwd, "repo/src/deep") });
  const found = await loadConfig({ world: worldOf(), cwd: join(cwd, "with/src") });

  assert.equal(outside.config.node.slots, 16);
  assert.equal(outside.home, join(cwd, "repo/.cadre"));
  assert.equal(found.config.node.slots, 7);
  assert.equal(found.home, join(cwd, "with/.cadre"));
  assert.equal(found.project, join(cwd, "with"));
});

test("without a repository only the current folder is looked at", async (t) => {
  const cwd = await folderWith(t, { "cadre.yaml": "node: {slots: 1}\n", "a/b/x": "" });

  const loaded = await loadConfig({ world: worldOf(), cwd: join(cwd, "a/b") });

  assert.deepEqual([loaded.config.node.slots, loaded.home], [16, join(cwd, "a/b/.cadre")]);
});

test("a path is relative to the file, or the folder, that says it", async (t) => {
  const cwd = await folderWith(t, {
    "p/.git/HEAD": "",
    "p/cadre.yaml":
      "home: state\nagents: {folder: team}\nlisten: {tls: {cert: c.pem, key: /k.pem}}\n",
    "p/sub/x": "",
    "h/.config/cadre/config.yaml": "models: {rehearsal: scripts}\n",
  });
  const at = join(cwd, "p/sub");

  const { config } = await loadConfig({ world: worldOf({ HOME: join(cwd, "h") }), cwd: at });
  const moved = await loadConfig({
    world: worldOf({ CADRE_HOME: "elsewhere" }),
    cwd: at,
    flags: { agents: { folder: "mine" } },
  });

  assert.equal(config.home, join(cwd, "p/state"));
  assert.equal(config.agents.folder, join(cwd, "p/team"));
  assert.deepEqual(config.listen.tls, { cert: join(cwd, "p/c.pem"), key: "/k.pem" });
  assert.equal(config.models.rehearsal, join(cwd, "h/.config/cadre/scripts"));
  assert.equal(moved.home, join(at, "elsewhere"));
  assert.equal(moved.config.agents.folder, join(at, "mine"));
});

test("lists replace, maps merge, an empty section says nothing", async (t) => {
  const cwd = await folderWith(t, {
    "cadre.yaml":
      "agents:\n  list: [{name: a}, {name: b}]\nmodels:\n  providers:\n    x: {kind: openai}\ntools:\n",
    "h/.config/cadre/config.yaml":
      "agents:\n  list: [{name: c}]\nmodels:\n  providers:\n    y: {kind: google}\n",
  });

  const { config } = await loadConfig({ world: worldOf({ HOME: join(cwd, "h") }), cwd });

  assert.deepEqual(config.agents.list, [{ name: "c" }]);
  assert.deepEqual(config.models.providers, { x: { kind: "openai" }, y: { kind: "google" } });
  assert.equal(config.tools.sandbox, "auto");
});

test("another store engine replaces the lower one whole", async (t) => {
  const cwd = await folderWith(t, {
    "cadre.yaml": "store:\n  engine: postgres\n  url: postgres://db/cadre\n  poolMax: 3\n",
  });
  const load = (CADRE_STORE: string) => loadConfig({ world: worldOf({ CADRE_STORE }), cwd });

  assert.deepEqual((await load("sqlite")).config.store, { engine: "sqlite" });
  assert.deepEqual((await load("postgres://other/db")).config.store, {
    engine: "postgres",
    url: "postgres://other/db",
    poolMax: 3,
  });
  assert.match(
    (await refused(load("mysql://x"))).message,
    /The store must be sqlite or a postgres/,
  );
});

test("every problem of every layer is told at once, each in its own place", async (t) => {
  const cwd = await folderWith(t, {
    "cadre.yaml": "listen:\n  prt: 1\n",
    "h/.config/cadre/config.yaml": "\ntools:\n  sandbox: nne\n",
  });
  const HOME = join(cwd, "h");

  const error = await refused(
    loadConfig({
      world: worldOf({ HOME, CADRE_PORT: "many", CADRE_MODEL: "sonnet" }),
      cwd,
      flags: { node: { slots: 0 } },
    }),
  );

  for (const line of [
    'cadre.yaml:2: There is no field "prt" in "listen". Did you mean "port"?',
    'h/.config/cadre/config.yaml:3: "tools.sandbox" must be one of: auto, none; not "nne". Did you mean "none"?',
    'CADRE_PORT: "listen.port" must be a number, not text.',
    'CADRE_MODEL: "models.default": Write a model as provider/model, for example anthropic/claude-sonnet-4-5.',
    'the command line: "node.slots": Too small: expected number to be >=1',
  ]) {
    assert.ok(error.message.includes(`\n  ${line}`), `${line}\nnot in\n${error.message}`);
  }
});

for (const [what, text, message] of [
  ["a duplicate key", "home: a\nhome: b\n", 'cadre.yaml:2: The field "home" stands here twice.'],
  [
    "an alias",
    "home: &h a\nagents: {folder: *h}\n",
    "cadre.yaml:2: Aliases are not allowed: write out what *h means.",
  ],
  ["a list", "- home\n", "cadre.yaml:1: Expected a map of fields, such as `listen:`."],
] as const) {
  test(`${what} in the project file is refused with its line`, async (t) => {
    const cwd = await folderWith(t, { "cadre.yaml": text });

    assert.equal((await refused(loadConfig({ world: worldOf(), cwd }))).message, message);
  });
}

test("an empty file is an empty layer", async (t) => {
  const cwd = await folderWith(t, { "cadre.yaml": "# nothing yet\n" });

  assert.equal((await loadConfig({ world: worldOf(), cwd })).config.listen.port, 4141);
});

test("a home that is missing or no folder is no error", async (t) => {
  const cwd = await folderWith(t, { file: "" });

  for (const HOME of ["", "/nonexistent", join(cwd, "file")]) {
    assert.deepEqual((await loadConfig({ world: worldOf({ HOME }), cwd })).notices, []);
  }
});

test("a user file that can't be read is left out, and that is said", async (t) => {
  const cwd = await folderWith(t, { "h/.config/cadre/config.yaml/inside": "" });

  const { notices } = await loadConfig({ world: worldOf({ HOME: join(cwd, "h") }), cwd });

  assert.equal(notices.length, 1);
  assert.match(notices[0] ?? "", /config\.yaml was left out: EISDIR/);
});

test("a file asked for by name must be there, and replaces the project's", async (t) => {
  const cwd = await folderWith(t, {
    "cadre.yaml": "node: {slots: 1}\n",
    "conf/other.yaml": "node: {slots: 2}\nhome: s\n",
  });

  const loaded = await loadConfig({ world: worldOf(), cwd, file: "conf/other.yaml" });
  const error = await refused(loadConfig({ world: worldOf(), cwd, file: "missing.yaml" }));

  assert.deepEqual([loaded.config.node.slots, loaded.home], [2, join(cwd, "conf/s")]);
  assert.equal(error.message, `${join(cwd, "missing.yaml")} can't be read: there is no such file.`);
});

test("a project file that is there but unreadable is an error", async (t) => {
  const cwd = await folderWith(t, { "cadre.yaml/inside": "" });
  await chmod(cwd, 0o755);

  assert.match((await refused(loadConfig({ world: worldOf(), cwd }))).message, /EISDIR/);
});

test("listening beyond this machine needs TLS, or the explicit flag", async (t) => {
  const tls = "tls: {cert: c, key: k}";
  const cwd = await folderWith(t, {
    "open/cadre.yaml": "home: x\nlisten:\n  host: 0.0.0.0\n",
    "tls/cadre.yaml": `listen:\n  host: 0.0.0.0\n  ${tls}\n`,
    "flag/cadre.yaml": "listen:\n  host: 0.0.0.0\n  insecureRemote: true\n",
  });
  const load = (folder: string, env: Env = {}) =>
    loadConfig({ world: worldOf(env), cwd: join(cwd, folder) });

  const error = await refused(load("open"));
  assert.match(error.message, /^cadre\.yaml:3: "listen\.host" is 0\.0\.0\.0, which other machines/);
  assert.match(error.next.join("\n"), /insecureRemote: true/);
  assert.match((await refused(load(".", { CADRE_HOST: "::" }))).message, /^CADRE_HOST: /);
  assert.equal((await load("tls")).config.listen.host, "0.0.0.0");
  assert.equal((await load("flag")).config.listen.host, "0.0.0.0");
});

test("only addresses of this machine count as loopback", () => {
  const yes = ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "::1", "[::1]"];
  const no = [
    "0.0.0.0",
    "::",
    "10.0.0.1",
    "example.com",
    "127.0.0.1.example.com",
    "128.0.0.1",
    "1270.0.0.1",
  ];

  assert.deepEqual(
    yes.filter((host) => !isLoopback(host)),
    [],
  );
  assert.deepEqual(no.filter(isLoopback), []);
});

test("an upper layer keeps all it says, and takes nothing it does not speak of", () => {
  const keys = fc.constantFrom("a", "b", "c", "__proto__");
  const { fields } = fc.letrec<{ fields: Fields; value: unknown }>((tie) => ({
    fields: fc.dictionary(keys, tie("value"), { maxKeys: 3, noNullPrototype: true }),
    value: fc.oneof({ maxDepth: 3 }, fc.integer(), fc.array(fc.integer()), tie("fields")),
  }));

  fc.assert(
    fc.property(fields, fields, (lower, upper) => {
      const both = overlay(lower, upper);

      assert.deepEqual(overlay(both, upper), both);
      assert.deepEqual(overlay(lower, {}), lower);
      for (const field of Object.keys(lower)) {
        if (!Object.hasOwn(upper, field)) assert.deepEqual(both[field], lower[field]);
      }
      for (const [field, value] of Object.entries(upper)) {
        if (!isFields(value)) assert.deepEqual(both[field], value);
      }
    }),
  );
});
