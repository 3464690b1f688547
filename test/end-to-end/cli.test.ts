// The command line as a person meets it: real processes, a home of its own, git as it is installed.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { suite, type TestContext, test } from "node:test";
import * as cadre from "./cadre.ts";
import { CHECKOUT, clientOf, ready, type Started, scratch } from "./cadre.ts";

const EXAMPLE = join(CHECKOUT, "examples", "first-run");
const OBJECTIVE = "Fix the failing tests";

const git = (cwd: string, ...args: string[]): string =>
  execFileSync("git", args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }).trim();

function repository(folder: string): string {
  cpSync(join(EXAMPLE, "project"), folder, { recursive: true });
  git(folder, "init", "--quiet", "--initial-branch=main");
  git(folder, "config", "user.name", "Ada");
  git(folder, "config", "user.email", "ada@example.com");
  git(folder, "add", "--all");
  git(folder, "commit", "--quiet", "--message=Start");
  return folder;
}

type Around = Parameters<typeof cadre.run>[2];

/** As people have it: a locale that can show every symbol. */
const utf8 = (around: Around): Around => ({
  ...around,
  env: { LANG: "C.UTF-8", ...around.env },
});
const start = (t: TestContext, args: readonly string[], around: Around): Started =>
  cadre.start(t, args, utf8(around));
const run = (t: TestContext, args: readonly string[], around: Around): Promise<string> =>
  cadre.run(t, args, utf8(around));

type Site = { readonly home: string; readonly repo: string };

/** A person's own repository, and a home whose team is that of the example: its models are scripts. */
function site(t: TestContext): Site {
  const folder = scratch(t);
  const home = join(folder, "home");
  mkdirSync(home);
  for (const part of ["agents", "rehearsal", "cadre.yaml"]) {
    cpSync(join(EXAMPLE, part), join(home, part), { recursive: true });
  }
  return { home, repo: repository(join(folder, "repo")) };
}

const runIn = (t: TestContext, { home, repo }: Site, ...more: string[]): Started =>
  start(t, ["run", OBJECTIVE, ...more], { home, cwd: repo });

/** Far beyond what any start takes: a program that says nothing must fail its test, not hang it. */
const TRIES_MAX = 1_500;

