// O1. Reads the layers, lays them over each other, and checks the whole once.
import { readFile, stat } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import {
  CadreError,
  messageOf,
  type Path,
  pathText,
  readYaml,
  schemaProblems,
  type World,
  type YamlProblem,
  yamlError,
} from "../platform/index.ts";
import { type Config, config as schema } from "./config.ts";
import {
  environmentLayer,
  type Fields,
  fieldAt,
  isFields,
  type Layer,
  overlay,
  VARIABLES,
  withAbsolutePaths,
} from "./layers.ts";

const PROJECT_FILE = "cadre.yaml";

export type Origin = {
  readonly layer: "default" | Layer["kind"];
  /** `cadre.yaml:3`, `CADRE_PORT`, `the command line`, `the default`. */
  readonly source: string;
};

export type LoadedConfig = {
  /** Every path in it is absolute. */
  readonly config: Config;
  /** Absolute paths of the files that were read, lowest layer first. */
  readonly files: readonly string[];
  /** Absolute folder of the state: the same as `config.home`. */
  readonly home: string;
  /** The folder the project's relative paths start from. */
  readonly project: string;
  /** What a person should hear: a file that was there but could not be read. */
  readonly notices: readonly string[];
  /** Which layer set a field, named as `listen.port`. */
  origin(key: string): Origin;
};

export type LoadOptions = {
  readonly world: Pick<World, "env">;
  readonly cwd: string;
  /** Instead of the project's cadre.yaml; must exist. */
  readonly file?: string;
  /** The uppermost layer, nested as the file is. */
  readonly flags?: Fields;
};

/**
 * The configuration of a process: defaults < project file < user file < environment < flags.
 *
 * The project file is `cadre.yaml` in `cwd` or above it, up to the root of its repository. The
 * user file is `~/.config/cadre/config.yaml`; a missing or unreadable home has none.
 *
 * Errors: `invalid_config`, naming file and line of every problem and the nearest valid name.
 */
export async function loadConfig(options: LoadOptions): Promise<LoadedConfig> {
  const { world } = options;
  const cwd = resolve(options.cwd);
  const place = await projectPlace(cwd);
  const notices: string[] = [];
  const files: Layer[] = [];
  if (options.file !== undefined) {
    files.push(await requiredFile(resolve(cwd, options.file), cwd));
  } else if (place.file !== undefined) {
    files.push(await requiredFile(place.file, cwd));
  }
  const user = await userFile(world.env("HOME"), cwd, notices);
  if (user !== undefined) files.push(user);

  const project = files[0]?.kind === "project" ? files[0].folder : place.folder;
  const layers: Layer[] = [
    ...files,
    environmentLayer(world.env, cwd),
    { kind: "flags" as const, source: "the command line", folder: cwd, value: options.flags ?? {} },
  ].map(withAbsolutePaths);

  const config = checked(layers, project);
  return {
    config,
    files: files.flatMap((layer) => layer.file ?? []),
    home: config.home,
    project,
    notices,
    origin: (key) => originOf(layers, key.split(".")),
  };
}

/** One parse of the merged whole; each problem is told where its value was written. */
function checked(layers: readonly Layer[], project: string): Config {
  const merged = layers.reduce<Fields>((lower, { value }) => overlay(lower, value), {});
  const parsed = schema.safeParse(merged);
  if (parsed.success) {
    const { home, agents, ...rest } = parsed.data;
    // The defaults of paths are relative too: to the project.
    const config: Config = {
      ...rest,
      home: resolve(project, home),
      agents: { ...agents, folder: resolve(project, agents.folder) },
    };
    refuseOpenDoor(config, layers);
    return config;
  }
  const problems = schemaProblems(schema, merged, parsed.error.issues).map(
    (problem): YamlProblem => ({
      ...placeOf(layers, problem.path),
      path: pathText(problem.path),
      message: problem.message,
    }),
  );
  throw yamlError("invalid_config", "The configuration", problems);
}

/** Security: no port is open to other machines by accident. */
function refuseOpenDoor(config: Config, layers: readonly Layer[]): void {
  const { host, tls, insecureRemote } = config.listen;
  if (isLoopback(host) || tls !== undefined || insecureRemote) return;
  const place = placeOf(layers, ["listen", "host"]);
  const where = place.line === undefined ? place.source : `${place.source}:${place.line}`;
  throw new CadreError(
    "invalid_config",
    `${where}: "listen.host" is ${host}, which other machines can reach, and there is no TLS. ` +
      "Tokens and work would cross the network in clear text.",
    {
      details: { host },
      next: [
        "listen.host: 127.0.0.1            only this machine",
        "listen.tls: {cert: …, key: …}     encrypted",
        "listen.insecureRemote: true       in clear text, where the network is trusted",
      ],
    },
  );
}

