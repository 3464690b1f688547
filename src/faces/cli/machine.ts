// This machine as the command line meets it: repositories, examples, ports, reports of bugs.
import { existsSync } from "node:fs";
import { access, constants, cp, mkdir, readdir, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, relative, sep } from "node:path";
import {
  CadreError,
  type Check,
  iso,
  messageOf,
  readHub,
  type World,
} from "../../platform/index.ts";
import type { Example } from "./host.ts";

// ---- Repositories -------------------------------------------------------------------------

const GIT_MS_MAX = 30_000;
const GIT_BYTES_MAX = 64 * 1024;

async function git(world: World, cwd: string, args: readonly string[]) {
  const env = Object.fromEntries(
    ["PATH", "HOME"].flatMap((name) => {
      const value = world.env(name);
      return value === undefined ? [] : [[name, value]];
    }),
  );
  try {
    return await world.processes.run({
      argv: ["git", ...args],
      cwd,
      env: { ...env, GIT_TERMINAL_PROMPT: "0", LC_ALL: "C" },
      timeoutMs: GIT_MS_MAX,
      outputBytesMax: GIT_BYTES_MAX,
    });
  } catch (error) {
    throw new CadreError("workspace_failed", `git can't be started: ${messageOf(error)}`, {
      next: ["apt install git", "cadre doctor"],
      cause: error,
    });
  }
}

export async function repositoryOf(world: World, path: string): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory() !== true) {
    throw new CadreError("not_found", `There is no folder ${path}.`, { next: ["--repo PATH"] });
  }
  const exit = await git(world, path, ["rev-parse", "--show-toplevel"]);
  return exit.code === 0 ? exit.stdout.trim() : undefined;
}

/** Agents work in work trees, and a work tree starts from a commit. */
export async function hasCommit(world: World, repository: string): Promise<boolean> {
  const exit = await git(world, repository, ["rev-parse", "--verify", "--quiet", "HEAD"]);
  return exit.code === 0;
}

// ---- Homes ---------------------------------------------------------------------------------

/** Makes the folder of a state. Errors: `store_read_only` with the reason, and what else to name. */
export async function makeHome(home: string): Promise<void> {
  try {
    await mkdir(home, { recursive: true, mode: 0o700 });
    await access(home, constants.W_OK);
  } catch (error) {
    throw new CadreError(
      "store_read_only",
      `The state's folder ${home} can't be written: ${messageOf(error)}.`,
      {
        details: { home },
        next: [
          "CADRE_HOME=PATH     a folder you may write, for all commands",
          "cadre … --home PATH",
        ],
        cause: error,
      },
    );
  }
}

// ---- Examples -----------------------------------------------------------------------------

const EXAMPLE_OBJECTIVE = "Fix the failing tests";
/** An example may be played in another way, `NAME/VARIANT`: with this configuration as its own. */
const VARIANT_FILE = /^cadre\.([a-z0-9-]+)\.yaml$/;

/** Copies one of the shipped examples into a home of its own below `home`. Errors: `not_found`. */
export async function copyExample(
  world: World,
  from: { readonly examples: string; readonly name: string },
  home: string,
): Promise<Example> {
  const names = await exampleNames(from.examples);
  if (!names.includes(from.name)) {
    throw new CadreError(
      "not_found",
      `There is no example "${from.name}". There are: ${names.join(", ")}.`,
      { next: names.map((one) => `cadre run --example ${one}`) },
    );
  }
  const [name = "", variant] = from.name.split("/");
  const source = join(from.examples, name);
  await makeHome(home);
  const folder = await freshFolder(join(home, name));
  await keepOutOfGit(home);
  // Built or installed things of someone who tried the example by hand are no part of it.
  const isOurs = (path: string) => !relative(source, path).split(sep).includes("node_modules");
  await cp(source, folder, { recursive: true, filter: isOurs });
  if (variant !== undefined) {
    await cp(join(source, `cadre.${variant}.yaml`), join(folder, "cadre.yaml"));
  }
  const project = join(folder, "project");
  // npm leaves files of this name out of a package.
  await writeNew(join(project, ".gitignore"), "node_modules/\n");
  await startRepository(world, project);
  return { home: folder, project, objective: EXAMPLE_OBJECTIVE };
}

