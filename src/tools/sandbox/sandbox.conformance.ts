// The promises of every walled sandbox, as attempts to break them.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createReadStream } from "node:fs";
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { createServer } from "node:net";
import { homedir, tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Exit, Processes } from "../../platform/index.ts";
import type { BoxLimits } from "./box.ts";
import type { Sandbox, SandboxedCommand } from "./sandbox.ts";

export type SandboxCase = {
  readonly name: string;
  /** Opens the sandbox over a machine whose `hidden` folders no box may show. */
  open(hidden: readonly string[], limits: BoxLimits): Promise<Sandbox>;
  /** The user who builds the boxes, when it is not the one who runs the tests. */
  readonly owner?: number;
  /** For commands of the test itself, as that user. */
  readonly processes: Processes;
};

const LIMITS: BoxLimits = {
  cpuSeconds: 60,
  memoryBytes: 1024 ** 3,
  processes: 400,
  fileBytes: 64 * 1024 ** 2,
  scratchBytes: 64 * 1024 ** 2,
};

/** A copy of Node made for the test of a user who can't reach this one, wherever it had to lie. */
export const COPIED_NODE = "cadre-node-";

export function sandboxConformance(subject: SandboxCase): void {
  describe(`sandbox ${subject.name}`, { timeout: 120_000 }, () => {
    let ground = "";
    let workspace = "";
    let beside = "";
    let state = "";
    let sandbox: Sandbox;
    let planted = "";

    before(async () => {
      // A space, a quote, a backslash and a letter beyond ASCII: paths are no shell text.
      ground = await realpath(await mkdtemp(join(tmpdir(), "cadre box'\\ü-")));
      workspace = join(ground, "workspace");
      beside = join(ground, "beside");
      state = join(workspace, ".cadre");
      for (const folder of [workspace, beside, state]) await mkdir(folder);
      await writeFile(join(beside, "secret"), "not for agents");
      await writeFile(join(state, "token"), "not for agents");
      planted = await mkdtemp(join(homedir(), ".cadre-conformance-"));
      await writeFile(join(planted, "id_test"), "not for agents");
      for (const path of [ground, workspace, beside, state, join(beside, "secret")])
        await open(path);
      sandbox = await subject.open([state], LIMITS);
    });

    after(async () => {
      await rm(ground, { recursive: true, force: true });
      await rm(planted, { recursive: true, force: true });
    });

    // Only the walls may stand between a box and a file: its permissions allow everything.
    async function open(path: string): Promise<void> {
      await chmod(path, 0o777);
      if (subject.owner !== undefined) await chown(path, subject.owner, subject.owner);
    }

    function inBox(script: string, options: Partial<SandboxedCommand> = {}): Promise<Exit> {
      return sandbox.run({
        argv: ["/bin/sh", "-c", script],
        profile: "workspace",
        workspace,
        readable: [],
        timeoutMs: 60_000,
        outputBytesMax: 64 * 1024,
        ...options,
      });
    }

    const node = (script: string, options: Partial<SandboxedCommand> = {}): Promise<Exit> =>
      inBox("", { argv: ["node", "-e", script], ...options });

    test("a command works in the workspace and its exit code comes back", async () => {
      const exit = await inBox("pwd; echo made > made; cat made; echo sad >&2; exit 7");

      assert.equal(exit.stdout, `${workspace}\nmade\n`);
      assert.equal(exit.stderr, "sad\n");
      assert.equal(exit.code, 7);
      assert.equal(await readFile(join(workspace, "made"), "utf8"), "made\n");
    });

    test("nothing outside the workspace can be written", async () => {
      const name = basename(planted);
      const folders = ["/", "/etc", "/usr", "/usr/bin", "/dev", "/run", "/var", beside, planted];

      const exit = await inBox("", { argv: ["/bin/sh", "-c", WRITE_EACH, name, ...folders] });

      assert.equal(exit.code, 0);
      for (const folder of folders) {
        const isWritten = (await readdir(folder)).includes(name);
        await rm(join(folder, name), { recursive: true, force: true });
        assert.ok(!isWritten, `${folder} was written`);
      }
    });

    test("nothing beside the workspace can be read", async () => {
      const paths = [
        join(beside, "secret"),
        join(planted, "id_test"),
        join(state, "token"),
        "/var/run/docker.sock",
        "/run/docker.sock",
        "/root/.ssh",
        "/home/.",
        "/sys/kernel",
        "/etc/shadow",
        "/proc/1/root/etc/shadow",
        `/proc/self/root${beside}/secret`,
      ];

      const exit = await inBox("", { argv: ["/bin/sh", "-c", READ_EACH, "sh", ...paths] });

      assert.equal(exit.stdout, "");
    });

    test("the machine's /tmp, /run and devices are not seen", async () => {
      const temporary = await inBox("ls -A /tmp");
      const exit = await inBox("ls -A /run; ls -d /dev/vd* /dev/sd* /dev/kmsg");

      // In /tmp stand the ways to the workspace and, where it lies there, to Node: nothing else.
      const ways = [workspace, process.execPath]
        .filter((path) => path.startsWith("/tmp/"))
        .map((path) => path.split("/")[2]);
      const others = temporary.stdout
        .split("\n")
        .filter((name) => name !== "" && !ways.includes(name) && !name.startsWith(COPIED_NODE));
      assert.deepEqual(others, []);
      assert.equal(exit.stdout, "");
    });

    test("a link in the workspace leads nowhere outside", async () => {
      await symlink(join(beside, "secret"), join(workspace, "link"));
      await symlink(beside, join(workspace, "folder"));

      const exit = await inBox("cat link folder/secret; echo x > link; echo x > folder/new; true");

      assert.equal(exit.stdout, "");
      assert.equal(await readFile(join(beside, "secret"), "utf8"), "not for agents");
      assert.deepEqual(await readdir(beside), ["secret"]);
    });

    test("what is readable beside the workspace stays readable, and only that", async () => {
      const exit = await inBox("", {
        argv: ["/bin/sh", "-c", 'cat "$0"; echo x > "$0"', join(beside, "secret")],
        readable: [beside],
      });

      assert.equal(exit.stdout, "not for agents");
      assert.notEqual(exit.code, 0);
      assert.equal(await readFile(join(beside, "secret"), "utf8"), "not for agents");
    });

    test("a single file can be readable, and what lies beside it is not", async () => {
      const exit = await inBox("", {
        argv: ["/bin/sh", "-c", 'cat "$0"; ls "$1"', join(beside, "secret"), beside],
        readable: [join(beside, "secret")],
      });

      assert.equal(exit.stdout, "not for agentssecret\n");
    });

    test("the profile read-only writes nothing but its own /tmp", async () => {
      const exit = await inBox("echo x > written || echo refused; echo y > /tmp/y && cat /tmp/y", {
        profile: "read-only",
      });

      assert.equal(exit.stdout, "refused\ny\n");
      assert.ok(!(await readdir(workspace)).includes("written"));
    });

    test("git's own folder in a workspace can't be changed, for what is in it runs outside", async () => {
      await mkdir(join(workspace, ".git", "hooks"), { recursive: true });
      await open(join(workspace, ".git"));
      await open(join(workspace, ".git", "hooks"));

      await inBox("echo x > .git/hooks/post-commit; mv .git .old; rm -rf .git; ln -s /tmp .git");

      assert.deepEqual(await readdir(join(workspace, ".git")), ["hooks"]);
      assert.deepEqual(await readdir(join(workspace, ".git", "hooks")), []);
      await rm(join(workspace, ".git"), { recursive: true });
    });

    test("there is no network: not the machine's own, not the cloud's, no names, no sockets", async (t) => {
      const server = createServer((socket) => socket.destroy());
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      t.after(() => server.close());
      const local = createServer((socket) => socket.destroy());
      local.listen(join(beside, "socket"));
      await once(local, "listening");
      t.after(() => local.close());
      const address = server.address();
      const port = typeof address === "object" ? address?.port : 0;

      const exit = await node(`
        const net = require("node:net"), dns = require("node:dns/promises");
        const tries = [{ host: "127.0.0.1", port: ${port} }, { host: "::1", port: ${port} },
          { host: "169.254.169.254", port: 80 }, { path: ${JSON.stringify(join(beside, "socket"))} }];
        for (const one of tries) net.connect(one)
          .on("connect", () => { console.log("reached", one); process.exit(1); })
          .on("error", () => {});
        dns.resolve4("example.com").then(() => console.log("resolved"), () => {});
      `);

      assert.equal(exit.stdout, "");
      assert.equal(exit.code, 0);
      const devices = await inBox("sed 1,2d /proc/net/dev | cut -d: -f1");
      assert.equal(devices.stdout.trim(), "lo");
    });

    test("processes of the machine are neither seen nor reached", async (t) => {
      const victim = spawn("sleep", ["600"], { stdio: "ignore", ...ownerOf(subject) });
      t.after(() => victim.kill("SIGKILL"));
      await once(victim, "spawn");

      const exit = await inBox(`kill -9 ${victim.pid}; kill -9 -1; true`);
      const seen = await inBox("ls /proc | grep -c '^[0-9]'");

      assert.notEqual(exit.ended, "timed_out");
      assert.equal(victim.exitCode ?? victim.signalCode, null);
      assert.ok(Number(seen.stdout) < 10, `${seen.stdout} processes are seen`);
    });

    test("no privilege can be had: no capability, no namespace, no mount, no device", async () => {
      const exit = await inBox(`
        grep -E '^(Cap(Prm|Eff|Bnd|Amb)|NoNewPrivs)' /proc/self/status | tr -d '\\t'
        unshare --user true && echo a user namespace
        unshare --user --map-root-user --mount true && echo a mount namespace
        mount -o remount,rw / && echo remounted
        mount -o remount,bind,rw /usr && echo remounted
        mount -t tmpfs none /tmp && echo mounted
        umount /tmp && echo unmounted
        mknod /tmp/device b 8 0 && echo a device
        chroot /tmp true && echo chroot
        echo 1 > /proc/sysrq-trigger && echo sysrq
        echo x > /proc/sys/kernel/core_pattern && echo core_pattern
        echo x > /proc/sys/kernel/hostname && echo hostname
        true
      `);

      assert.deepEqual(exit.stdout.trim().split("\n"), [
        "CapPrm:0000000000000000",
        "CapEff:0000000000000000",
        "CapBnd:0000000000000000",
        "CapAmb:0000000000000000",
        "NoNewPrivs:1",
      ]);
    });

    test("no variable is inherited, the given ones arrive", async () => {
      const exit = await inBox("env | cut -d= -f1 | sort", { env: { GIVEN: "a b" } });

      const names = exit.stdout.trim().split("\n");
      const known = new Set(["GIVEN", "HOME", "LANG", "PATH", "TERM", "TMPDIR", "PWD", "OLDPWD"]);
      assert.ok(names.includes("GIVEN"));
      assert.deepEqual(
        names.filter((name) => !known.has(name) && !/^(SHLVL|_)$/.test(name)),
        [],
      );
    });

    test("a fork bomb meets its bound", async () => {
      const exit = await inBox(`
        i=0
        while [ $i -lt 2000 ]; do sleep 300 & i=$((i + 1)); echo $i > /tmp/i; cat /tmp/i; done
      `);

      const started = Number(exit.stdout.trim().split("\n").at(-1));
      assert.ok(started > 20 && started <= LIMITS.processes, `${started} processes were started`);
      assert.equal(exit.ended, "exited");
    });

    test("memory, files and the box's own /tmp meet their bounds", async () => {
      const exit = await inBox(`
        head -c 1200m /dev/zero | tail > /dev/null 2>&1 || echo memory
        head -c 80m /dev/zero > large || echo file
        head -c 60m /dev/zero > /tmp/1 && head -c 60m /dev/zero > /tmp/2 || echo scratch
      `);

      assert.equal(exit.stdout, "memory\nfile\nscratch\n");
      await rm(join(workspace, "large"));
    });

    test("100 MB of output are counted and bounded", async () => {
      const exit = await inBox("head -c 100000000 /dev/zero | tr '\\0' x; echo the end");

      assert.equal(exit.outputBytes, 100_000_008);
      assert.ok(exit.stdout.length < 65 * 1024);
      assert.match(exit.stdout, /bytes left out[\s\S]*the end\n$/);
    });

    test("what ignores SIGTERM and leaves its group is dead when the run is over", async () => {
      const made = await subject.processes.run({
        argv: ["mkfifo", join(workspace, "alive")],
        env: { PATH: "/usr/bin:/bin" },
        timeoutMs: 10_000,
        outputBytesMax: 1_024,
      });
      assert.equal(made.code, 0);
      const stop = new AbortController();

      const run = inBox(
        `trap '' TERM
         (setsid sh -c 'trap "" TERM HUP; echo here >&9; while :; do sleep 1; done' 9> alive &)
         while :; do sleep 1; done`,
        { signal: stop.signal },
      );
      // The pipe ends only when the last process that holds it is gone.
      const alive = createReadStream(join(workspace, "alive"));
      const ended = once(alive, "end");
      await once(alive, "data");
      stop.abort();

      assert.equal((await run).ended, "stopped");
      await ended;
      await rm(join(workspace, "alive"));
    });

    test("what a command leaves running in the background ends with it", async () => {
      const exit = await inBox("(setsid sleep 300 &); (sleep 300 &); echo done");

      assert.equal(exit.stdout, "done\n");
      assert.equal(exit.leftBehind, undefined);
    });

    test("node and npm run inside, and node's own test runner", async (t) => {
      // Node itself can't import from a path with a backslash.
      const project = await realpath(await mkdtemp(join(tmpdir(), "cadre-project-")));
      t.after(() => rm(project, { recursive: true, force: true }));
      await open(project);
      await writeFile(join(project, "a.test.mjs"), 'import t from "node:test"; t("a", () => {});');
      const scripts = { test: "node --test a.test.mjs" };
      await writeFile(join(project, "package.json"), JSON.stringify({ name: "a", scripts }));

      const exit = await inBox("npm test 2>&1", { workspace: project });

      assert.match(exit.stdout, /pass 1/);
      assert.equal(exit.code, 0);
      assert.equal((await inBox("node --version")).stdout, `${process.version}\n`);
    });

    test("git works in a work tree whose common folder is readable", async () => {
      const git = async (...args: string[]) => {
        const exit = await subject.processes.run({
          argv: ["git", "-c", "user.name=a", "-c", "user.email=a@b", ...args],
          cwd: ground,
          env: { PATH: "/usr/local/bin:/usr/bin:/bin", GIT_CONFIG_GLOBAL: "/dev/null" },
          timeoutMs: 30_000,
          outputBytesMax: 4_096,
        });
        assert.equal(exit.code, 0, exit.stderr);
      };
      const tree = join(ground, "tree");
      await git("init", "--quiet", "repository");
      await git("-C", "repository", "commit", "--quiet", "--allow-empty", "-m", "first");
      await git("-C", "repository", "worktree", "add", "--quiet", tree);
      await writeFile(join(tree, "new"), "");

      const exit = await inBox("git status --short && git log --format=%s", {
        workspace: tree,
        readable: [join(ground, "repository", ".git")],
      });

      assert.equal(exit.stdout, "?? new\nfirst\n");
    });

    test("nothing is run without walls, nor with the whole machine for a workspace", async () => {
      await assert.rejects(inBox("true", { profile: "none" }), { code: "sandbox_unavailable" });
      await assert.rejects(inBox("true", { workspace: "/" }), { code: "workspace_failed" });
      await assert.rejects(inBox("true", { workspace: "/etc" }), { code: "workspace_failed" });
    });

    test("a program that is not there is the command's failure, not the box's", async () => {
      const exit = await inBox("", { argv: ["no-such-program"] });

      assert.equal(exit.code, 127);
    });
  });
}

const WRITE_EACH = 'for folder do echo x > "$folder/$0" || mkdir "$folder/$0"; done; true';
const READ_EACH =
  'for path do if [ -d "$path" ]; then ls -A "$path"; else cat "$path"; fi; done 2> /dev/null; true';

const ownerOf = (subject: SandboxCase): { uid?: number; gid?: number } =>
  subject.owner === undefined ? {} : { uid: subject.owner, gid: subject.owner };
