// G3. Where a path of an agent really leads, and how to get there without being led elsewhere.
//
// DESIGN. A path is resolved once, link by link, and checked against the folders the run may use.
// Between that check and the use a running command could put a link where a folder was. So the use
// never gives the path to the system again: it walks down from the allowed folder one name at a
// time, each opened without following links, each relative to the open folder before it. Node has
// no openat; on Linux `/proc/self/fd/N/name` is the same. Elsewhere the walk uses plain paths, each
// step still refusing links.
import { constants } from "node:fs";
import { type FileHandle, mkdir, open, readdir, readlink, realpath } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, normalize, relative, resolve, sep } from "node:path";
import { isWithin } from "./sandbox/box.ts";
import type { ToolPlace } from "./tool.ts";

export type Access = "read" | "write";

/** A place on disk: an allowed folder, and the names that lead down from it, free of links. */
export type Located = {
  readonly kind: "located";
  readonly root: string;
  readonly names: readonly string[];
  readonly path: string;
  /** As the model knows it: relative to the workspace where it lies in it. */
  readonly shown: string;
};

export type NotAllowed = { readonly kind: "not-allowed"; readonly why: string };

type Place = Pick<ToolPlace, "workspace" | "readable" | "profile"> & {
  /** Real paths no agent may touch though its workspace may hold them. */
  readonly hidden: readonly string[];
};

/** Resolves a path of a model, relative to the workspace, and says whether it may be used so. */
export async function locate(
  place: Place,
  path: string,
  access: Access,
): Promise<Located | NotAllowed> {
  const { workspace } = place;
  if (workspace === null) return refuse("This task has no workspace, so it has no files.");
  if (path.includes("\0")) return refuse("A path can't hold a zero byte.");
  if (path.startsWith("~")) {
    return refuse(`\`${path}\` is in a home folder. Use a path relative to the workspace.`);
  }
  const asked = normalize(isAbsolute(path) ? path : resolve(workspace, path));
  const real = await realpathOfAll(asked);
  if (real === undefined) return refuse(`\`${path}\` goes through links without end.`);
  const led = real === asked ? "" : ` It leads to ${real}.`;
  if (access === "write") {
    if (place.profile === "read-only") return refuse("This agent may read files, not write them.");
    if (!isWithin(real, workspace)) {
      return refuse(`\`${path}\` is outside the workspace ${workspace}.${led} Write inside it.`);
    }
    if (relative(workspace, real).split(sep).includes(".git")) {
      return refuse(`\`${path}\` belongs to git. Cadre commits your work; leave .git alone.`);
    }
  }
  const root = [workspace, ...place.readable].find((folder) => isWithin(real, folder));
  if (root === undefined) {
    return refuse(`\`${path}\` is outside the workspace ${workspace}.${led} Use a path inside it.`);
  }
  if (isHidden(place.hidden, workspace, real)) {
    return refuse(`\`${path}\` is Cadre's own state, not part of the work.`);
  }
  const names = relative(root, real)
    .split(sep)
    .filter((name) => name !== "");
  const shown = root === workspace ? names.join("/") || "." : real;
  return { kind: "located", root, names, path: real, shown };
}

// A work tree may lie in Cadre's own folder; the rest of that folder may not lie in reach.
const isHidden = (hidden: readonly string[], workspace: string, path: string): boolean =>
  hidden.some((folder) => isWithin(path, folder) && !isWithin(workspace, folder));

const refuse = (why: string): NotAllowed => ({ kind: "not-allowed", why });

/** The real path, also of what is not there yet: then that of the nearest folder that is. */
async function realpathOfAll(path: string): Promise<string | undefined> {
  try {
    return await realpath(path);
  } catch (error) {
    const code = codeOf(error);
    if (code === "ELOOP") return undefined;
    if (code !== "ENOENT" && code !== "ENOTDIR") throw error;
  }
  const parent = await realpathOfAll(dirname(path));
  if (parent === undefined) return undefined;
  const here = join(parent, basename(path));
  // A link to nothing is there, though its target is not: what is written goes to the target.
  const target = await readLinkAt(here);
  return target === undefined ? here : await realpathOfAll(resolve(parent, target));
}