/** True for addresses only this machine can reach. */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase().replace(/^\[(.*)\]$/, "$1");
  return name === "localhost" || name === "::1" || /^127(\.\d{1,3}){3}$/.test(name);
}

/** Where the uppermost layer says something at the path, or at its nearest parent. */
function placeOf(layers: readonly Layer[], path: Path): { source: string; line?: number } {
  for (let length = path.length; length > 0; length--) {
    const part = path.slice(0, length);
    const layer = layers.findLast(({ value }) => fieldAt(value, part) !== undefined);
    if (layer !== undefined) return placeIn(layer, part);
  }
  return { source: "The configuration" };
}

function placeIn(layer: Layer, path: Path): { source: string; line?: number } {
  if (layer.lineOf !== undefined) return { source: layer.source, line: layer.lineOf(path) };
  if (layer.kind !== "environment") return { source: layer.source };
  const variable = VARIABLES.find(([, field]) =>
    field.every((part, i) => (path[i] ?? part) === part),
  );
  return { source: variable?.[0] ?? layer.source };
}

function originOf(layers: readonly Layer[], path: Path): Origin {
  const layer = layers.findLast(({ value }) => (fieldAt(value, path) ?? null) !== null);
  if (layer === undefined) return { layer: "default", source: "the default" };
  const { source, line } = placeIn(layer, path);
  return { layer: layer.kind, source: line === undefined ? source : `${source}:${line}` };
}

type Place = { readonly folder: string; readonly file?: string };

/** The nearest `cadre.yaml` up to the repository's root, and what counts as the project. */
async function projectPlace(cwd: string): Promise<Place> {
  const folders: string[] = [];
  for (let at = cwd; ; at = dirname(at)) {
    folders.push(at);
    if (await exists(join(at, ".git"))) break;
    // No repository around it: only the folder itself counts, not whatever lies above.
    if (dirname(at) === at) {
      folders.splice(1);
      break;
    }
  }
  for (const folder of folders) {
    const file = join(folder, PROJECT_FILE);
    if (await exists(file)) return { folder, file };
  }
  return { folder: folders.at(-1) ?? cwd };
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    // A folder we may not enter can't be the project's.
    if (isAbsence(error) || (error as NodeJS.ErrnoException).code === "EACCES") return false;
    throw new CadreError("invalid_config", `${path} can't be looked at: ${messageOf(error)}.`, {
      cause: error,
    });
  }
}

async function requiredFile(path: string, cwd: string): Promise<Layer> {
  try {
    return fileLayer("project", path, await readFile(path, "utf8"), cwd);
  } catch (error) {
    if (error instanceof CadreError) throw error;
    const reason = isAbsence(error) ? "there is no such file" : messageOf(error);
    throw new CadreError("invalid_config", `${path} can't be read: ${reason}.`, { cause: error });
  }
}

async function userFile(
  home: string | undefined,
  cwd: string,
  notices: string[],
): Promise<Layer | undefined> {
  if (home === undefined) return undefined;
  const path = join(home, ".config", "cadre", "config.yaml");
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (!isAbsence(error)) notices.push(`${path} was left out: ${messageOf(error)}.`);
    return undefined;
  }
  return fileLayer("user", path, text, cwd);
}

function fileLayer(kind: "project" | "user", path: string, text: string, cwd: string): Layer {
  // A file below the current folder is named from there, as people do.
  const near = relative(cwd, path);
  const source = near.startsWith("..") ? path : near;
  const yaml = readYaml(text, { source, code: "invalid_config" });
  const value = yaml.value ?? {};
  if (!isFields(value)) {
    throw yamlError("invalid_config", source, [
      { source, line: yaml.lineOf([]), message: "Expected a map of fields, such as `listen:`." },
    ]);
  }
  return { kind, source, file: path, folder: dirname(path), value, lineOf: yaml.lineOf };
}

const isAbsence = (error: unknown): boolean => {
  const code = (error as NodeJS.ErrnoException).code;
  return code === "ENOENT" || code === "ENOTDIR";
};
