// A box made with util-linux alone: what every Linux has, and bubblewrap's twin where it is absent.
//
// DESIGN. `unshare` gives new user, mount, PID, network, IPC, UTS and cgroup namespaces. In them a
// shell text builds a new root on a tmpfs at /sys (a folder every Linux has and nothing of ours lies
// in), makes each mount of the plan, also the mounts below it, changes the root, lets go of the old
// one, and only then drops every capability and runs the command as a child of the PID namespace's
// first process. When that ends, or anything above it is killed, the kernel kills the whole
// namespace: no `setsid` escapes it.
import type { Exit, World } from "../../platform/index.ts";
import {
  BOX_LIMITS,
  type BoxLimits,
  bounded,
  boundsPidsByNamespace,
  boxEnv,
  type Host,
  planBox,
  surveyGround,
} from "./box.ts";
import { needsWalls, orBoxFault } from "./fault.ts";
import type { Sandbox, SandboxedCommand } from "./sandbox.ts";

/** Arguments: root's size, processes (0: unbounded), work folder, mounts, `--`, the command. */
const BOX = String.raw`
fail() { echo "cadre-box: $*" >&2; exit 125; }
scratch=$1 pids=$2 work=$3; shift 3
R=/sys

# Makes where to mount: a folder for a folder, an empty file for anything else.
point() {
  [ -e "$R$1" ] && return
  if [ -d "$1" ]; then mkdir -p "$R$1"; else mkdir -p "$R$(dirname "$1")" && : > "$R$1"; fi
}

# Binding takes the mounts below along, each with its own flags: each must be closed. A flag the
# kernel has locked may not be left out when the mount is changed.
close() {
  while read -r _ _ _ _ at options _; do
    case $at in *\\*) at=$(printf '%b' "$(printf '%s' "$at" | sed 's/\\\([0-7]\{3\}\)/\\0\1/g')") ;; esac
    case $at in
      "$1" | "$1"/*)
        flags=ro
        for flag in nosuid nodev noexec noatime nodiratime relatime; do
          case ,$options, in *,$flag,*) flags=$flags,$flag ;; esac
        done
        mount -n -o "remount,bind,$flags" "$at" || fail "$at could not be made read-only"
        ;;
    esac
  done < /proc/self/mountinfo
}

mount -n -t tmpfs -o mode=755,nosuid,nodev,size=64m box $R || fail "no tmpfs can be mounted"
mkdir $R/proc $R/dev $R/tmp $R/var $R/run $R/.host || fail "the root could not be made"
ln -s ../tmp $R/var/tmp; ln -s ../run $R/var/run
mount -n -t proc -o nosuid,nodev,noexec proc $R/proc || fail "/proc can't be mounted"
echo 0 > $R/proc/sys/user/max_user_namespaces || fail "user namespaces can't be bounded"
if [ "$pids" != 0 ]; then
  echo "$pids" > $R/proc/sys/kernel/pid_max || fail "processes can't be bounded"
fi
mount -n -o remount,bind,ro,nosuid,nodev,noexec $R/proc || fail "/proc can't be made read-only"
for device in null zero full random urandom tty; do
  : > $R/dev/$device; mount -n --bind /dev/$device $R/dev/$device || fail "no /dev/$device"
done
ln -s /proc/self/fd $R/dev/fd; ln -s fd/0 $R/dev/stdin; ln -s fd/1 $R/dev/stdout
ln -s fd/2 $R/dev/stderr; ln -s ../tmp $R/dev/shm
mount -n -t tmpfs -o "mode=1777,nosuid,nodev,size=$scratch" tmp $R/tmp || fail "no /tmp"

while [ "$1" != -- ]; do
  case $1 in
    link) ln -s "$3" "$R$2" || fail "$2 could not be linked"; shift 3 ;;
    read-only)
      point "$2"; mount -n --rbind "$2" "$R$2" || fail "$2 could not be shown"
      close "$R$2"; shift 2 ;;
    writable)
      point "$2"; mount -n --rbind "$2" "$R$2" || fail "$2 could not be shown"; shift 2 ;;
    hidden-file) mount -n --bind /dev/null "$R$2" || fail "$2 could not be hidden"; shift 2 ;;
    hidden-folder)
      mount -n -t tmpfs -o mode=755,nosuid,nodev,size=1m hidden "$R$2" || fail "$2 could not be hidden"
      shift 2 ;;
    *) fail "unknown mount $1" ;;
  esac
done
shift
while read -r _ _ _ _ at rest; do
  case $rest in *" - tmpfs hidden "*) close "$at" ;; esac
done < /proc/self/mountinfo

pivot_root $R $R/.host || fail "the root could not be changed"
cd / && umount -n -l /.host && rmdir /.host || fail "the old root could not be let go"
mount -n -o remount,bind,ro,nosuid,nodev / || fail "the root could not be made read-only"
cd "$work" || fail "$work is not there"
exec setpriv --no-new-privs --inh-caps=-all --ambient-caps=-all --bounding-set=-all -- "$@"
`;

/** Boxes by `unshare` and `setpriv`, both of util-linux. Works for root and for ordinary users. */
export function unshareSandbox(
  world: Pick<World, "processes">,
  host: Host,
  limits: BoxLimits = BOX_LIMITS,
): Sandbox {
  return {
    name: "unshare",
    async run(command: SandboxedCommand): Promise<Exit> {
      needsWalls("unshare", command);
      const mounts = planBox(host, await surveyGround(host, command), command).flatMap((mount) =>
        mount.kind === "link" ? ["link", mount.path, mount.target] : [mount.kind, mount.path],
      );
      const exit = await world.processes.run({
        argv: [
          // When this process dies, however it does, so does the box.
          "setpriv",
          "--pdeathsig=KILL",
          "unshare",
          "--user",
          "--map-root-user",
          "--mount",
          "--pid",
          "--net",
          "--ipc",
          "--uts",
          "--cgroup",
          "--fork",
          "--kill-child",
          "/bin/sh",
          "-c",
          BOX,
          "box",
          String(limits.scratchBytes),
          boundsPidsByNamespace(host) ? String(limits.processes) : "0",
          command.workspace,
          ...mounts,
          "--",
          ...bounded(command, limits),
        ],
        env: boxEnv(host),
        cwd: "/",
        timeoutMs: command.timeoutMs,
        outputBytesMax: command.outputBytesMax,
        ...(command.signal === undefined ? {} : { signal: command.signal }),
      });
      return orBoxFault("unshare", exit, exit.code === 125 && /^cadre-box: /m.test(exit.stderr));
    },
  };
}
