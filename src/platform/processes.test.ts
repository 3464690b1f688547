import assert from "node:assert/strict";
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { chmod, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import { type Command, type Exit, realProcesses } from "./processes.ts";

const processes = realProcesses();
const ENV = { PATH: "/usr/local/bin:/usr/bin:/bin" };

const run = (script: string, options: Partial<Command> = {}): Promise<Exit> =>
  processes.run({
    argv: ["/bin/sh", "-c", script],
    env: ENV,
    timeoutMs: 60_000,
    outputBytesMax: 1_000,
    ...options,
  });

async function scratch(t: TestContext): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "cadre-processes-")));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

test("a command gives its outputs, its code and only the environment it was given", async () => {
  const exit = await run("echo out; echo err >&2; echo $GIVEN; exit 3", {
    env: { ...ENV, GIVEN: "here" },
  });

  assert.equal(exit.stdout, "out\nhere\n");
  assert.equal(exit.stderr, "err\n");
  assert.equal(exit.code, 3);
  assert.equal(exit.ended, "exited");
  assert.equal(exit.outputBytes, 13);
});

test("input arrives, and a command that does not read it does no harm", async () => {
  const stdin = "x".repeat(1_000_000);

  assert.equal((await run("wc -c", { stdin })).stdout.trim(), "1000000");
  assert.equal((await run("exit 0", { stdin })).code, 0);
});

test("100 MB in one line are counted, and head and tail kept", async () => {
  const exit = await run("printf begin; head -c 100000000 /dev/zero | tr '\\0' x; printf end");

  assert.equal(exit.outputBytes, 100_000_008);
  assert.match(exit.stdout, /^beginx{495}\n\[\.\.\. 99999008 bytes left out \.\.\.\]\nx{497}end$/);
});

test("output of any size is kept whole within its bound, cut between characters past it", async () => {
  const texts = fc.string({ unit: fc.constantFrom("a", "é", "漢", "😀"), maxLength: 120 });

  await fc.assert(
    fc.asyncProperty(texts, fc.integer({ min: 1, max: 200 }), async (text, outputBytesMax) => {
      const exit = await run("cat", { stdin: text, outputBytesMax });

      const bytes = Buffer.byteLength(text);
      if (bytes <= outputBytesMax) return assert.equal(exit.stdout, text);
      const [head = "", cut, tail = ""] = exit.stdout.split(
        /\n\[\.\.\. (\d+) bytes left out \.\.\.\]\n/,
      );
      assert.ok(text.startsWith(head) && text.endsWith(tail), exit.stdout);
      assert.equal(Buffer.byteLength(head) + Number(cut) + Buffer.byteLength(tail), bytes);
    }),
    { numRuns: 60 },
  );
});

test("a timeout ends a group that ignores SIGTERM, grandchildren too", {
  timeout: 60_000,
}, async (t) => {
  const folder = await scratch(t);
  await run(`mkfifo ${folder}/alive`);
  const alive = createReadStream(join(folder, "alive"));
  const ended = once(alive.resume(), "end");

  const exit = await run(
    `exec 9> ${folder}/alive; trap '' TERM
     (trap '' TERM; while :; do sleep 1; done) & while :; do sleep 1; done`,
    { timeoutMs: 200 },
  );

  assert.equal(exit.ended, "timed_out");
  assert.equal(exit.signal, "SIGKILL");
  // The pipe ends only when the last process that holds it is gone.
  await ended;
});

test("a command that ends at SIGTERM is asked only", async () => {
  const exit = await run("trap 'echo bye; exit 5' TERM; while :; do sleep 0.1; done", {
    timeoutMs: 300,
  });

  assert.deepEqual([exit.ended, exit.code, exit.stdout], ["timed_out", 5, "bye\n"]);
});

test("a signal that aborted before the start ends the command at once", async () => {
  const exit = await run("sleep 600", { signal: AbortSignal.abort() });

  assert.equal(exit.ended, "stopped");
});

test("children in the group end with the command", async () => {
  const exit = await run("sleep 600 & echo done");

  assert.equal(exit.stdout, "done\n");
  assert.equal(exit.leftBehind, undefined);
});

test("a child that left the group keeps nobody waiting, and is told of", {
  timeout: 60_000,
}, async (t) => {
  const folder = await scratch(t);
  const exit = await run(`setsid sh -c 'echo $$ > ${folder}/pid; exec sleep 600' & 
    while [ ! -s ${folder}/pid ]; do sleep 0.1; done; cat ${folder}/pid`);
  t.after(() => process.kill(Number(exit.stdout)));

  assert.equal(exit.ended, "exited");
  assert.equal(exit.code, 0);
  assert.equal(exit.leftBehind, true);
});

test("what can't be started is told with its name and what to do", async (t) => {
  const folder = await scratch(t);
  await writeFile(join(folder, "plain"), "");
  await chmod(join(folder, "plain"), 0o644);
  const large = "x".repeat(3_000_000);

  await assert.rejects(run("", { argv: ["no-such-program"] }), {
    code: "not_found",
    message: "There is no program no-such-program in PATH. Install it or name its path.",
    details: { errno: "ENOENT", program: "no-such-program" },
  });
  await assert.rejects(run("true", { cwd: join(folder, "no") }), {
    code: "not_found",
    message: `/bin/sh was not started: there is no folder ${folder}/no.`,
  });
  await assert.rejects(run("", { argv: [join(folder, "plain")] }), { code: "forbidden" });
  await assert.rejects(run("", { argv: ["/bin/echo", large] }), { code: "payload_too_large" });
});

test("a machine without room for another process is a fault that may pass", async () => {
  // A child of its own lowers its limit, so that nothing else meets it.
  const script = `
    const { realProcesses } = await import(${JSON.stringify(new URL("processes.ts", import.meta.url).href)});
    const run = () => realProcesses().run(
      { argv: ["/bin/true"], env: {}, timeoutMs: 60000, outputBytesMax: 10 });
    const all = await Promise.allSettled(Array.from({ length: 40 }, run));
    const failed = all.filter((it) => it.status === "rejected").map((it) => it.reason.code);
    console.log(JSON.stringify([...new Set(failed)]));
  `;
  const exit = await run('ulimit -n 48; exec "$0" --input-type=module -e "$1"', {
    argv: [
      "/bin/sh",
      "-c",
      'ulimit -n 48; exec "$0" --input-type=module -e "$1"',
      process.execPath,
      script,
    ],
    outputBytesMax: 10_000,
  });

  assert.equal(exit.stdout, '["not_ready"]\n', exit.stderr);
});
