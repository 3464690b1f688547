// A box by macOS's own `sandbox-exec`: rules on a shared root, for macOS has no namespaces.
import { mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Exit, World } from "../../platform/index.ts";
import {
  BOX_LIMITS,
  type BoxLimits,
  boxEnv,
  type Ground,
  type Host,
  planBox,
  surveyGround,
} from "./box.ts";
import { needsWalls, orBoxFault } from "./fault.ts";
import type { Sandbox, SandboxedCommand } from "./sandbox.ts";

// What a process of macOS can't start without, beside what `planBox` shows.
const SYSTEM_READABLE = [
  ...["/System", "/Library", "/private/etc", "/private/var/db/timezone", "/private/var/select"],
  ...["/opt/homebrew", "/dev"],
];

/** Boxes by `sandbox-exec`. What it kills is the group: a process that leaves it lives on. */
export function sandboxExecSandbox(
  world: Pick<World, "processes">,
  host: Host,
  limits: BoxLimits = BOX_LIMITS,
): Sandbox {
  return {
    name: "sandbox-exec",
    async run(command: SandboxedCommand): Promise<Exit> {
      needsWalls("sandbox-exec", command);
      const scratch = await realpath(await mkdtemp(join(tmpdir(), "cadre-box-")));
      try {
        const ground = await surveyGround(host, command);
        const exit = await world.processes.run({
          argv: [
            "sandbox-exec",
            "-p",
            profileText(host, ground, command, scratch),
            "/bin/sh",
            "-c",
            `ulimit -t ${limits.cpuSeconds} -c 0; ulimit -u ${limits.processes}; exec "$@"`,
            "box",
            "env",
            ...Object.entries(command.env ?? {}).map(([name, value]) => `${name}=${value}`),
            ...command.argv,
          ],
          env: { ...boxEnv(host), HOME: scratch, TMPDIR: scratch },
          cwd: command.workspace,
          timeoutMs: command.timeoutMs,
          outputBytesMax: command.outputBytesMax,
          ...(command.signal === undefined ? {} : { signal: command.signal }),
        });
        const isFault = exit.code !== 0 && exit.stderr.startsWith("sandbox-exec: ");
        return orBoxFault("sandbox-exec", exit, isFault);
      } finally {
        await rm(scratch, { recursive: true, force: true });
      }
    },
  };
}

/** The rules of one box. Later rules win, so they go from shallow to deep as the mounts do. Pure. */
export function profileText(
  host: Host,
  ground: Ground,
  command: SandboxedCommand,
  scratch: string,
): string {
  const rules = [
    "(version 1)",
    "(deny default)",
    "(allow process-exec process-fork)",
    "(allow signal (target same-sandbox))",
    "(allow sysctl-read)",
    "(allow file-read-metadata)",
    '(allow file-read-data (literal "/"))',
    ...SYSTEM_READABLE.map((path) => `(allow file-read* (subpath ${quoted(path)}))`),
    '(allow file-write-data (literal "/dev/null") (literal "/dev/zero"))',
    `(allow file* (subpath ${quoted(scratch)}))`,
  ];
  for (const mount of planBox(host, ground, command)) {
    const at = `(subpath ${quoted(mount.path)})`;
    switch (mount.kind) {
      case "link":
        break;
      case "read-only":
        rules.push(`(allow file-read* ${at})`, `(deny file-write* ${at})`);
        break;
      case "writable":
        rules.push(`(allow file* ${at})`);
        break;
      case "hidden-folder":
      case "hidden-file":
        rules.push(`(deny file* ${at})`);
        break;
    }
  }
  return rules.join("\n");
}

const quoted = (path: string): string => `"${path.replace(/["\\]/g, "\\$&")}"`;
