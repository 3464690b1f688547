// Whether a sandbox holds: a program runs in it and tries to get out.
import { lstat, mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import type { Sandbox } from "./sandbox.ts";

// Prints what it managed to do although it should not, and what it could not do although it should.
const ATTEMPT = `
const fs = require("node:fs");
const [secret, port] = process.argv.slice(1);
const said = [];
const tries = (what, act) => { try { act(); said.push(what); } catch {} };
tries("reads a file beside the workspace", () => fs.readFileSync(secret));
try { fs.writeFileSync(secret + ".new", ""); } catch {}
tries("writes settings of the machine", () => fs.writeFileSync("/etc/cadre-probe", ""));
try { fs.writeFileSync("here", ""); } catch { said.push("can't write in the workspace"); }
const end = () => { console.log("tried" + said.map((it) => "; " + it).join("")); process.exit(0); };
const socket = require("node:net").connect(Number(port), "127.0.0.1");
socket.on("connect", () => { said.push("reaches the machine's network"); end(); });
socket.on("error", end);
`;

/**
 * Why this sandbox does not hold here; undefined when every attempt failed as it must. Throws when
 * nothing could be run in it at all.
 */
export async function probeSandbox(sandbox: Sandbox, folder: string): Promise<string | undefined> {
  const ground = await realpath(await mkdtemp(join(folder, "cadre-probe-")));
  const server = createServer((socket) => socket.destroy());
  try {
    const secret = join(ground, "secret");
    const workspace = join(ground, "workspace");
    await mkdir(workspace);
    await writeFile(secret, "not for agents", { mode: 0o600 });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, "127.0.0.1", resolve);
    });
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const exit = await sandbox.run({
      argv: [process.execPath, "-e", ATTEMPT, secret, String(port)],
      profile: "workspace",
      workspace,
      readable: [],
      timeoutMs: 20_000,
      outputBytesMax: 4_096,
    });
    // A box may have a private folder of that name: only what is seen from outside counts.
    const beside = await lstat(`${secret}.new`).catch(() => undefined);
    if (beside !== undefined) return "writes a file beside the workspace";
    return verdictOf(exit.stdout, exit.stderr);
  } finally {
    server.close();
    await rm(ground, { recursive: true, force: true });
  }
}

function verdictOf(stdout: string, stderr: string): string | undefined {
  const said = stdout.trim();
  if (said === "tried") return undefined;
  if (said.startsWith("tried; ")) return said.slice("tried; ".length);
  return stderr.trim().split("\n").slice(0, 3).join(" ") || "a command in it said nothing";
}
