import assert from "node:assert/strict";
import { test } from "node:test";
import { CadreError } from "../../../platform/index.ts";
import type { TaskContract } from "../../../tasks/index.ts";
import { type CliBench, openCli } from "../cli.testing.ts";
import { runCli } from "../cli.ts";
import { recordingTerminal } from "../terminal.testing.ts";

const NODE = "node_a";
const RUN = ["run", "Mend the parser", "--no-git"];

type Claim = TaskContract["tasks.claim"]["output"]["claims"][number];

/** A worker by hand: it takes the next task as soon as there is one. */
function worker({ app }: CliBench) {
  const client = app.clientOf({ id: NODE, kind: "node", roles: ["node"] });
  const claimed = async (): Promise<Claim> => {
    await client.call("tasks.offer", {
      node: NODE,
      offers: [{ agent: "main", capabilities: [], slots: 4 }],
    });
    const take = async () =>
      (await client.call("tasks.claim", { node: NODE, free: { main: 4 } })).claims[0];
    const first = await take();
    if (first !== undefined) return first;
    for await (const _ of app.client.follow(
      { types: ["task.created", "task.queued"] },
      { after: 0 },
    )) {
      const claim = await take();
      if (claim !== undefined) return claim;
    }
    throw new Error("the stream ended before a task came");
  };
  const place = (claim: Claim, at: number) => ({
    id: claim.task.id,
    epoch: claim.epoch,
    run: claim.run,
    at,
  });
  return {
    claimed,
    async complete(claim: Claim) {
      await client.call("tasks.complete", {
        ...place(claim, 0),
        result: { text: "The parser is mended." },
      });
    },
    async fail(claim: Claim) {
      const failure = { code: "gave_up", message: "2 tests fail.", retry: "never" } as const;
      await client.call("tasks.fail", { ...place(claim, 0), failure });
    },
  };
}

test("an objective is followed to its end, and its summary stays", async (t) => {
  const bench = await openCli(t);
  const { claimed, complete } = worker(bench);
  const running = bench.run(...RUN);

  const claim = await claimed();
  await complete(claim);
  const { code, out } = await running;

  assert.equal(code, 0);
  const lines = out.split("\n");
  assert.match(
    lines[0] ?? "",
    new RegExp(`^\\S+Z ${claim.task.id} created title="Mend the parser"`),
  );
  assert.match(out, new RegExp(`^\\S+Z ${claim.task.id} completed .*took=.*cost=0\\.00`, "m"));
  assert.match(out, /^✓ Mend the parser/m);
  assert.match(out, /The parser is mended\./);
});

test("a failed objective exits 1 and says why", async (t) => {
  const bench = await openCli(t);
  const { claimed, fail } = worker(bench);
  const running = bench.run(...RUN);

  await fail(await claimed());
  const { code, out } = await running;

  assert.equal(code, 1);
  assert.match(out, /^✗ Mend the parser/m);
  assert.match(out, /2 tests fail\./);
  assert.match(out, /cadre tasks why task_/);
});

test("--json is a stream of events, one object a line", async (t) => {
  const bench = await openCli(t);
  const { claimed, complete } = worker(bench);
  const running = bench.run(...RUN, "--json");

  await complete(await claimed());
  const { out } = await running;

  const events = out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.ok(
    events.every((event) => typeof event.cursor === "number" && typeof event.at === "string"),
  );
  assert.equal(events[0].event, "task.created");
  assert.equal(events.at(-1).event, "task.completed");
});

test("--quiet prints only how it ended", async (t) => {
  const bench = await openCli(t);
  const { claimed, complete } = worker(bench);
  const running = bench.run(...RUN, "--quiet");

  await complete(await claimed());
  const { out, err } = await running;

  assert.match(out, /^✓ Mend the parser/);
  assert.equal(err, "");
});

test("Ctrl C leaves the view of another hub: the work goes on", async (t) => {
  const bench = await openCli(t);
  const terminal = recordingTerminal();
  const running = bench.on(terminal, ...RUN);

  await terminal.shows(" created ");
  terminal.interrupt("SIGINT");
  const { code, err } = await running;

  assert.equal(code, 130);
  assert.match(err, /The work goes on\. Look again: cadre tasks watch task_/);
  const { items } = await bench.app.client.call("tasks.list", { open: true });
  assert.equal(items.length, 1);
});

