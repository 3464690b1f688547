// This machine as the command line meets it: repositories, examples, ports, reports of bugs.
import { existsSync } from "node:fs";
import { cp, mkdir, readdir, stat, writeFile } from "node:fs/promises";
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

// ---- Examples -----------------------------------------------------------------------------

const EXAMPLE_OBJECTIVE = "Fix the failing tests";

/** Copies one of the shipped examples into a home of its own below `home`. Errors: `not_found`. */
export async function copyExample(
  world: World,
  from: { readonly examples: string; readonly name: string },
  home: string,
): Promise<Example> {
  const { name } = from;
  const entries = await readdir(from.examples, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  if (!names.includes(name)) {
    throw new CadreError(
      "not_found",
      `There is no example "${name}". There are: ${names.join(", ")}.`,
      { next: names.map((one) => `cadre run --example ${one}`) },
    );
  }
  const source = join(from.examples, name);
  const folder = await freshFolder(join(home, name));
  await keepOutOfGit(home);
  // Built or installed things of someone who tried the example by hand are no part of it.
  const isOurs = (path: string) => !relative(source, path).split(sep).includes("node_modules");
  await cp(source, folder, { recursive: true, filter: isOurs });
  const project = join(folder, "project");
  await startRepository(world, project);
  return { home: folder, project, objective: EXAMPLE_OBJECTIVE };
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
