// What a box shows and what it hides: one plan for every backend.
//
// DESIGN. The root of a box is empty, and only what is listed is put into it: the system's programs
// and settings, the runtime of node, what the run may read, the workspace. Nothing has to be found
// and hidden for being secret: homes, sockets, other work trees and devices are simply not there.
// Two things are still hidden by name, for they lie inside what is shown: settings that not every
// user of the machine may read, and the folders the caller names. Mounts are ordered from shallow
// to deep, so that the more exact one always wins.
import { constants } from "node:fs";
import { access, lstat, readdir, readlink, realpath } from "node:fs/promises";
import { release } from "node:os";
import { basename, dirname, isAbsolute, join, sep } from "node:path";
import { CadreError, type World } from "../../platform/index.ts";
import type { SandboxedCommand } from "./sandbox.ts";

export type Mount =
  | { readonly kind: "link"; readonly path: string; readonly target: string }
  | { readonly kind: "read-only" | "writable"; readonly path: string }
  | { readonly kind: "hidden-folder" | "hidden-file"; readonly path: string };

/** What of this machine every box shows. Found once: it does not change while Cadre runs. */
export type Host = {
  readonly mounts: readonly Mount[];
  /** Folders the runtime needs that may lie inside a workspace. */
  readonly runtime: readonly string[];
  /** PATH inside the box. */
  readonly path: string;
  /** Real paths no agent may see, wherever they lie. */
  readonly hidden: readonly string[];
  readonly isRoot: boolean;
};

export type BoxLimits = {
  readonly cpuSeconds: number;
  /** Private writable memory of one process, of which node needs 600 MB only to begin. */
  readonly memoryBytes: number;
  /** Processes and threads at one time. */
  readonly processes: number;
  readonly fileBytes: number;
  /** Size of the box's own /tmp. */
  readonly scratchBytes: number;
};

export const BOX_LIMITS: BoxLimits = {
  cpuSeconds: 3_600,
  memoryBytes: 8 * 1024 ** 3,
  processes: 2_048,
  fileBytes: 4 * 1024 ** 3,
  scratchBytes: 1024 ** 3,
};