test("Ctrl C stops a hub of our own gracefully and says how to go on", async (t) => {
  const bench = await openCli(t, { kind: "hosted" });
  const terminal = recordingTerminal();
  const running = bench.on(terminal, ...RUN);

  await terminal.shows(" created ");
  terminal.interrupt("SIGINT");
  const { code, err } = await running;

  assert.equal(code, 130);
  assert.equal(bench.asked[0], "stop graceful");
  assert.match(err, /Ctrl C again stops at once/);
  assert.match(err, /→ cadre run --resume task_\w{6}\n/);
  assert.match(err, /→ cadre up\n/);
});

test("Ctrl C while the hub starts ends it before anything is queued", async (t) => {
  const bench = await openCli(t, { kind: "hosted" });
  const terminal = recordingTerminal();
  const starting = {
    ...bench.host,
    async host() {
      terminal.interrupt("SIGINT");
      return await bench.host.host({ log: "stderr" });
    },
  };

  assert.equal(await runCli(RUN, starting, terminal), 130);
  assert.equal((await bench.app.client.call("tasks.list", {})).items.length, 0);
  assert.deepEqual(bench.asked, ["stop graceful"]);
});

test("the second Ctrl C stops at once", async (t) => {
  const bench = await openCli(t, { kind: "hosted" });
  const terminal = recordingTerminal();
  const asked: string[] = [];
  const stopped = Promise.withResolvers<void>();
  const hub = await bench.host.host({ log: "stderr" });
  const slow = {
    ...hub,
    stop(how: "graceful" | "now") {
      asked.push(how);
      // A graceful stop that never comes to its end; the person presses again.
      if (how === "now") stopped.resolve();
      else terminal.interrupt("SIGINT");
      return stopped.promise;
    },
  };
  const running = runCli(RUN, { ...bench.host, host: async () => slow }, terminal);

  await terminal.shows(" created ");
  terminal.interrupt("SIGINT");

  assert.equal(await running, 130);
  assert.deepEqual(asked.slice(0, 2), ["graceful", "now"]);
});

test("in a terminal a frame is drawn, q leaves it, and the cursor comes back", async (t) => {
  const bench = await openCli(t);
  const terminal = recordingTerminal({ isInteractive: true });
  const running = bench.on(terminal, ...RUN);

  await terminal.shows("q leave (work goes on)");
  assert.equal(terminal.isCursorHidden, true);
  terminal.press("q");
  const { code, err } = await running;

  assert.equal(code, 0);
  assert.equal(terminal.isCursorHidden, false);
  assert.match(err, /The work goes on/);
});

test("p holds the objective and lets it go on again", async (t) => {
  const bench = await openCli(t);
  const terminal = recordingTerminal({ isInteractive: true });
  const running = bench.on(terminal, ...RUN);

  await terminal.shows("Mend the parser");
  terminal.press("p");
  await terminal.shows("paused · ");
  const { items } = await bench.app.client.call("tasks.list", { open: true });
  assert.equal(items[0]?.paused, true);

  terminal.press("q");
  await running;
});

test("--plain draws no frame, also in a terminal", async (t) => {
  const bench = await openCli(t);
  const terminal = recordingTerminal({ isInteractive: true });
  const running = bench.on(terminal, ...RUN, "--plain", "--no-color");

  await terminal.shows(" created ");
  terminal.interrupt("SIGINT");
  const { out } = await running;

  assert.ok(!/\p{Control}/u.test(out.replaceAll("\n", "")));
});

test("--wait ends the view with its own code; the work goes on", async (t) => {
  const bench = await openCli(t);
  const { world } = bench.host;
  const atOnce = { ...world, clock: { ...world.clock, sleep: () => Promise.resolve() } };

  const code = await runCli(
    [...RUN, "--wait", "10m"],
    { ...bench.host, world: atOnce },
    recordingTerminal(),
  );

  assert.equal(code, 8);
  assert.equal((await bench.app.client.call("tasks.list", { open: true })).items.length, 1);
});

test("--detach hands it over and prints the id alone", async (t) => {
  const { run } = await openCli(t);

  const { code, out } = await run(...RUN, "--detach");

  assert.equal(code, 0);
  assert.match(out, /^task_[0-9a-z]{16}\n$/);
});

test("--detach without a hub is refused: nobody would work on it", async (t) => {
  const { run } = await openCli(t, { kind: "hosted" });

  const { code, err } = await run(...RUN, "--detach");

  assert.equal(code, 5);
  assert.match(err, /→ cadre up/);
});

test("a folder without git is refused with what to do, before anything starts", async (t) => {
  const bench = await openCli(t);

  const { code, err } = await bench.run("run", "Mend the parser", "--repo", "plain");

  assert.equal(code, 2);
  assert.match(err, /is not a git repository/);
  assert.match(err, /→ cd \S+plain && git init && git add -A/);
  assert.deepEqual(bench.asked, []);
});

