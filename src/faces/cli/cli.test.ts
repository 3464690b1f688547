import assert from "node:assert/strict";
import { test } from "node:test";
import { CadreError, ERROR_CODES } from "../../platform/index.ts";
import { openCli } from "./cli.testing.ts";
import { runCli } from "./cli.ts";
import { EXIT_CODES } from "./help.ts";
import { recordingTerminal } from "./terminal.testing.ts";
import { cleanLines, widthOf } from "./text.ts";

const SUBMIT = ["tasks", "submit", "Mend the parser"];

test("no arguments give the front page, which fits 80 columns", async (t) => {
  const { run } = await openCli(t);

  const { code, out } = await run();

  assert.equal(code, 0);
  assert.match(out, /^Cadre runs a team of AI agents/);
  assert.ok(out.split("\n").every((line) => widthOf(line) <= 80));
});

test("every page of help fits 80 columns and says how the command is used", async (t) => {
  const { run } = await openCli(t);

  for (const topic of [
    "run",
    "up",
    "init",
    "tasks",
    "tasks submit",
    "tasks update",
    "runs",
    "runs show",
    "agents",
    "events",
    "status",
    "doctor",
    "completion",
    "exit",
  ]) {
    const { code, out } = await run("help", ...topic.split(" "));
    assert.equal(code, 0, topic);
    if (topic !== "exit") assert.match(out, /Usage: cadre /, topic);
    for (const line of out.split("\n")) assert.ok(widthOf(line) <= 80, line);
  }
});

test("--help works wherever it stands, also where an argument is missing", async (t) => {
  const { run } = await openCli(t);

  assert.match((await run("tasks", "why", "--help")).out, /Usage: cadre tasks why ID/);
  assert.match((await run("--help", "run")).out, /Usage: cadre run \[OBJECTIVE\]/);
  assert.match((await run("tasks", "-h")).out, /cadre tasks alone is cadre tasks list/);
});

test("a mistyped word is answered with the nearest one", async (t) => {
  const { run } = await openCli(t);
  const cases: readonly (readonly [readonly string[], string])[] = [
    [
      ["run", "Do it", "--buget", "12"],
      "✗ There is no option --buget for `cadre run`. Did you mean --budget?\n  → cadre help run\n",
    ],
    [["tsks"], '✗ There is no command "tsks". Did you mean tasks?\n  → cadre help\n'],
    [["tasks", "wy", "x"], "✗ There is no `cadre tasks wy`. Did you mean why?"],
    [["tasks", "list", "--state", "excuting"], "Did you mean executing?"],
    [["tasks", "why"], "✗ `cadre tasks why` needs ID.\n  → cadre help tasks why\n"],
    [["tasks", "submit", "two", "words"], "✗ `cadre tasks submit` takes 1; there is more."],
    [["tasks", "list", "--limit"], "✗ --limit needs a value."],
    [["run", "x", "--budget", "lots"], '✗ --budget takes a number above 0, not "lots".'],
    [["run", "x", "--wait", "soon"], '✗ --wait takes a time as 90s, 10m or 2h, not "soon".'],
    [["--bogus"], "✗ There is no option --bogus."],
  ];

  for (const [argv, message] of cases) {
    const { code, out, err } = await run(...argv);
    assert.equal(code, 2, argv.join(" "));
    assert.equal(out, "", "stdout stays empty");
    assert.ok(err.includes(message), err);
  }
});

test("a submitted task is listed, shown and explained by the short id that was printed", async (t) => {
  const { run } = await openCli(t);

  const submitted = await run(...SUBMIT, "--priority", "7", "--labels", "team=core");
  const id = submitted.out.trim();
  assert.match(id, /^task_[0-9a-z]{16}$/);

  const listed = await run("tasks");
  const short = /task_[0-9a-z]{6}(?= )/.exec(listed.out)?.[0] ?? "";
  assert.ok(id.endsWith(short.slice(5)));
  assert.match(listed.out, /○ queued {5}task_\w{6} {2}Mend the parser/);
  assert.match(listed.out, /1 open, 0 done today\./);

  assert.match((await run("tasks", "show", short)).out, new RegExp(id));
  assert.match((await run("tasks", "get", short.slice(5))).out, new RegExp(id));
  assert.equal((await run("tasks", "why", short)).code, 0);
  assert.match((await run("tasks", "history", short)).out, /queued/);
  assert.match((await run("tasks", "cancel", short, "--reason", "Not needed")).out, /cancelled\./);
  assert.match((await run("tasks")).out, /No open tasks/);
  assert.match((await run("tasks", "--all")).out, /⊘ cancelled/);
});

