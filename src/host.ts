// Hubs as the command line comes by them: found running, opened for a look, or hosted here.
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { App } from "./app.ts";
import type { LoadedConfig } from "./config/index.ts";
import {
  type HostOptions,
  type Hub,
  makeHome,
  playedHomes,
  type Unfinished,
  type Where,
} from "./faces/cli/index.ts";
import type { CadreContract } from "./faces/contract.ts";
import type { HubState } from "./operations/index.ts";
import {
  CadreError,
  messageOf,
  processLog,
  readHub,
  silentLog,
  type World,
} from "./platform/index.ts";

/** A project's configuration, and that of a home, as a copied example brings it along. */
export const CONFIG_FILE = "cadre.yaml";

/** Where a command was given, and where the shipped teams lie. */
export type Place = { readonly world: World; readonly cwd: string; readonly library: string };

// ---- Configuration ------------------------------------------------------------------------

export async function configFor(
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
  const own = join(loaded.home, CONFIG_FILE);
  if (loaded.files.includes(own) || !existsSync(own)) return loaded;
  return await loadConfig({ world, cwd, file: own, flags: { ...flags, home: loaded.home } });
}

async function teamOf(place: Place, loaded: LoadedConfig, team: string | undefined) {
  const { assembleTeam, loadTeam } = await import("./agents/index.ts");
  if (team !== undefined) return await loadTeam(place.library, team);
  const { agents } = loaded.config;
  return await assembleTeam({
    folder: agents.folder,
    libraryFolder: place.library,
    team: agents.team,
    list: agents.list,
    listSource: loaded.files[0] ?? "the configuration",
  });
}

export async function requireModel(place: Place, options: Omit<HostOptions, "log">): Promise<void> {
  const loaded = await configFor(place, options);
  const team = await teamOf(place, loaded, options.team);
  const { requireModels } = await import("./models/index.ts");
  requireModels(team, loaded.config.models, place.world.env);
}

// ---- Hubs ---------------------------------------------------------------------------------

/** A hub that is just starting has taken its folder before it listens. */
const STARTING_MS_MAX = 5_000;
const LOOK_AGAIN_MS = 50;

export async function attach(place: Place, where: Where): Promise<Hub | undefined> {
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
  const listeners = new Set<(state: HubState) => void>();
  const client = remoteClient<CadreContract>({
    url,
    token,
    world: place.world,
    onState(state) {
      for (const listener of listeners) listener(state);
    },
  });
  return {
    client,
    url,
    home,
    isDefaultHome: where.home === undefined,
    kind: "attached",
    onState(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
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

export async function open(place: Place, where: Where): Promise<Hub> {
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

export async function hostHub(place: Place, options: HostOptions): Promise<Hub> {
  const { world } = place;
  const loaded = await configFor(place, options);
  const { config, home } = loaded;
  const agents = await teamOf(place, loaded, options.team);
  await makeHome(home);
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
  // In this process there is no line that could fall.
  onState: () => () => undefined,
  stop: (how) => app.stop(how),
});

/** Older ones are left unmentioned. */
const UNFINISHED_LOOKED_AT_MAX = 3;

/** Examples played below `home` that have open tasks and no hub: their process was killed. */
export async function unfinished(
  place: Place,
  examples: string,
  home: string,
): Promise<readonly Unfinished[]> {
  const found: Unfinished[] = [];
  const homes = await playedHomes(examples, home);
  for (const played of homes.slice(0, UNFINISHED_LOOKED_AT_MAX)) {
    if (!existsSync(join(played, "cadre.db")) || readHub(played) !== undefined) continue;
    const hub = await open(place, { home: played });
    try {
      const { items } = await hub.client.call("tasks.list", { open: true, limit: 500 });
      const root = items.find((task) => task.id === task.root);
      if (root !== undefined) found.push({ home: played, root: root.id, title: root.title });
    } finally {
      await hub.stop("graceful");
    }
  }
  return found;
}
