// The sandbox's line of `cadre doctor`.
import { tmpdir } from "node:os";
import type { Check, World } from "../platform/index.ts";
import { chooseSandbox } from "./sandbox/choose.ts";

/** Tries to break out of each sandbox of this system, and says what came of it. */
export async function checkSandbox(world: Pick<World, "env" | "processes">): Promise<Check> {
  const choice = await chooseSandbox({ world, wanted: "auto", folder: tmpdir() });
  const tried = "refused" in choice ? choice.refused : choice.tried;
  const found = tried.map((it) => `${it.name} ${it.found}`).join("; ");
  if ("sandbox" in choice) {
    return {
      name: "Sandbox",
      level: "ok",
      found: `${found} (tried files beside the workspace, settings, network)`,
      mend: [],
    };
  }
  return {
    name: "Sandbox",
    level: "fail",
    found,
    mend:
      process.platform === "linux"
        ? [
            "apt install bubblewrap",
            "sysctl -w kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0",
            "or accept commands without walls: tools.sandbox: none",
          ]
        : ["Accept commands without walls: tools.sandbox: none"],
  };
}