async function readLinkAt(path: string): Promise<string | undefined> {
  return readlink(path).catch(() => undefined);
}

/** An error as the system gives it. */
export const errorOf = (code: string, message: string): Error =>
  Object.assign(new Error(message), { code });

export const codeOf = (error: unknown): string | undefined =>
  (error as NodeJS.ErrnoException | null)?.code;

const FOLDER = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

// Not blocking, for opening a pipe would wait for its writer.
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Opens a folder for the length of `use`, which gets a prefix that names it whatever happens. */
async function inFolder<T>(
  root: string,
  names: readonly string[],
  missing: "make" | "fail",
  use: (folder: string) => Promise<T>,
): Promise<T> {
  let handle = await open(root, FOLDER);
  try {
    let at = root;
    for (const name of names) {
      const next = join(anchor(handle, at), name);
      if (missing === "make") await mkdir(next).catch(unlessThere);
      const below = await open(next, FOLDER);
      await handle.close();
      handle = below;
      at = join(at, name);
    }
    return await use(anchor(handle, at));
  } finally {
    await handle.close();
  }
}

const anchor = (handle: FileHandle, path: string): string =>
  process.platform === "linux" ? `/proc/self/fd/${handle.fd}` : path;

function unlessThere(error: unknown): void {
  if (codeOf(error) !== "EEXIST") throw error;
}

/** Opens a file to read; never follows a link that appeared since it was located. */
export async function openToRead(located: Located): Promise<FileHandle> {
  const name = located.names.at(-1);
  if (name === undefined) return open(located.root, READ);
  return inFolder(located.root, located.names.slice(0, -1), "fail", (folder) =>
    open(join(folder, name), READ),
  );
}

/** Gives the folder of a file, made when it is not there, as a prefix safe to use. */
export function inParent<T>(
  located: Located,
  use: (folder: string, name: string) => Promise<T>,
): Promise<T> {
  const name = located.names.at(-1);
  if (name === undefined) throw errorOf("EISDIR", `${located.path} is the workspace itself`);
  return inFolder(located.root, located.names.slice(0, -1), "make", (folder) => use(folder, name));
}

export type FoundFile = {
  /** Relative to the folder the walk began in. */
  readonly path: string;
  /** Opens it; only while the walk stands at it. */
  open(): Promise<FileHandle>;
};

/** Names a search never enters: git's own, and what a package manager put there. */
const SKIPPED = new Set([".git", "node_modules"]);
const DEPTH_MAX = 64;

/** All plain files below a folder, in order of their names. Links are not followed. */
export async function* filesBelow(
  located: Located,
  hidden: readonly string[],
): AsyncGenerator<FoundFile> {
  let handle = await open(located.root, FOLDER);
  try {
    let at = located.root;
    for (const name of located.names) {
      const below = await open(join(anchor(handle, at), name), FOLDER);
      await handle.close();
      handle = below;
      at = join(at, name);
    }
    yield* visit(anchor(handle, at), located.path, "", hidden, 0);
  } finally {
    await handle.close();
  }
}

async function* visit(
  folder: string,
  real: string,
  prefix: string,
  hidden: readonly string[],
  depth: number,
): AsyncGenerator<FoundFile> {
  const entries = await readdir(folder, { withFileTypes: true });
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    const path = prefix + entry.name;
    if (entry.isFile()) {
      yield { path, open: () => open(join(folder, entry.name), READ) };
      continue;
    }
    const below = join(real, entry.name);
    if (!entry.isDirectory() || SKIPPED.has(entry.name) || hidden.includes(below)) continue;
    const handle = await open(join(folder, entry.name), FOLDER).catch(() => undefined);
    // Gone in the meantime, or not for us: a search shows what can be seen.
    if (handle === undefined) continue;
    try {
      if (depth < DEPTH_MAX) {
        yield* visit(
          anchor(handle, join(folder, entry.name)),
          below,
          `${path}/`,
          hidden,
          depth + 1,
        );
      }
    } finally {
      await handle.close();
    }
  }
}