test("a repository becomes the workspace: the agents work in worktrees of it", async (t) => {
  const bench = await openCli(t);

  const id = (
    await bench.run("run", "Mend the parser", "--repo", "repo", "--budget", "2.5", "--detach")
  ).out.trim();

  const task = await bench.app.client.call("tasks.get", { id: id as `task_${string}` });
  assert.deepEqual(task.workspace, { kind: "worktree", repository: `${bench.host.cwd}/repo` });
  assert.equal(task.type, "objective");
  assert.deepEqual(task.budget, { costUsd: 2.5 });
});

test("without a model nothing starts: exit 5 and what to set", async (t) => {
  const bench = await openCli(t, { kind: "hosted", env: { NO_MODEL: "1" } });

  const { code, err } = await bench.run(...RUN);

  assert.equal(code, 5);
  assert.match(err, /→ export ANTHROPIC_API_KEY=…/);
  assert.deepEqual(bench.asked, []);
});

test("of two that start at once the second joins the first", async (t) => {
  const bench = await openCli(t);
  const hub = await bench.host.attach({});
  let attempts = 0;
  const racing = {
    ...bench.host,
    attach: async () => (attempts++ === 0 ? undefined : hub),
    host: () => Promise.reject(new CadreError("already_running", "The folder is held.")),
  };
  const terminal = recordingTerminal();
  const running = runCli(RUN, racing, terminal);

  await terminal.shows(" created ");
  terminal.interrupt("SIGINT");

  assert.equal(await running, 130);
  assert.equal(attempts, 2);
});

test("--resume goes on with an objective, and shows one that ended as it ended", async (t) => {
  const bench = await openCli(t);
  const { claimed, complete } = worker(bench);
  const id = (await bench.run(...RUN, "--detach")).out.trim();
  const terminal = recordingTerminal();
  const running = bench.on(terminal, "run", "--resume", id.slice(-6));

  await complete(await claimed());
  assert.equal((await running).code, 0);
  const again = await bench.run("run", "--resume", id);

  assert.match(again.out, /^\n?✓ Mend the parser/);
});

test("an unknown agent is refused with those there are", async (t) => {
  const { run } = await openCli(t);

  const { code, err } = await run(...RUN, "--agent", "nobody");

  assert.equal(code, 4);
  assert.match(err, /There is no agent "nobody"\. There are: none\./);
});

test("an example where no sandbox works exits 5 and says how to accept none", async (t) => {
  const { run, app } = await openCli(t, { kind: "hosted" });

  const { code, err } = await run("run", "--example", "first-run");

  assert.equal(code, 5);
  assert.match(err, /Tried: none works/);
  assert.match(err, /CADRE_SANDBOX=none npm start/);
  assert.equal((await app.client.call("tasks.list", {})).items.length, 0);
});

test("with an objective given, an example is not played", async (t) => {
  const { run } = await openCli(t);

  const { code, out } = await run(
    ...RUN,
    "--example",
    "first-run",
    "--team",
    "software",
    "--detach",
  );

  assert.equal(code, 0);
  assert.match(out, /^task_/);
});

test("up without a model starts, and says that nothing can be asked", async (t) => {
  const bench = await openCli(t, { kind: "hosted", env: { NO_MODEL: "1" } });
  const terminal = recordingTerminal();
  const running = bench.on(terminal, "up");

  await terminal.shows("is up at");
  terminal.interrupt("SIGINT");

  assert.equal((await running).code, 0);
  assert.match(terminal.stderr, /! No model can be called\./);
});

test("up says where it is and what goes on, and stops on a signal with exit 0", async (t) => {
  const bench = await openCli(t, { kind: "hosted" });
  await bench.run("tasks", "submit", "Left over");
  const terminal = recordingTerminal();
  const running = bench.on(terminal, "up");

  await terminal.shows("1 task goes on where it was.");
  terminal.interrupt("SIGTERM");
  const { code, out } = await running;

  assert.equal(code, 0);
  assert.match(out, /is up at http:\/\/127\.0\.0\.1:4141/);
  assert.equal(bench.asked.at(-1), "stop graceful");
});

const LOST = { kind: "lost", why: "the connection closed", retryMs: 100 } as const;

