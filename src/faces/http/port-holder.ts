// Which process listens on a port: asked of the kernel's own tables, where it has them (Linux).
import { readdir, readFile, readlink } from "node:fs/promises";

export type Holder = { readonly pid: number; readonly name: string };

/** As `/proc/net/tcp` writes the state of a socket that listens. */
const LISTENING = "0A";

/** Undefined where it can't be told: another user's process, another kernel, several at once. */
export async function holderOf(port: number): Promise<Holder | undefined> {
  try {
    const tables = await Promise.all(["tcp", "tcp6"].map((name) => textOf(`/proc/net/${name}`)));
    const sockets = new Set(tables.flatMap((table) => listenersIn(table, port)));
    if (sockets.size === 0) return undefined;
    const pids: number[] = [];
    for (const entry of await readdir("/proc")) {
      if (/^\d+$/.test(entry) && (await holds(entry, sockets))) pids.push(Number(entry));
    }
    const [pid] = pids;
    if (pid === undefined || pids.length > 1) return undefined;
    return { pid, name: (await textOf(`/proc/${pid}/comm`)).trim() };
  } catch {
    // A word more in a message is not worth an error of its own.
    return undefined;
  }
}

const textOf = (file: string): Promise<string> => readFile(file, "utf8").catch(() => "");

/** How `/proc/PID/fd` names the sockets that listen on the port. */
function listenersIn(table: string, port: number): string[] {
  return table.split("\n").flatMap((line) => {
    const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
    const isIt = state === LISTENING && Number.parseInt(local?.split(":")[1] ?? "", 16) === port;
    return isIt ? [`socket:[${inode}]`] : [];
  });
}

async function holds(pid: string, sockets: ReadonlySet<string>): Promise<boolean> {
  // The folder of another user's process is closed to us, and any process may be gone by now.
  const open = await readdir(`/proc/${pid}/fd`).catch(() => []);
  const targets = await Promise.all(
    open.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => "")),
  );
  return targets.some((target) => sockets.has(target));
}
