import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";
import { CadreError } from "../errors.ts";
import { lockFolder, readHub } from "./lock.ts";

const LOCK = new URL("./lock.ts", import.meta.url).href;
const NINE = Date.UTC(2026, 10, 20, 9, 12);

function freshFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "cadre-lock-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "home");
}

/** Another process that takes the folder and holds it until it is killed; its words so far. */
async function hold(
  t: TestContext,
  folder: string,
): Promise<{ child: ChildProcess; said: string }> {
  const text = `const { lockFolder } = await import(${JSON.stringify(LOCK)});
    try { lockFolder(process.argv[1], { pid: process.pid, startedAt: ${NINE} }); console.log("held"); }
    catch (error) { console.log(error.code); }
    process.stdin.resume();`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", text, folder], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  t.after(() => child.kill("SIGKILL"));
  const [said] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
  return { child, said };
}

test("a second hub on a folder is refused, with who holds it and since when", async (t) => {
  const folder = freshFolder(t);
  const { child } = await hold(t, folder);

  assert.throws(
    () => lockFolder(folder, { pid: process.pid, startedAt: NINE }),
    (error) => {
      assert.ok(error instanceof CadreError);
      assert.equal(error.code, "already_running");
      assert.match(
        error.message,
        new RegExp(`pid ${child.pid}, up since 2026-11-20T09:12:00.000Z`),
      );
      assert.equal(error.next.length, 2);
      return true;
    },
  );
});

test("of several processes that start at once exactly one holds the folder", async (t) => {
  const folder = freshFolder(t);

  const holders = await Promise.all([1, 2, 3, 4].map(() => hold(t, folder)));

  const said = holders.map((holder) => holder.said).sort();
  assert.deepEqual(said, ["already_running", "already_running", "already_running", "held"]);
});

test("the folder of a killed hub is free at once, and its facts are no longer believed", async (t) => {
  const folder = freshFolder(t);
  const { child } = await hold(t, folder);
  assert.equal(readHub(folder)?.pid, child.pid);

  child.kill("SIGKILL");
  await once(child, "exit");

  assert.ok(existsSync(join(folder, "hub.json")));
  assert.equal(readHub(folder), undefined);
  const lock = lockFolder(folder, { pid: 1, startedAt: NINE });
  assert.equal(readHub(folder)?.pid, 1);
  lock.release();
});

test("clients read what the hub said last, until it lets go", (t) => {
  const folder = freshFolder(t);
  assert.equal(readHub(folder), undefined);

  const lock = lockFolder(folder, { pid: 42, startedAt: NINE });
  const early = readHub(folder);
  lock.update({ pid: 42, startedAt: NINE, url: "http://127.0.0.1:4141" });
  const late = readHub(folder);
  lock.release();
  lock.release();

  assert.deepEqual(early, { pid: 42, startedAt: NINE });
  assert.deepEqual(late, { pid: 42, startedAt: NINE, url: "http://127.0.0.1:4141" });
  assert.equal(readHub(folder), undefined);
  lockFolder(folder, { pid: 43, startedAt: NINE }).release();
});

test("asking does not take the folder from a hub that starts", (t) => {
  const folder = freshFolder(t);
  lockFolder(folder, { pid: 1, startedAt: NINE }).release();

  assert.equal(readHub(folder), undefined);
  const lock = lockFolder(folder, { pid: 2, startedAt: NINE });

  assert.equal(readHub(folder)?.pid, 2);
  lock.release();
});

test("facts that are torn or foreign are as good as none; they are the owner's alone", (t) => {
  const folder = freshFolder(t);
  const lock = lockFolder(folder, { pid: 1, startedAt: NINE });
  const mode = statSync(join(folder, "hub.json")).mode & 0o777;

  writeFileSync(join(folder, "hub.json"), '{"pid": "one"');

  assert.equal(mode, 0o600);
  assert.equal(readHub(folder), undefined);
  lock.release();
});

test("a process that asks about the folder it holds, or takes it again, does not lose it", async (t) => {
  const folder = freshFolder(t);
  const lock = lockFolder(folder, { pid: process.pid, startedAt: NINE });
  t.after(() => lock.release());

  assert.equal(readHub(folder)?.pid, process.pid);
  assert.throws(() => lockFolder(folder, { pid: 1, startedAt: NINE }), { code: "already_running" });

  assert.equal((await hold(t, folder)).said, "already_running");
  assert.equal(readHub(folder)?.pid, process.pid);
});