test("a hub that goes away is waited for: lines say so once, and go on when it is back", async (t) => {
  const bench = await openCli(t);
  const { claimed, complete } = worker(bench);
  const terminal = recordingTerminal();
  const running = bench.on(terminal, ...RUN);

  await terminal.shows(" created ");
  bench.tellState(LOST);
  bench.tellState(LOST);
  bench.tellState({ kind: "connected" });
  await complete(await claimed());

  assert.equal((await running).code, 0);
  assert.equal(terminal.stderr.match(/Reconnecting: the hub at/g)?.length, 1);
  assert.match(terminal.stderr, /→ cadre up --port 4141/);
  assert.match(terminal.stderr, /The hub is back/);
});

test("a frame outlasts an outage, whatever calls meet meanwhile", async (t) => {
  const bench = await openCli(t);
  const { claimed, complete } = worker(bench);
  const terminal = recordingTerminal({ isInteractive: true });
  const hub = await bench.host.attach({});
  assert.ok(hub !== undefined);
  let isAway = false;
  const refused = Promise.withResolvers<void>();
  const flaky = {
    ...hub,
    client: {
      ...hub.client,
      async call(...args: Parameters<typeof hub.client.call>) {
        if (isAway) {
          refused.resolve();
          throw new CadreError("not_ready", "No hub answers.");
        }
        return await hub.client.call(...args);
      },
    } as typeof hub.client,
  };
  const argv = [...RUN, "--no-color"];
  const running = runCli(argv, { ...bench.host, attach: async () => flaky }, terminal);

  await terminal.shows("q leave");
  isAway = true;
  bench.tellState(LOST);
  await terminal.shows("! reconnecting, data of ");
  await complete(await claimed());
  await refused.promise;
  isAway = false;
  bench.tellState({ kind: "connected" });

  assert.equal(await running, 0);
  assert.match(terminal.stdout, /✓ Mend the parser/);
});

test("a hub that went with the objective's end is not waited for: its store tells the outcome", async (t) => {
  const bench = await openCli(t);
  const { claimed, complete } = worker(bench);
  const terminal = recordingTerminal();
  const hub = await bench.host.attach({});
  assert.ok(hub !== undefined);
  let isGone = false;
  const call = (...args: Parameters<typeof hub.client.call>) =>
    isGone ? new Promise(() => undefined) : hub.client.call(...args);
  const gone = { ...hub, client: { ...hub.client, call: call as typeof hub.client.call } };
  const { world } = bench.host;
  const soon = () => new Promise<void>((resolve) => setImmediate(resolve));
  const host = {
    ...bench.host,
    world: { ...world, clock: { ...world.clock, sleep: soon } },
    attach: async () => (isGone ? undefined : gone),
  };
  const running = runCli(RUN, host, terminal);

  await terminal.shows(" created ");
  const claim = await claimed();
  isGone = true;
  await complete(claim);
  bench.tellState(LOST);

  assert.equal(await running, 0);
  assert.match(terminal.stdout, /^✓ Mend the parser/m);
});

test("an example that was cut off is named, with the command that goes on with it", async (t) => {
  const root = "task_0000000000aaaaaa" as const;
  const unfinished = [{ home: "/elsewhere/first-run/1", root, title: "Fix the failing tests" }];
  const bench = await openCli(t, { kind: "hosted", unfinished });
  const terminal = recordingTerminal();
  const running = bench.on(terminal, "up");
  await terminal.shows("is up at");
  terminal.interrupt("SIGTERM");
  await running;

  const status = await bench.run("status");
  const elsewhere = await bench.run("status", "--home", "/other");

  const command = /→ cadre --home \S+first-run\/1 run --resume task_aaaaaa/;
  assert.match(terminal.stderr, command);
  assert.equal(status.code, 5);
  assert.match(status.err, command);
  assert.doesNotMatch(elsewhere.err, /--resume/);
});

test("tasks --watch redraws the list as it changes, and leaves it on the screen", async (t) => {
  const bench = await openCli(t);
  const terminal = recordingTerminal({ isInteractive: true });
  const running = bench.on(terminal, "tasks", "--watch", "--no-color");

  await terminal.shows("No tasks match.");
  await bench.run("tasks", "submit", "Mend the parser");
  await terminal.shows("Mend the parser");
  await terminal.shows("1 open, 0 done today.");
  terminal.press("q");

  assert.equal((await running).code, 0);
  assert.equal(terminal.isCursorHidden, false);
  assert.match(
    terminal.stdout,
    /queued +task_\w{6} {2}Mend the parser[^\n]*\n\n1 open, 0 done today\.\n$/,
  );
});

test("tasks --watch in a pipe is refused with what a pipe can have", async (t) => {
  const { run } = await openCli(t);

  const { code, err } = await run("tasks", "--watch");

  assert.equal(code, 2);
  assert.match(err, /cadre events --follow --types 'task\.\*'/);
});