/** Waits until the process has said it on stdout. */
async function says(started: Started, pattern: RegExp): Promise<void> {
  let ended = false;
  void started.exited.then(() => {
    ended = true;
  });
  for (let tries = 0; !pattern.test(started.text.stdout); tries++) {
    assert.ok(!ended && tries < TRIES_MAX, `${pattern} was not said:\n${all(started)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const all = ({ text }: Started): string => text.stdout + text.stderr;

function rootIn(text: string): string {
  const found = /task_[0-9a-z]{16}/.exec(text)?.[0];
  assert.ok(found !== undefined, text);
  return found;
}

function appendTo(file: string, text: string): void {
  writeFileSync(file, readFileSync(file, "utf8") + text);
  chmodSync(file, 0o644);
}

// Most of a run is the waiting of its scripts: several go on at once.
suite("the command line", { concurrency: 4 }, () => {
  test("the first run: exit 0, and a summary that says what changed, what it cost and what comes next", async (t) => {
    const home = scratch(t);

    const out = await run(t, ["run", "--example", "first-run"], { home, cwd: home });

    const root = rootIn(out);
    assert.match(out, /^✓ Fix the failing tests {2,}task_\w{6}$/m);
    assert.match(out, /^ {2}4 of 4 tasks done/m);
    assert.match(out, /^ {2}Cost {6}\$0\.00/m);
    assert.match(out, /rehearsal: no model was called/);
    assert.match(out, new RegExp(`^ {2}Branch {4}cadre/${root}$`, "m"));
    assert.match(out, /^ {2}Changed {3}2 commits, 2 files, \+\d+ −\d+$/m);
    assert.match(out, /^ {2}Checks {4}✓ npm test: exit 0 {2}task_\w{6} Run all tests/m);
    for (const verb of ["diff HEAD...cadre/", "runs merge", "runs undo", "runs show"]) {
      assert.ok(out.includes(verb), verb);
    }
  });

  test("with a broken test left in, the first run is failed, not done: exit 1 and why", async (t) => {
    const home = scratch(t);

    const out = await run(t, ["run", "--example", "first-run/broken"], {
      home,
      cwd: home,
      exit: 1,
    });

    assert.match(out, /^✗ Fix the failing tests/m);
    assert.match(out, /^ {2}2 of 4 tasks done, 2 failed/m);
    assert.match(out, /^ {2}Checks {4}✗ npm test: exit 1/m);
    assert.match(out, /parseDuration answers 0/);
    assert.match(out, /tasks why task_\w{6}/);
  });

  test("without a key nothing starts: exit 5, and which variable to set", async (t) => {
    const home = scratch(t);
    const repo = repository(join(home, "repo"));

    const started = start(t, ["run", OBJECTIVE], { home: join(home, "state"), cwd: repo });

    assert.equal((await started.exited).code, 5);
    assert.equal(started.text.stdout, "");
    assert.match(started.text.stderr, /No model can be called/);
    assert.match(started.text.stderr, /export ANTHROPIC_API_KEY=…/);
    assert.ok(!existsSync(join(home, "state", "cadre.db")));
  });

  test("Ctrl C once stops and says how to resume: exit 130; --resume finishes", async (t) => {
    const place = site(t);
    const running = runIn(t, place);
    await says(running, / created .*title="Read durations right"/);

    running.process.kill("SIGINT");

    assert.equal((await running.exited).code, 130, all(running));
    const resume = /run (--resume task_\w{6})$/m.exec(running.text.stderr)?.[1];
    assert.ok(resume !== undefined, running.text.stderr);
    const out = await run(t, ["run", ...resume.split(" ")], { home: place.home, cwd: place.repo });
    assert.match(out, /^✓ Fix the failing tests/m);
    assert.match(out, /^ {2}4 of 4 tasks done/m);
  });

  test("SIGTERM in mid-run ends cleanly, and `cadre up` brings the objective to its end", async (t) => {
    const place = site(t);
    const running = runIn(t, place);
    await says(running, / created .*title="Read durations right"/);

    running.process.kill("SIGTERM");

    assert.equal((await running.exited).code, 130, all(running));
    const hub = start(t, ["up", "--port", "0"], { home: place.home, cwd: place.repo });
    const { url } = await ready(hub, place.home);
    const client = clientOf(t, place.home, url);
    const root = rootIn(running.text.stdout) as `task_${string}`;
    for await (const event of client.follow({ root }, { after: 0 })) {
      if (event.type === "task.completed" && event.task === root) break;
    }
    hub.process.kill("SIGTERM");
    assert.equal((await hub.exited).code, 0, all(hub));
  });

  test("of two `cadre run` at once the second joins the first, and both finish", async (t) => {
    const place = site(t);

    const both = [runIn(t, place), runIn(t, place)];

    for (const one of both) {
      assert.equal((await one.exited).code, 0, all(one));
      assert.match(one.text.stdout, /^✓ Fix the failing tests/m);
    }
    const [first = "", second = ""] = both.map(({ text }) => rootIn(text.stdout));
    assert.notEqual(first, second);
  });

  test("a hub killed under a view: the view waits, and goes on with the next hub", async (t) => {
    const place = site(t);
    const around = { home: place.home, cwd: place.repo };
    const first = start(t, ["up", "--port", "0"], around);
    const { url } = await ready(first, place.home);
    const viewer = runIn(t, place);
    await says(viewer, / created .*title="Read durations right"/);

    first.process.kill("SIGKILL");
    await first.exited;
    const second = start(t, ["up", "--port", new URL(url).port], around);
    await ready(second, place.home);

    assert.equal((await viewer.exited).code, 0, all(viewer));
    assert.match(
      viewer.text.stderr,
      /! Reconnecting: the hub at http:\S+ went away at \d\d:\d\d:\d\d/,
    );
    assert.match(viewer.text.stderr, /✓ The hub is back; nothing was missed\./);
    const facts = viewer.text.stdout.split("\n").filter((line) => /^\d{4}-/.test(line));
    assert.equal(new Set(facts).size, facts.length, "nothing came twice");
  });

  test("a taken port is refused with exit 7, and the home is free again", async (t) => {
    const home = scratch(t);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.after(() => server.close());
    const { port } = server.address() as { readonly port: number };

    const refused = start(t, ["up", "--port", String(port)], { home });

    assert.equal((await refused.exited).code, 7, all(refused));
    assert.match(refused.text.stderr, new RegExp(`${port}`));
    assert.match(refused.text.stderr, /→ .*cadre up --port/);
    const hub = start(t, ["up", "--port", "0"], { home });
    await ready(hub, home);
  });

  test("a HOME that can't be written, and is not even a folder, is no obstacle", async (t) => {
    const folder = scratch(t);
    const homes = ["/proc", join(folder, "missing", "home")];
    const outs = await Promise.all(
      homes.map((HOME, i) => {
        const home = join(folder, `state-${i}`);
        mkdirSync(home);
        return run(t, ["run", "--example", "first-run"], { home, env: { HOME } });
      }),
    );

    for (const out of outs) assert.match(out, /^✓ Fix the failing tests/m);
  });

  test("a state folder that can't be written is refused, naming it", async (t) => {
    const folder = scratch(t);
    const file = join(folder, "file");
    writeFileSync(file, "");

    const refused = start(t, ["up", "--port", "0", "--home", join(file, "state")], {
      home: folder,
    });

    const { code } = await refused.exited;
    assert.equal(code, 5, all(refused));
    assert.ok(refused.text.stderr.includes(join(file, "state")), refused.text.stderr);
  });

  test("a user's uncommitted changes, branch and index stay as they are", async (t) => {
    const place = site(t);
    const { repo } = place;
    appendTo(join(repo, "README.md"), "\nMine, not committed.\n");
    writeFileSync(join(repo, "new.txt"), "mine");
    writeFileSync(join(repo, "staged.txt"), "mine");
    git(repo, "add", "staged.txt");
    const before = [
      git(repo, "status", "--porcelain"),
      git(repo, "diff"),
      git(repo, "rev-parse", "HEAD"),
    ];

    const running = runIn(t, place);

    assert.equal((await running.exited).code, 0, all(running));
    const after = [
      git(repo, "status", "--porcelain"),
      git(repo, "diff"),
      git(repo, "rev-parse", "HEAD"),
    ];
    assert.deepEqual(after, before);
    const branch = `cadre/${rootIn(running.text.stdout)}`;
    assert.doesNotMatch(git(repo, "show", `${branch}:README.md`), /Mine/);
  });

  test("a detached head is worked from, and stays where it is", async (t) => {
    const place = site(t);
    git(place.repo, "checkout", "--quiet", "--detach");

    const running = runIn(t, place);

    assert.equal((await running.exited).code, 0, all(running));
    assert.equal(git(place.repo, "rev-parse", "--abbrev-ref", "HEAD"), "HEAD");
    assert.match(git(place.repo, "branch", "--list", "cadre/*"), /cadre\/task_/);
  });

  test("without git, and without a commit, a folder is refused with what to do", async (t) => {
    const place = site(t);
    const plain = scratch(t);
    const empty = scratch(t);
    git(empty, "init", "--quiet");

    const first = start(t, ["run", OBJECTIVE], { home: place.home, cwd: plain });
    const second = start(t, ["run", OBJECTIVE], { home: place.home, cwd: empty });

    assert.equal((await first.exited).code, 2, all(first));
    assert.match(first.text.stderr, /is not a git repository/);
    assert.match(first.text.stderr, /→ git init && git add -A/);
    assert.equal((await second.exited).code, 2, all(second));
    assert.match(second.text.stderr, /has no commit yet/);
    assert.match(second.text.stderr, /→ git add -A && git commit/);
  });
});
