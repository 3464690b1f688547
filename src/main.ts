// The program: gives the command line what it needs of the house, loaded when it is needed.
import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { dirname, join, sep } from "node:path";
import { fileURLToPath } from "node:url";
import type { Config } from "./config/index.ts";
import {
  type CliHost,
  checkNode,
  checkPort,
  copyExample,
  type DiffStat,
  hasCommit,
  type Integration,
  processTerminal,
  reportBug,
  repositoryOf,
  runCli,
  type Where,
  writeNew,
} from "./faces/cli/index.ts";
import {
  attach,
  CONFIG_FILE,
  configFor,
  hostHub,
  open,
  type Place,
  requireModel,
  unfinished,
} from "./host.ts";
import { type Check, ERROR_CODES, realWorld, type World } from "./platform/index.ts";

const PACKAGE = dirname(dirname(fileURLToPath(import.meta.url)));
const LIBRARY = join(PACKAGE, "library");
const EXAMPLES = join(PACKAGE, "examples");

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
  const place: Place = { world, cwd, library: LIBRARY };

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
    hasCommit: (repository) => hasCommit(world, repository),
    copyExample: (name, home) => copyExample(world, { examples: EXAMPLES, name }, home),
    unfinished: (home) => unfinished(place, EXAMPLES, home),
    initialise,
    diffstat: (change) => diffstatOf(world, change),
    merge: (change) => mergeChange(world, change),
    undo: (change) => undoChange(world, change),
    reportBug: (error) => reportBug(world, version, error),
  };
}

async function operations() {
  return (await import("./registry.ts")).allOperations();
}

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
  await write(join(folder, CONFIG_FILE), FIRST_CONFIG);
  for (const { name } of agents) {
    const file = `${name}.md`;
    await write(
      join(folder, "agents", file),
      await readFile(join(LIBRARY, "teams", team, file), "utf8"),
    );
  }
  return { wrote, kept };
}
