// Which sandbox this process uses: the first one that holds when it is tried.
import { CadreError, messageOf, type World } from "../../platform/index.ts";
import { type Host, surveyHost } from "./box.ts";
import { bubblewrapSandbox, findBubblewrap } from "./bubblewrap.ts";
import { noSandbox } from "./none.ts";
import { probeSandbox } from "./probe.ts";
import type { Sandbox } from "./sandbox.ts";
import { sandboxExecSandbox } from "./sandbox-exec.ts";
import { unshareSandbox } from "./unshare.ts";

/** One sandbox, and what came of trying it: `holds`, or why not. */
export type Tried = { readonly name: string; readonly found: string };

export type SandboxChoice =
  | { readonly sandbox: Sandbox; readonly tried: readonly Tried[] }
  | { readonly refused: readonly Tried[] };

export type SandboxWish = {
  readonly world: Pick<World, "env" | "processes">;
  readonly wanted: "auto" | "none";
  /** An existing folder that can be written: attempts to escape are made from there. */
  readonly folder: string;
  /** Folders no agent may see even when a workspace holds them: Cadre's own state. */
  readonly hidden?: readonly string[];
};

const chosen = new WeakMap<object, Map<string, Promise<SandboxChoice>>>();

/** Tries the sandboxes of this system, best first. The answer is kept for the process's life. */
export function chooseSandbox(wish: SandboxWish): Promise<SandboxChoice> {
  const known = chosen.get(wish.world.processes) ?? new Map<string, Promise<SandboxChoice>>();
  chosen.set(wish.world.processes, known);
  const key = JSON.stringify([wish.wanted, wish.hidden ?? []]);
  const choice = known.get(key) ?? choose(wish);
  known.set(key, choice);
  return choice;
}

async function choose(wish: SandboxWish): Promise<SandboxChoice> {
  if (wish.wanted === "none") return { sandbox: noSandbox(wish.world), tried: [] };
  const host = await surveyHost(wish.world, wish.hidden ?? []);
  const tried: Tried[] = [];
  for (const { name, open } of backends(wish.world, host)) {
    try {
      const sandbox = await open();
      const why =
        sandbox === undefined ? "is not installed" : await probeSandbox(sandbox, wish.folder);
      tried.push({ name, found: why ?? "holds" });
      if (sandbox !== undefined && why === undefined) return { sandbox, tried };
    } catch (error) {
      // What can't even be tried does not hold.
      tried.push({ name, found: messageOf(error) });
    }
  }
  return { refused: tried };
}

type Backend = { readonly name: string; open(): Promise<Sandbox | undefined> };

/** One line per backend: where a new one is added. */
function backends(world: SandboxWish["world"], host: Host): readonly Backend[] {
  if (process.platform === "darwin") {
    return [{ name: "sandbox-exec", open: async () => sandboxExecSandbox(world, host) }];
  }
  return [
    { name: "bubblewrap", open: () => openBubblewrap(world, host) },
    { name: "unshare", open: async () => unshareSandbox(world, host) },
  ];
}

async function openBubblewrap(
  world: SandboxWish["world"],
  host: Host,
): Promise<Sandbox | undefined> {
  const found = await findBubblewrap(world);
  return found === undefined ? undefined : bubblewrapSandbox(world, host, found);
}

/** Stands where no sandbox holds: file tools still work, every command is refused, loudly. */
export function refusingSandbox(tried: readonly Tried[]): Sandbox {
  const found = tried.map((it) => `${it.name}: ${it.found}`).join("; ");
  return {
    name: "refused",
    run: () =>
      Promise.reject(
        new CadreError(
          "sandbox_unavailable",
          `No sandbox holds on this machine (${found}), so no command is run. ` +
            "Install bubblewrap, or accept commands without walls by tools.sandbox: none.",
          { next: ["cadre doctor"] },
        ),
      ),
  };
}