/** `first-run`, `first-run/broken`: every example, each followed by its variants. */
async function exampleNames(examples: string): Promise<readonly string[]> {
  const entries = await readdir(examples, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  const all = names.sort().map(async (name) => {
    const files = (await readdir(join(examples, name))).sort();
    const variants = files.flatMap((file) => VARIANT_FILE.exec(file)?.[1] ?? []);
    return [name, ...variants.map((variant) => `${name}/${variant}`)];
  });
  return (await Promise.all(all)).flat();
}

/** Homes of examples that were played below `home`, newest first. */
export async function playedHomes(examples: string, home: string): Promise<readonly string[]> {
  const names = (await exampleNames(examples)).filter((name) => !name.includes("/"));
  const played = names.map(async (name) => {
    const folder = join(home, name);
    const numbers = existsSync(folder) ? (await readdir(folder)).map(Number) : [];
    return numbers
      .filter((number) => number > 0)
      .sort((a, b) => b - a)
      .map((number) => join(folder, String(number)));
  });
  return (await Promise.all(played)).flat();
}

const AUTHOR = ["user.name=Cadre", "user.email=cadre@cadre.invalid", "commit.gpgsign=false"];

async function startRepository(world: World, folder: string): Promise<void> {
  const commands = [
    ["init", "--quiet", "--initial-branch=main"],
    ["add", "--all"],
    [...AUTHOR.flatMap((setting) => ["-c", setting]), "commit", "--quiet", "--message=Start"],
  ];
  for (const args of commands) {
    const exit = await git(world, folder, args);
    if (exit.code === 0) continue;
    throw new CadreError(
      "workspace_failed",
      `git ${args.at(-1)} failed in ${folder}: ${exit.stderr.trim()}`,
      { next: ["cadre doctor"] },
    );
  }
}

/** A folder nobody has: made by this call, also when two ask at the same moment. */
async function freshFolder(parent: string): Promise<string> {
  await mkdir(parent, { recursive: true, mode: 0o700 });
  for (let number = 1; ; number++) {
    const folder = join(parent, String(number));
    try {
      await mkdir(folder);
      return folder;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
  }
}

/** The state's folder often lies in a repository; it is never part of it. */
async function keepOutOfGit(home: string): Promise<void> {
  await writeNew(join(home, ".gitignore"), "*\n");
}

/** True when the file was not there. */
export async function writeNew(file: string, text: string): Promise<boolean> {
  try {
    await writeFile(file, text, { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

// ---- Doctor -------------------------------------------------------------------------------

const NODE_MAJOR_MIN = 24;

export function checkNode(): Check {
  const isOk = Number(process.versions.node.split(".")[0]) >= NODE_MAJOR_MIN;
  return {
    name: "Node",
    level: isOk ? "ok" : "fail",
    found: `${process.versions.node} (${NODE_MAJOR_MIN} or later)`,
    mend: isOk ? [] : ["https://nodejs.org"],
  };
}

export async function checkPort(
  home: string,
  listen: { readonly host: string; readonly port: number },
): Promise<Check> {
  const name = `Port ${listen.port}`;
  const running = existsSync(home) ? readHub(home) : undefined;
  if (running !== undefined) {
    return {
      name,
      level: "ok",
      found: `the hub of ${home} runs, pid ${running.pid}, ${running.url ?? "not listening"}`,
      mend: [],
    };
  }
  return await new Promise((answer) => {
    const server = createServer();
    server.once("error", (error) => {
      answer({
        name,
        level: "warn",
        found: `taken by another program (${messageOf(error)})`,
        mend: ["cadre up --port 0"],
      });
    });
    server.listen(listen.port, listen.host, () => {
      server.close(() => answer({ name, level: "ok", found: "free", mend: [] }));
    });
  });
}

// ---- Bugs ---------------------------------------------------------------------------------

export async function reportBug(
  world: World,
  version: string,
  error: Error,
): Promise<string | undefined> {
  const at = iso(world.clock.now());
  const file = join(tmpdir(), `cadre-bug-${at.replace(/[:.]/g, "-")}.txt`);
  const parts = [`Cadre ${version}, Node ${process.versions.node}, ${process.platform}, ${at}`];
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause)
    parts.push(cause.stack ?? cause.message);
  // The bug itself is told in any case; a full disk must not hide it.
  return await writeFile(file, `${parts.join("\n\n")}\n`, { mode: 0o600, flag: "wx" }).then(
    () => file,
    () => undefined,
  );
}
