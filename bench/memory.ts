// What Cadre weighs: an idle hub, agents that wait for work, and the installed package.
import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createApp } from "../src/app.ts";
import { config } from "../src/config/index.ts";
import { realWorld, silentLog } from "../src/platform/index.ts";
import { refusingSandbox } from "../src/tools/index.ts";
import { nodeIdleMb } from "./floors-process.ts";
import type { Bench } from "./harness.ts";
import { CHECKOUT, startProgram } from "./program.ts";
import { inScratch, sleep } from "./scratch.ts";
import { benchAgent, scriptedModel } from "./worker.ts";

const idleHubMb = (settleMs: number): Promise<number> =>
  inScratch(async (home) => {
    const program = await startProgram(home);
    await sleep(settleMs);
    const mb = program.rssMb();
    await program.kill();
    return mb;
  });

/** What so many agents add to a hub that offers all of them for work. */
const warmAgentsMb = (count: number): Promise<number> =>
  inScratch(async (folder) => {
    const hub = (home: string, agents: number) =>
      createApp({
        config: config.parse({}),
        home: join(folder, home),
        world: realWorld(),
        log: silentLog,
        listen: false,
        agents: Array.from({ length: agents }, (_, i) => ({ ...benchAgent, name: `agent-${i}` })),
        parts: { sandbox: refusingSandbox([]), model: scriptedModel({ answers: 1 }) },
      });
    await (await hub("one", 1)).stop("now");
    const before = process.memoryUsage.rss();
    const app = await hub("many", count);
    await sleep(1_000);
    const mb = (process.memoryUsage.rss() - before) / 1e6;
    await app.stop("now");
    return mb;
  });

type Locked = {
  readonly packages: {
    readonly [path: string]: {
      readonly dev?: boolean;
      readonly dependencies?: Record<string, string>;
      readonly optionalDependencies?: Record<string, string>;
    };
  };
};

/** Sizes of the files a production install would hold: everything reachable from dependencies. */
function installMb(): number {
  const lock = JSON.parse(readFileSync(join(CHECKOUT, "package-lock.json"), "utf8")) as Locked;
  const found = new Set<string>();
  const waiting = [""];
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    const { dependencies = {}, optionalDependencies = {} } = lock.packages[at] ?? {};
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
      const path = resolved(lock, at, name);
      if (path === undefined || found.has(path)) continue;
      found.add(path);
      waiting.push(path);
    }
  }
  let bytes = 0;
  for (const path of found) bytes += bytesOf(join(CHECKOUT, path));
  // Our own files as the package ships them, with sources standing for the compiled ones.
  for (const own of ["bin", "src", "library", "examples"]) bytes += bytesOf(join(CHECKOUT, own));
  return bytes / 1e6;
}

/** As Node looks: in the nearest `node_modules`, then in those above. */
function resolved(lock: Locked, from: string, name: string): string | undefined {
  for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf("node_modules") - 1))) {
    const path = at === "" ? `node_modules/${name}` : `${at}/node_modules/${name}`;
    if (path in lock.packages) return path;
    if (at === "") return undefined;
  }
}

/** Packages nested in this one are counted for themselves. */
function bytesOf(path: string): number {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return 0;
  if (!found.isDirectory()) return found.size;
  return readdirSync(path)
    .filter((name) => name !== "node_modules")
    .reduce((sum, name) => sum + bytesOf(join(path, name)), 0);
}

export const memoryBench: Bench = {
  name: "memory",
  async run({ isSmoke }) {
    const floor = { what: "bare idle Node", value: nodeIdleMb() };
    const agents = isSmoke ? 200 : 10_000;
    const warm = await warmAgentsMb(agents);
    const idle = await idleHubMb(isSmoke ? 300 : 5_000);
    return [
      {
        what: "idle hub, RSS",
        value: idle,
        unit: "MB",
        floor,
        target: { bound: "at most", value: 120 },
      },
      {
        what: `${agents.toLocaleString("en-US")} warm agents, RSS they add`,
        value: warm,
        unit: "MB",
        target: { bound: "at most", value: 1_000 },
      },
      {
        what: "install without dev dependencies",
        value: installMb(),
        unit: "MB",
        target: { bound: "at most", value: 150 },
      },
    ];
  },
};