test("an unknown id exits 4, a malformed one 2, a move that is not possible 7", async (t) => {
  const { run } = await openCli(t);
  const id = (await run(...SUBMIT)).out.trim();

  assert.equal((await run("tasks", "show", "task_zzzzzz")).code, 4);
  assert.equal((await run("tasks", "show", "run_zzzzzz")).code, 2);
  assert.equal((await run("runs", "show", id)).code, 4);
  assert.equal((await run("tasks", "retry", id)).code, 7);
});

test("input the hub refuses is told by the option's name", async (t) => {
  const { run } = await openCli(t);

  const { code, err } = await run(...SUBMIT, "--priority", "12");

  assert.equal(code, 2);
  assert.match(err, /--priority: .*9/);
});

test("--json prints the operation's own output, and lists with their cursor", async (t) => {
  const { run, app } = await openCli(t);
  const submitted = JSON.parse((await run(...SUBMIT, "--json")).out);

  assert.deepEqual(submitted.data, await app.client.call("tasks.get", { id: submitted.data.id }));
  const listed = JSON.parse((await run("tasks", "--json", "--limit", "1")).out);
  assert.deepEqual(Object.keys(listed), ["data", "next"]);
  assert.equal(listed.data.length, 1);
  assert.equal(listed.next, null);
});

test("--json errors are one document on stderr; stdout stays empty", async (t) => {
  const { run } = await openCli(t);

  for (const argv of [
    ["tasks", "show", "task_zzzzzz"],
    ["tasks", "shw"],
    ["run", "--bogus"],
  ]) {
    const { code, out, err } = await run(...argv, "--json");
    const { error } = JSON.parse(err);
    assert.equal(out, "");
    assert.ok(error.code in ERROR_CODES);
    assert.equal(code, ERROR_CODES[error.code as keyof typeof ERROR_CODES].exit);
    assert.deepEqual(Object.keys(error).slice(0, 4), ["code", "message", "next", "retry"]);
  }
});

test("events are lines for people and objects for programs", async (t) => {
  const { run } = await openCli(t);
  const id = (await run(...SUBMIT)).out.trim();

  const lines = (await run("events", "--task", id)).out.trim().split("\n");
  assert.match(lines[0] ?? "", new RegExp(`^\\S+Z ${id} task\\.created `));
  const listed = JSON.parse((await run("events", "--json", "--types", "task.created")).out);
  assert.equal(listed.data[0].type, "task.created");
});

test("followed events come as they happen, until Ctrl C", async (t) => {
  const { on, run } = await openCli(t);
  const terminal = recordingTerminal();
  const following = on(terminal, "events", "--follow", "--json", "--after", "0");

  await run(...SUBMIT);
  await terminal.shows("task.created");
  terminal.interrupt("SIGINT");

  const { code, out } = await following;
  assert.equal(code, 130);
  const first = JSON.parse(out.split("\n")[0] ?? "");
  assert.deepEqual(Object.keys(first), ["event", "at", "cursor", "data"]);
});

test("titles of others never reach the terminal raw", async (t) => {
  const { run } = await openCli(t);
  const evil = "\u001b]0;owned\u0007\u001b[2Jwiped";
  const id = (await run("tasks", "submit", evil)).out.trim();

  for (const argv of [
    ["tasks"],
    ["tasks", "show", id],
    ["tasks", "why", id],
    ["tasks", "pause", id],
    ["events"],
  ]) {
    const { out } = await run(...argv);
    assert.ok(!/\p{Control}/u.test(out.replaceAll("\n", "")), JSON.stringify(out));
  }
});

test("merge and undo find the repository by the task", async (t) => {
  const { run, asked } = await openCli(t);
  const workspace = '{"kind":"worktree","repository":"/src/shop"}';
  const id = (await run(...SUBMIT, "--workspace", workspace)).out.trim();
  const other = (await run(...SUBMIT)).out.trim();

  assert.equal((await run("runs", "merge", id.slice(-6), "--anyway")).code, 0);
  assert.equal((await run("runs", "undo", id)).code, 0);
  assert.deepEqual(
    asked.filter((line) => !line.startsWith("stop")),
    [`merge /src/shop ${id}`, `undo /src/shop ${id}`],
  );
  assert.equal((await run("runs", "merge", other)).code, 7);
});

