// A box made by bubblewrap, where it is installed.
import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import type { Exit, World } from "../../platform/index.ts";
import {
  BOX_LIMITS,
  type BoxLimits,
  bounded,
  boundsPidsByNamespace,
  boxEnv,
  type Host,
  type Mount,
  planBox,
  surveyGround,
} from "./box.ts";
import { needsWalls, orBoxFault } from "./fault.ts";
import type { Sandbox, SandboxedCommand } from "./sandbox.ts";

// `--disable-userns` is newer than some bubblewraps in use. Without it a process can make itself a
// user namespace, but gains nothing in it: no_new_privs and the walls around it stay.
type Bubblewrap = { readonly program: string; readonly disableUserns: boolean };

/** Asks the installed bubblewrap what it can do; undefined when there is none. */
export async function findBubblewrap(
  world: Pick<World, "env" | "processes">,
): Promise<Bubblewrap | undefined> {
  const env = { PATH: world.env("PATH") ?? "/usr/local/bin:/usr/bin:/bin" };
  for (const folder of env.PATH.split(":").filter(isAbsolute)) {
    const program = join(folder, "bwrap");
    if (!(await isRunnable(program))) continue;
    const argv = [program, "--help"] as const;
    const help = await world.processes.run({ argv, env, timeoutMs: 5_000, outputBytesMax: 65_536 });
    return { program, disableUserns: help.stdout.includes("--disable-userns") };
  }
  return undefined;
}

const isRunnable = (path: string): Promise<boolean> =>
  access(path, constants.X_OK).then(
    () => true,
    () => false,
  );

/** Boxes by `bwrap`. Works for root and for ordinary users. */
export function bubblewrapSandbox(
  world: Pick<World, "processes">,
  host: Host,
  bubblewrap: Bubblewrap,
  limits: BoxLimits = BOX_LIMITS,
): Sandbox {
  return {
    name: "bubblewrap",
    async run(command: SandboxedCommand): Promise<Exit> {
      needsWalls("bubblewrap", command);
      const mounts = planBox(host, await surveyGround(host, command), command);
      const exit = await world.processes.run({
        argv: [
          // When this process dies, however it does, so does all that follows.
          "setpriv",
          "--pdeathsig=KILL",
          ...pidBound(host, limits),
          bubblewrap.program,
          "--unshare-all",
          "--unshare-user",
          ...(bubblewrap.disableUserns ? ["--disable-userns"] : []),
          "--die-with-parent",
          "--cap-drop",
          "ALL",
          "--size",
          String(limits.scratchBytes),
          "--perms",
          "1777",
          "--tmpfs",
          "/tmp",
          "--dir",
          "/run",
          "--symlink",
          "../tmp",
          "/var/tmp",
          "--symlink",
          "../run",
          "/var/run",
          "--proc",
          "/proc",
          "--dev",
          "/dev",
          ...mounts.flatMap(mountArguments),
          ...mounts.flatMap((it) => (it.kind === "hidden-folder" ? ["--remount-ro", it.path] : [])),
          "--remount-ro",
          "/proc",
          "--remount-ro",
          "/",
          "--chdir",
          command.workspace,
          "--",
          ...bounded(command, limits),
        ],
        env: boxEnv(host),
        cwd: "/",
        timeoutMs: command.timeoutMs,
        outputBytesMax: command.outputBytesMax,
        ...(command.signal === undefined ? {} : { signal: command.signal }),
      });
      return orBoxFault("bubblewrap", exit, exit.code === 1 && exit.stderr.startsWith("bwrap: "));
    },
  };
}

function mountArguments(mount: Mount): readonly string[] {
  switch (mount.kind) {
    case "link":
      return ["--symlink", mount.target, mount.path];
    case "read-only":
      return ["--ro-bind", mount.path, mount.path];
    case "writable":
      return ["--bind", mount.path, mount.path];
    case "hidden-folder":
      return ["--tmpfs", mount.path];
    case "hidden-file":
      return ["--ro-bind", "/dev/null", mount.path];
  }
}

// Root is not held by a limit on processes, and bubblewrap gives no way to bound its own PID
// namespace: so it gets one around it that is bounded.
function pidBound(host: Host, limits: BoxLimits): readonly string[] {
  if (!boundsPidsByNamespace(host)) return [];
  const script = 'echo "$1" > /proc/sys/kernel/pid_max && shift && exec "$@"';
  return [
    ...["unshare", "--pid", "--mount-proc", "--fork"],
    ...["--kill-child", "/bin/sh", "-c", script, "box", String(limits.processes)],
  ];
}