const SYSTEM = ["/usr", "/etc", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"] as const;

/** Looks at this machine. `hidden`: folders no box may show, such as the one of Cadre's state. */
export async function surveyHost(
  world: Pick<World, "env">,
  hidden: readonly string[],
): Promise<Host> {
  const mounts: Mount[] = [];
  for (const path of SYSTEM) {
    const found = await lstat(path).catch(() => undefined);
    if (found?.isSymbolicLink()) mounts.push({ kind: "link", path, target: await readlink(path) });
    else if (found?.isDirectory()) mounts.push({ kind: "read-only", path });
  }
  const { runtime, path } = await findRuntime(world.env("PATH") ?? "/usr/bin:/bin");
  const realHidden: string[] = [];
  for (const folder of hidden) {
    const real = await realpath(folder).catch(() => undefined);
    if (real !== undefined) realHidden.push(real);
  }
  return {
    mounts: [...mounts, ...(await privateSettings("/etc"))],
    runtime,
    path,
    hidden: realHidden,
    isRoot: process.getuid?.() === 0,
  };
}

/** Where node and npm live, so that `npm test` works inside: often in a home or in a project. */
async function findRuntime(hostPath: string): Promise<{ runtime: string[]; path: string }> {
  const node = await realpath(process.execPath);
  const runtime = new Set([basename(dirname(node)) === "bin" ? dirname(dirname(node)) : node]);
  const path = new Set([dirname(node)]);
  for (const folder of hostPath.split(":").filter(isAbsolute)) {
    if (isSystem(folder)) path.add(folder);
    for (const program of ["npm", "npx", "node"]) {
      const real = await realpath(join(folder, program)).catch(() => undefined);
      if (real === undefined || isSystem(folder)) continue;
      path.add(folder);
      runtime.add(folder);
      // node_modules/npm/bin/npm-cli.js: the whole package is the program.
      runtime.add(program === "node" ? real : dirname(dirname(real)));
    }
  }
  for (const folder of ["/usr/bin", "/bin", "/usr/sbin", "/sbin"]) path.add(folder);
  const outermost = [...runtime].filter(
    (it) => !isSystem(it) && ![...runtime].some((other) => other !== it && isWithin(it, other)),
  );
  return { runtime: outermost, path: [...path].join(":") };
}

const isSystem = (path: string): boolean => SYSTEM.some((root) => isWithin(path, root));

/** Settings that we may read but not every user of this machine: keys, shadow files. */
async function privateSettings(folder: string): Promise<Mount[]> {
  const found: Mount[] = [];
  const entries = await readdir(folder).catch(() => []);
  for (const path of entries.map((name) => join(folder, name))) {
    const status = await lstat(path).catch(() => undefined);
    if (status === undefined || status.isSymbolicLink()) continue;
    const isOpen = (status.mode & (status.isDirectory() ? 0o005 : 0o004)) !== 0;
    if (isOpen && status.isDirectory()) found.push(...(await privateSettings(path)));
    if (isOpen || !(await isReadable(path))) continue;
    found.push({ kind: status.isDirectory() ? "hidden-folder" : "hidden-file", path });
  }
  return found;
}

const isReadable = (path: string): Promise<boolean> =>
  access(path, constants.R_OK).then(
    () => true,
    () => false,
  );

/** What is at the paths of one command now. Files that are not there need no wall. */
export type Ground = {
  readonly kinds: ReadonlyMap<string, "folder" | "file">;
};

/** Looks up every path a command names, before the plan is made of them. */
export async function surveyGround(host: Host, command: SandboxedCommand): Promise<Ground> {
  const paths = [...host.runtime, ...host.hidden, ...command.readable, gitOf(command.workspace)];
  const kinds = new Map<string, "folder" | "file">();
  for (const path of paths) {
    const found = await lstat(path).catch(() => undefined);
    if (found?.isDirectory()) kinds.set(path, "folder");
    else if (found?.isFile()) kinds.set(path, "file");
  }
  return { kinds };
}

const gitOf = (workspace: string): string => join(workspace, ".git");

/** The mounts of one box, in the order they must be made. Pure. */
export function planBox(host: Host, ground: Ground, command: SandboxedCommand): readonly Mount[] {
  const { workspace } = command;
  if (!isAbsolute(workspace) || workspace === "/" || SYSTEM.some((it) => it === workspace)) {
    throw new CadreError(
      "workspace_failed",
      `${workspace} can't be a workspace: a box would hold the whole machine. Name a folder in it.`,
    );
  }
  const shown = [...host.runtime, ...command.readable].filter(
    // What lies in the workspace is seen there already, and must stay removable.
    (path) => ground.kinds.has(path) && !isWithin(path, workspace) && !isSystem(path),
  );
  const binds: Mount[] = shown.map((path) => ({ kind: "read-only", path }));
  binds.push({ kind: command.profile === "workspace" ? "writable" : "read-only", path: workspace });
  // Hooks and settings written here would run outside the box, at the next commit.
  const git = gitOf(workspace);
  if (ground.kinds.has(git)) binds.push({ kind: "read-only", path: git });
  for (const path of host.hidden) {
    const kind = ground.kinds.get(path);
    const isShown = binds.some((bind) => isWithin(path, bind.path));
    if (kind !== undefined && isShown && path !== workspace) {
      binds.push({ kind: `hidden-${kind}`, path });
    }
  }
  const unique = new Map(binds.map((bind) => [bind.path, bind]));
  return [...host.mounts, ...[...unique.values()].sort((a, b) => depth(a.path) - depth(b.path))];
}

const depth = (path: string): number => path.split(sep).length;

/** Whether a path is a folder or lies in it; both absolute and normal. */
export function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}

/** The scrubbed environment of a box: nothing of ours is inherited. */
export function boxEnv(host: Host): { readonly [name: string]: string } {
  return { PATH: host.path, HOME: "/tmp", TMPDIR: "/tmp", LANG: "C.UTF-8", TERM: "dumb" };
}

/** The last link of a box's chain: limits, the command's own variables, a first process that reaps. */
export function bounded(
  command: SandboxedCommand,
  limits: BoxLimits,
): readonly [string, ...string[]] {
  const processes = kernelIsAtLeast(5, 14) ? limits.processes : limits.processes * 4;
  const given = Object.entries(command.env ?? {}).map(([name, value]) => `${name}=${value}`);
  return [
    "prlimit",
    `--cpu=${limits.cpuSeconds}`,
    `--data=${limits.memoryBytes}`,
    // Counted per box since Linux 5.14; before, all processes of the user count.
    `--nproc=${processes}`,
    `--fsize=${limits.fileBytes}`,
    "--core=0",
    "env",
    ...given,
    "/bin/sh",
    "-c",
    '"$@"; exit $?',
    "box",
    ...command.argv,
  ];
}

/** Whether this Linux is new enough. False on other systems. */
export function kernelIsAtLeast(major: number, minor: number): boolean {
  const [ours = 0, oursMinor = 0] = release().split(".").map(Number);
  return process.platform === "linux" && (ours > major || (ours === major && oursMinor >= minor));
}

// The limit on processes does not bind root; since 6.14 a PID namespace has a bound of its own.
// On an older kernel writing it would change the whole machine, so it is not written there.
export const boundsPidsByNamespace = (host: Host): boolean => host.isRoot && kernelIsAtLeast(6, 14);
