// The program: gives the command line what it needs of the house, loaded when it is needed.
import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { dirname, join, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import type { App } from "./app.ts";
import type { Config, LoadedConfig } from "./config/index.ts";
import {
  type CliHost,
  checkNode,
  checkPort,
  copyExample,
  type DiffStat,
  type HostOptions,
  type Hub,
  type Integration,
  processTerminal,
  reportBug,
  repositoryOf,
  runCli,
  type Where,
  writeNew,
} from "./faces/cli/index.ts";
import type { CadreContract } from "./faces/contract.ts";
import {
  CadreError,
  type Check,
  ERROR_CODES,
  messageOf,
  processLog,
  readHub,
  realWorld,
  silentLog,
  type World,
} from "./platform/index.ts";

const PACKAGE = dirname(dirname(fileURLToPath(import.meta.url)));
const LIBRARY = join(PACKAGE, "library");
const EXAMPLES = join(PACKAGE, "examples");
/** Configuration that a home brings along, as a copied example does. */
const HOME_CONFIG = "cadre.yaml";

/** Runs one command line and ends the process with its exit code. */
export async function main(argv: readonly string[]): Promise<void> {
  const terminal = processTerminal();
  const host = await createHost(realWorld(), process.cwd());
  process.once("uncaughtException", (error) => dieLoudly(host, error));
  const code = await runCli(argv, host, terminal);
  // What was written must be out before the process goes, also into a slow pipe.
  process.stdout.write("", () => process.stderr.write("", () => process.exit(code)));
}

/** Nobody waited for what failed: state is durable, so the process ends and says why. */
function dieLoudly(host: CliHost, error: Error): void {
  const end = (path: string | undefined) => {
    const report = path === undefined ? "" : `\n  report written to ${path}`;
    process.stderr.write(`x This is a bug in Cadre: ${error.stack ?? error.message}${report}\n`);
    process.exit(ERROR_CODES.internal.exit);
  };
  host.reportBug(error).then(end, () => end(undefined));
}

async function createHost(world: World, cwd: string): Promise<CliHost> {
  const isCheckout =
    existsSync(join(PACKAGE, "src", "main.ts")) && !PACKAGE.includes(`${sep}node_modules${sep}`);
  const text = await readFile(join(PACKAGE, "package.json"), "utf8");
  const { version } = JSON.parse(text) as { readonly version: string };
  const place: Place = { world, cwd };

  return {
    world,
    cwd,
    version,
    program: isCheckout ? "npx cadre" : "cadre",
    operations,
    async settings(where) {
      const { home, files, config } = await configFor(place, where);
      return { home, files, port: config.listen.port };
    },
    attach: (where) => attach(place, where),
    open: (where) => open(place, where),
    host: (options) => hostHub(place, options),
    requireModel: (options) => requireModel(place, options),
    checks: (where) => checks(place, where),
    repositoryOf: (path) => repositoryOf(world, path),
    copyExample: (name, home) => copyExample(world, { examples: EXAMPLES, name }, home),
    initialise,
    diffstat: (change) => diffstatOf(world, change),
    merge: (change) => mergeChange(world, change),
    undo: (change) => undoChange(world, change),
    reportBug: (error) => reportBug(world, version, error),
  };
}

type Place = { readonly world: World; readonly cwd: string };

async function operations() {
  const [tasks, agents, hub] = await Promise.all([
    import("./tasks/index.ts"),
    import("./agents/index.ts"),
    import("./hub/index.ts"),
  ]);
  const { eventOperations } = await import("./operations/index.ts");
  // Only what the operations say of themselves is wanted here, so any facts will do.
  const facts = {
    version: "",
    engine: "sqlite",
    startedAt: "",
    home: "",
    sandbox: "",
    pid: 0,
  } as const;
  return [
    ...tasks.taskOperations,
    ...agents.agentOperations,
    ...hub.systemOperations(facts),
    ...eventOperations,
  ];
}

// ---- Configuration ------------------------------------------------------------------------

async function configFor(
  { world, cwd }: Place,
  where: Where & Partial<HostOptions>,
): Promise<LoadedConfig> {
  const { loadConfig, storeFrom } = await import("./config/index.ts");
  const listen = {
    ...(where.port === undefined ? {} : { port: where.port }),
    ...(where.host === undefined ? {} : { host: where.host }),
  };
  const flags = {
    ...(where.home === undefined ? {} : { home: resolve(cwd, where.home) }),
    ...(where.store === undefined ? {} : { store: storeFrom(where.store) }),
    ...(Object.keys(listen).length === 0 ? {} : { listen }),
  };
  const loaded = await loadConfig({ world, cwd, flags });
  const own = join(loaded.home, HOME_CONFIG);
  if (loaded.files.includes(own) || !existsSync(own)) return loaded;
  return await loadConfig({ world, cwd, file: own, flags: { ...flags, home: loaded.home } });
}

async function teamOf(loaded: LoadedConfig, team: string | undefined) {
  const { assembleTeam, loadTeam } = await import("./agents/index.ts");
  if (team !== undefined) return await loadTeam(LIBRARY, team);
  const { agents } = loaded.config;
  return await assembleTeam({
    folder: agents.folder,
    libraryFolder: LIBRARY,
    team: agents.team,
    list: agents.list,
    listSource: loaded.files[0] ?? "the configuration",
  });
}

async function requireModel(place: Place, options: Omit<HostOptions, "log">): Promise<void> {
  const loaded = await configFor(place, options);
  const { defaultModel } = await import("./models/index.ts");
  if ((loaded.config.models.default ?? defaultModel(place.world.env)) !== undefined) return;
  const team = await teamOf(loaded, options.team);
  const silent = team.filter((agent) => agent.models.length === 0).map((agent) => agent.name);
  if (silent.length === 0) return;
  throw new CadreError(
    "no_model",
    `No model can be called: no provider key is set, and ${silent.join(", ")} ${silent.length === 1 ? "names" : "name"} no model.`,
    {
      next: [
        "export ANTHROPIC_API_KEY=…        or OPENAI_API_KEY, GEMINI_API_KEY",
        "models.default in cadre.yaml      any other provider, also a local one",
        "cadre run --example first-run     plays a script, free, no model is called",
      ],
    },
  );
}

// ---- Hubs ---------------------------------------------------------------------------------

/** A hub that is just starting has taken its folder before it listens. */
const STARTING_MS_MAX = 5_000;
const LOOK_AGAIN_MS = 50;

async function attach(place: Place, where: Where): Promise<Hub | undefined> {
  const { world } = place;
  if (where.url !== undefined) return await remoteHub(place, where, where.url, undefined);
  const { home } = await configFor(place, where);
  for (let waited = 0; ; waited += LOOK_AGAIN_MS) {
    if (!existsSync(home)) return undefined;
    const facts = readHub(home);
    if (facts === undefined) return undefined;
    if (facts.url !== undefined) return await remoteHub(place, where, facts.url, home);
    if (waited >= STARTING_MS_MAX) {
      throw new CadreError(
        "not_ready",
        `The hub of ${home} (pid ${facts.pid}) does not listen yet. Try again.`,
      );
    }
    await world.clock.sleep(LOOK_AGAIN_MS);
  }
}

async function remoteHub(
  place: Place,
  where: Where,
  url: string,
  home: string | undefined,
): Promise<Hub> {
  const { remoteClient } = await import("./operations/index.ts");
  const token = await tokenFor(place, where, home);
  const client = remoteClient<CadreContract>({ url, token, world: place.world });
  return {
    client,
    url,
    home,
    isDefaultHome: where.home === undefined,
    kind: "attached",
    stop: () => client.close(),
  };
}

async function tokenFor(place: Place, where: Where, home: string | undefined): Promise<string> {
  const given = place.world.env("CADRE_TOKEN");
  if (given !== undefined) return given;
  const file = join(home ?? (await configFor(place, where)).home, "token");
  try {
    return (await readFile(file, "utf8")).trim();
  } catch (error) {
    throw new CadreError(
      "unauthenticated",
      `No token to show to the hub: ${file} can't be read (${messageOf(error)}).`,
      {
        next: ["export CADRE_TOKEN=…     the text of the hub's token file"],
        cause: error,
      },
    );
  }
}

async function open(place: Place, where: Where): Promise<Hub> {
  const running = await attach(place, where);
  if (running !== undefined) return running;
  const loaded = await configFor(place, where);
  const { home, config } = loaded;
  if (config.store.engine === "sqlite" && !existsSync(join(home, "cadre.db"))) {
    throw new CadreError("not_ready", `Nothing was started yet in ${home}.`, {
      next: ['cadre run "OBJECTIVE"', "cadre up"],
    });
  }
  const { createApp } = await import("./app.ts");
  const app = await createApp({
    config,
    home,
    world: place.world,
    log: silentLog,
    listen: false,
    works: false,
  });
  return hubOf(app, home, where, "store");
}

async function hostHub(place: Place, options: HostOptions): Promise<Hub> {
  const { world } = place;
  const loaded = await configFor(place, options);
  const { config, home } = loaded;
  const agents = await teamOf(loaded, options.team);
  const log = processLog(world, options.log === "file" ? join(home, "cadre.log") : undefined);
  for (const notice of loaded.notices) log.warn({}, notice);
  const rehearsalFolder = config.models.rehearsal;
  const { createApp } = await import("./app.ts");
  const app = await createApp({
    config,
    home,
    world,
    log,
    listen: true,
    agents,
    ...(rehearsalFolder === undefined ? {} : { rehearsalFolder }),
  });
  return hubOf(app, home, options, "hosted");
}

const hubOf = (app: App, home: string, where: Where, kind: Hub["kind"]): Hub => ({
  client: app.client,
  url: app.url,
  home,
  isDefaultHome: where.home === undefined,
  kind,
  stop: (how) => app.stop(how),
});

// ---- Doctor -------------------------------------------------------------------------------

async function checks(place: Place, where: Where): Promise<readonly Check[]> {
  const { world, cwd } = place;
  const { home, config } = await configFor(place, where);
  const [{ checkStore }, { checkGit, checkSandbox }, { checkProviders }] = await Promise.all([
    import("./platform/index.ts"),
    import("./tools/index.ts"),
    import("./models/index.ts"),
  ]);
  const store =
    config.store.engine === "sqlite"
      ? { engine: "sqlite" as const, file: join(home, "cadre.db") }
      : config.store;
  const [storeCheck, sandbox, git, providers, port] = await Promise.all([
    checkStore(store),
    checkSandbox(world),
    checkGit(world, cwd),
    checkProviders(world, config.models),
    checkPort(home, config.listen),
  ]);
  return [checkNode(), storeCheck, accepted(sandbox, config), git, ...providers, port];
}

/** No walls at all were asked for: agents can run, and the person should know how. */
function accepted(check: Check, config: Config): Check {
  if (config.tools.sandbox !== "none") return check;
  return {
    name: check.name,
    level: "warn",
    found: `none, as configured: commands of agents run without walls. ${check.found}`,
    mend: ["unset CADRE_SANDBOX, or tools.sandbox: auto in cadre.yaml"],
  };
}

// ---- Repositories -------------------------------------------------------------------------

type Change = { readonly repository: string; readonly root: string };

async function diffstatOf(world: World, change: Change): Promise<DiffStat> {
  const { diffstat } = await import("./tools/index.ts");
  const { files, insertions, deletions, commits } = await diffstat({ world }, change);
  return { files: files.length, insertions, deletions, commits, paths: files };
}

async function mergeChange(world: World, change: Change): Promise<Integration> {
  const { integrate } = await import("./tools/index.ts");
  const { kind, branch, from, commit } = await integrate({ world }, change);
  const where = `${branch} at ${commit.slice(0, 10)}`;
  if (kind === "already") return { sentence: `${from} was merged before; ${where}.`, next: [] };
  return { sentence: `${from} is merged into ${where}.`, next: [`cadre runs undo ${change.root}`] };
}

async function undoChange(world: World, change: Change): Promise<Integration> {
  const { undo } = await import("./tools/index.ts");
  const undone = await undo({ world }, change);
  if (undone.kind === "nothing") return { sentence: undone.why, next: undone.next };
  const how = undone.kind === "reset" ? "stands where it stood" : "has a commit that takes it back";
  return {
    sentence: `Taken back: ${undone.branch} ${how}, at ${undone.commit.slice(0, 10)}.`,
    next: [],
  };
}

// ---- Files --------------------------------------------------------------------------------

const FIRST_CONFIG = `# Every field has a default: delete what you don't change.
agents:
  folder: agents
# models:
#   default: anthropic/claude-sonnet-4-5   # else: by which provider key is set
# listen:
#   port: 4141
`;

async function initialise({ folder, team }: { readonly folder: string; readonly team: string }) {
  const { loadTeam } = await import("./agents/index.ts");
  // Read first: a team that does not exist must leave nothing behind.
  const agents = await loadTeam(LIBRARY, team);
  const wrote: string[] = [];
  const kept: string[] = [];
  const write = async (file: string, text: string) => {
    ((await writeNew(file, text)) ? wrote : kept).push(file);
  };
  await mkdir(join(folder, "agents"), { recursive: true });
  await write(join(folder, HOME_CONFIG), FIRST_CONFIG);
  for (const { name } of agents) {
    const file = `${name}.md`;
    await write(
      join(folder, "agents", file),
      await readFile(join(LIBRARY, "teams", team, file), "utf8"),
    );
  }
  return { wrote, kept };
}
