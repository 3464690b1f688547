import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, copyFileSync, createReadStream, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { mkdir, mkdtemp, readdir, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { CadreError, type Exit, type Processes, realWorld } from "../../platform/index.ts";
import { checkSandbox } from "../check.ts";
import { type Ground, type Host, planBox, surveyHost } from "./box.ts";
import { bubblewrapSandbox, findBubblewrap } from "./bubblewrap.ts";
import { chooseSandbox, refusingSandbox } from "./choose.ts";
import { noSandbox } from "./none.ts";
import { probeSandbox } from "./probe.ts";
import { COPIED_NODE, sandboxConformance } from "./sandbox.conformance.ts";
import type { SandboxedCommand } from "./sandbox.ts";
import { profileText } from "./sandbox-exec.ts";
import { unshareSandbox } from "./unshare.ts";

const world = realWorld();
const NOBODY = 65_534;

/** The same processes, started by an ordinary user: so boxes are built without root. */
const asNobody: Processes = {
  run: (command) =>
    world.processes.run({
      ...command,
      argv: [
        "setpriv",
        ...[`--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", "--"],
        ...command.argv,
      ],
    }),
};

type User = { readonly title: string; readonly processes: Processes; readonly owner?: number };

const users: User[] = [{ title: "", processes: world.processes }];
if (process.platform === "linux" && process.getuid?.() === 0) {
  users.push({ title: ", ordinary user", processes: asNobody, owner: NOBODY });
}

const hostOf = async (user: User, hidden: readonly string[]): Promise<Host> => ({
  ...(await surveyHost(world, hidden)),
  ...(user.owner === undefined ? {} : await reachableRuntime()),
  isRoot: user.owner === undefined && process.getuid?.() === 0,
});

let copied: string | undefined;
after(() => {
  if (copied !== undefined) rmSync(copied, { recursive: true, force: true });
});

/** A checkout in a private folder is closed to the ordinary user: then it is given a Node it can reach. */
async function reachableRuntime(): Promise<Partial<Host>> {
  const { code } = await asNobody.run({
    argv: ["test", "-x", process.execPath],
    env: { PATH: "/usr/bin:/bin" },
    timeoutMs: 10_000,
    outputBytesMax: 1_000,
  });
  if (code === 0) return {};
  if (copied === undefined) {
    copied = mkdtempSync(join("/var/tmp", COPIED_NODE));
    chmodSync(copied, 0o755);
    mkdirSync(join(copied, "bin"));
    copyFileSync(process.execPath, join(copied, "bin", "node"));
  }
  return { runtime: [copied], path: `${join(copied, "bin")}:/usr/bin:/bin:/usr/sbin:/sbin` };
}

const bubblewrap = process.platform === "linux" ? await findBubblewrap(world) : undefined;

for (const user of process.platform === "linux" ? users : []) {
  sandboxConformance({
    ...user,
    name: `unshare${user.title}`,
    open: async (hidden, limits) => unshareSandbox(user, await hostOf(user, hidden), limits),
  });
  if (bubblewrap !== undefined) {
    sandboxConformance({
      ...user,
      name: `bubblewrap${user.title}`,
      open: async (hidden, limits) =>
        bubblewrapSandbox(user, await hostOf(user, hidden), bubblewrap, limits),
    });
  }
}

const HOST: Host = {
  mounts: [{ kind: "read-only", path: "/usr" }],
  runtime: ["/home/a/.node", "/home/a/project/node_modules/node"],
  path: "/usr/bin",
  hidden: ["/home/a/project/.cadre"],
  isRoot: false,
};

const groundOf = (...folders: string[]): Ground => ({
  kinds: new Map(folders.map((folder) => [folder, "folder" as const])),
});

const commandIn = (workspace: string, readable: readonly string[] = []): SandboxedCommand => ({
  argv: ["true"],
  profile: "workspace",
  workspace,
  readable,
  timeoutMs: 10_000,
  outputBytesMax: 4_096,
});

describe("what a box shows", () => {
  test("goes from shallow to deep, so that the more exact mount wins", () => {
    const workspace = "/home/a/project/.cadre/trees/1";
    const ground = groundOf("/home/a/project", "/home/a/project/.cadre", `${workspace}/.git`);

    const plan = planBox(HOST, ground, commandIn(workspace, ["/home/a/project"]));

    assert.deepEqual(plan, [
      { kind: "read-only", path: "/usr" },
      { kind: "read-only", path: "/home/a/project" },
      { kind: "hidden-folder", path: "/home/a/project/.cadre" },
      { kind: "writable", path: workspace },
      { kind: "read-only", path: `${workspace}/.git` },
    ]);
  });

  test("leaves what the workspace itself holds removable", () => {
    const ground = groundOf("/home/a/.node", "/home/a/project/node_modules/node");

    const plan = planBox(HOST, ground, commandIn("/home/a/project"));

    assert.deepEqual(plan.slice(1), [
      { kind: "read-only", path: "/home/a/.node" },
      { kind: "writable", path: "/home/a/project" },
    ]);
  });

  test("is the same in macOS's rules: shown, written, hidden, and paths are quoted", () => {
    const workspace = '/home/a/project/"odd"';
    const host = { ...HOST, hidden: [`${workspace}/.cadre`] };

    const text = profileText(
      host,
      groundOf(`${workspace}/.cadre`),
      commandIn(workspace),
      "/tmp/box",
    );

    const rules = text.split("\n");
    assert.deepEqual(rules.slice(0, 2), ["(version 1)", "(deny default)"]);
    assert.deepEqual(rules.slice(-4), [
      '(allow file-read* (subpath "/usr"))',
      '(deny file-write* (subpath "/usr"))',
      '(allow file* (subpath "/home/a/project/\\"odd\\""))',
      '(deny file* (subpath "/home/a/project/\\"odd\\"/.cadre"))',
    ]);
    assert.ok(!text.includes("network"));
  });
});

describe("choosing a sandbox", { timeout: 60_000 }, () => {
  test("a sandbox without walls is found out, each way out named", async (t) => {
    const folder = await mkdtemp(join(tmpdir(), "cadre-choose-"));
    t.after(() => rm(folder, { recursive: true, force: true }));

    const found = await probeSandbox(noSandbox(world), folder);

    assert.equal(found, "writes a file beside the workspace");
    assert.deepEqual(await readdir(folder), []);
  });

  test("where none can be built, all that was tried is told and every command refused", async () => {
    const broken: Processes = {
      run: async () => {
        throw new CadreError("not_found", "There is no program unshare in PATH.");
      },
    };

    const choice = await chooseSandbox({
      world: { env: () => "/nowhere", processes: broken },
      wanted: "auto",
      folder: tmpdir(),
    });

    assert.ok("refused" in choice);
    assert.ok(choice.refused.length > 0);
    const sandbox = refusingSandbox(choice.refused);
    await assert.rejects(sandbox.run(commandIn(tmpdir())), {
      code: "sandbox_unavailable",
      message: /There is no program unshare/,
    });
  });

  test("a box that can't be built is a fault, never the command's own end", async () => {
    const exit: Exit = {
      code: 125,
      signal: null,
      stdout: "",
      stderr: "cadre-box: no tmpfs can be mounted\n",
      outputBytes: 0,
      ended: "exited",
      tookMs: 1,
    };
    const host = await surveyHost(world, []);
    const sandbox = unshareSandbox({ processes: { run: async () => exit } }, host);

    await assert.rejects(sandbox.run(commandIn("/home/a")), { code: "sandbox_unavailable" });
  });

  test("none is chosen only when it is asked for, and tries nothing", async () => {
    const choice = await chooseSandbox({ world, wanted: "none", folder: "/nowhere" });

    assert.ok("sandbox" in choice);
    assert.equal(choice.sandbox.name, "none");
    assert.deepEqual(choice.tried, []);
  });

  test("the doctor tells what was tried, and the choice is made once for a process", async () => {
    const check = await checkSandbox(world);
    const again = await chooseSandbox({ world, wanted: "auto", folder: "/nowhere" });

    assert.equal(check.level, "sandbox" in again ? "ok" : "fail");
    assert.match(check.found, /holds|not installed|failed/);
  });

  test("without walls a command still has no variable of ours, and its group ends with it", async () => {
    const sandbox = noSandbox({
      ...world,
      env: (name) => (name === "PATH" ? "/usr/bin:/bin" : "s3cret"),
    });

    const exit = await sandbox.run({
      ...commandIn(tmpdir()),
      argv: ["/bin/sh", "-c", "sleep 300 & env | cut -d= -f1 | grep -vE '^(_|PWD|SHLVL)$' | sort"],
    });

    assert.deepEqual(exit.stdout.trim().split("\n"), ["HOME", "LANG", "PATH", "TERM"]);
    assert.equal(exit.leftBehind, undefined);
  });
});

const SOURCE = new URL("../..", import.meta.url).href.replace(/\/$/, "");

const LOOP = `
const [root, backend, workspace] = process.argv.slice(1);
const { realWorld } = await import(root + "/platform/index.ts");
const { surveyHost } = await import(root + "/tools/sandbox/box.ts");
const { unshareSandbox } = await import(root + "/tools/sandbox/unshare.ts");
const { bubblewrapSandbox, findBubblewrap } = await import(root + "/tools/sandbox/bubblewrap.ts");
const world = realWorld();
const host = await surveyHost(world, []);
const sandbox = backend === "unshare"
  ? unshareSandbox(world, host)
  : bubblewrapSandbox(world, host, await findBubblewrap(world));
await sandbox.run({
  argv: ["/bin/sh", "-c", "(setsid sh -c 'echo here >&9; while :; do sleep 1; done' 9> alive &); sleep 600"],
  profile: "workspace", workspace, readable: [], timeoutMs: 600000, outputBytesMax: 4096,
});
`;

const walled = process.platform === "linux" ? ["unshare"] : [];
if (bubblewrap !== undefined) walled.push("bubblewrap");

for (const backend of walled) {
  test(`${backend}: when Cadre is killed, what it ran dies too`, { timeout: 60_000 }, async (t) => {
    const workspace = await realpath(await mkdtemp(join(tmpdir(), "cadre-orphan-")));
    t.after(() => rm(workspace, { recursive: true, force: true }));
    await world.processes.run({
      argv: ["mkfifo", join(workspace, "alive")],
      env: { PATH: "/usr/bin:/bin" },
      timeoutMs: 10_000,
      outputBytesMax: 1_024,
    });
    const cadre = spawn(
      process.execPath,
      ["--input-type=module", "-e", LOOP, SOURCE, backend, workspace],
      { stdio: ["ignore", "ignore", "inherit"] },
    );
    // The pipe ends only when the last process that holds it is gone.
    const alive = createReadStream(join(workspace, "alive"));
    const ended = once(alive, "end");
    await once(alive, "data");

    cadre.kill("SIGKILL");

    await ended;
  });
}

const MOUNTED = `
const [root, ground] = process.argv.slice(1);
const { realWorld } = await import(root + "/platform/index.ts");
const { surveyHost } = await import(root + "/tools/sandbox/box.ts");
const { unshareSandbox } = await import(root + "/tools/sandbox/unshare.ts");
const world = realWorld();
const sandbox = unshareSandbox(world, await surveyHost(world, []));
const exit = await sandbox.run({
  argv: ["/bin/sh", "-c", 'echo x > "$0/f" || echo refused; cat "$0/there"', ground + "/shown/a mount"],
  profile: "workspace", workspace: ground + "/workspace", readable: [ground + "/shown"],
  timeoutMs: 60000, outputBytesMax: 4096,
});
process.stdout.write(exit.stdout);
`;

if (process.platform === "linux") {
  test("what is mounted below a folder that is only read can't be written either", async (t) => {
    const ground = await realpath(await mkdtemp(join(tmpdir(), "cadre-mounted-")));
    t.after(() => rm(ground, { recursive: true, force: true }));
    await mkdir(join(ground, "shown/a mount"), { recursive: true });
    await mkdir(join(ground, "workspace"));
    const script = `mount -t tmpfs -o noexec none "$3/shown/a mount" && echo there > "$3/shown/a mount/there" &&
      exec "$0" --input-type=module -e "$1" "$2" "$3"`;

    const exit = await world.processes.run({
      argv: [
        ...(["unshare", "--user", "--map-root-user", "--mount", "/bin/sh", "-c", script] as const),
        ...[process.execPath, MOUNTED, SOURCE, ground],
      ],
      env: { PATH: "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin" },
      timeoutMs: 60_000,
      outputBytesMax: 8_192,
    });

    assert.equal(exit.stdout, "refused\nthere\n", exit.stderr);
  });
}
