// No walls: only where the configuration says `sandbox: none` in so many words.
import type { Exit, World } from "../../platform/index.ts";
import type { Sandbox, SandboxedCommand } from "./sandbox.ts";

/**
 * Runs commands as the user who runs Cadre. The environment is scrubbed, time and output are
 * bounded and the group is ended as a whole; a process that leaves its group lives on.
 */
export function noSandbox(world: Pick<World, "env" | "processes">): Sandbox {
  return {
    name: "none",
    run: (command: SandboxedCommand): Promise<Exit> =>
      world.processes.run({
        argv: command.argv,
        cwd: command.workspace,
        env: {
          PATH: world.env("PATH") ?? "/usr/local/bin:/usr/bin:/bin",
          HOME: world.env("HOME") ?? "/tmp",
          LANG: "C.UTF-8",
          TERM: "dumb",
          ...command.env,
        },
        timeoutMs: command.timeoutMs,
        outputBytesMax: command.outputBytesMax,
        ...(command.signal === undefined ? {} : { signal: command.signal }),
      }),
  };
}