test("work of an objective that is not done is merged only when that is said", async (t) => {
  const { run, asked } = await openCli(t);
  const workspace = '{"kind":"worktree","repository":"/src/shop"}';
  const id = (await run(...SUBMIT, "--workspace", workspace)).out.trim();

  const { code, err } = await run("runs", "merge", id);

  assert.equal(code, 7);
  assert.match(err, new RegExp(`${id} is queued: what it did so far may be half done`));
  assert.match(err, new RegExp(`→ cadre runs merge ${id} --anyway`));
  assert.ok(!asked.some((line) => line.startsWith("merge")));
});

test("doctor says what was tried and how to mend it, and exits 1 when agents can't run", async (t) => {
  const { run } = await openCli(t);

  const { code, out } = await run("doctor");

  assert.equal(code, 1);
  assert.equal(
    out,
    [
      "  ✓ Node         24.11 (24 or later)",
      "  ✗ Sandbox      none works",
      "                 → apt install bubblewrap",
      "",
      "1 problem. Agents can't run.",
      "",
    ].join("\n"),
  );
});

test("status tells of the hub that runs, and exits 5 when none does", async (t) => {
  assert.match((await (await openCli(t)).run("status")).out, /Tasks +0 open/);

  const { code, err } = await (await openCli(t, { kind: "store" })).run("status");
  assert.equal(code, 5);
  assert.match(err, /No hub runs for .*\n {2}→ cadre up\n/s);
});

test("a write without a hub is kept, and says that nothing moves yet", async (t) => {
  const { run } = await openCli(t, { kind: "store" });

  const { code, out, err } = await run(...SUBMIT);

  assert.equal(code, 0);
  assert.match(out, /^task_/);
  assert.match(err, /Nothing moves until a hub runs: cadre up/);
});

test("a bug says that it is one, where its report is, and exits 70", async (t) => {
  const { host } = await openCli(t);
  const terminal = recordingTerminal();
  const broken = { ...host, checks: () => Promise.reject(new TypeError("x is not a function")) };

  const code = await runCli(["doctor"], broken, terminal);

  assert.equal(code, 70);
  assert.match(terminal.stderr, /This is a bug in Cadre: x is not a function/);
  assert.match(terminal.stderr, /report written to \/tmp\/report\.txt/);
  assert.doesNotMatch(terminal.stderr, /at .*\.ts:/);
});

test("--verbose adds the stack, also of the cause", async (t) => {
  const { host } = await openCli(t);
  const terminal = recordingTerminal();
  const cause = new Error("the socket closed");
  const broken = {
    ...host,
    open: () => Promise.reject(new CadreError("not_ready", "No hub.", { cause })),
  };

  await runCli(["tasks", "-v"], broken, terminal);

  assert.match(terminal.stderr, /the socket closed/);
  assert.match(terminal.stderr, /cli\.test\.ts/);
});

test("what to do next is typed as it reaches the same hub", async (t) => {
  const { run } = await openCli(t);

  const { err } = await run(
    "--home",
    "elsewhere",
    "tasks",
    "show",
    "task_zzzzzz",
    "--hub",
    "http://h:1",
  );

  assert.ok(
    !/→ cadre tasks/.test(err) && !/→ cadre (?!--home elsewhere --hub http:\/\/h:1)/.test(err),
    err,
  );
});

test("every exit code an error can have is in the help", () => {
  const documented = new Set(EXIT_CODES.map(([code]) => code));

  for (const [code, { exit }] of Object.entries(ERROR_CODES)) assert.ok(documented.has(exit), code);
});

test("colours come with FORCE_COLOR and never without", async (t) => {
  const colored = await openCli(t, { env: { FORCE_COLOR: "1" } });
  await colored.run(...SUBMIT);

  assert.match((await colored.run("tasks")).out, /\p{Control}\[2m/u);
  const { out } = await colored.run("tasks", "--no-color");
  assert.equal(out, cleanLines(out));
});
