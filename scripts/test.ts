// `npm test`: every test file of the project, or those named as arguments, in Node's own runner.
// `--postgres` starts a Postgres for the run and gives every test a fresh database in it. Other
// options pass through to the runner.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { globSync } from "node:fs";

/** A test that hangs is ended and named; none comes near this. */
const TEST_MS_MAX = 300_000;

const args = process.argv.slice(2);
const usesPostgres = args.includes("--postgres");
const options = args.filter((arg) => arg.startsWith("-") && arg !== "--postgres");
const named = args.filter((arg) => !arg.startsWith("-"));
const files = named.length > 0 ? named : globSync(["src/**/*.test.ts", "test/**/*.test.ts"]).sort();

const postgres = usesPostgres
  ? await (await import("../test/support/postgres.ts")).startPostgres()
  : undefined;
try {
  const runner = spawn(
    process.execPath,
    ["--test", "--test-reporter=spec", `--test-timeout=${TEST_MS_MAX}`, ...options, ...files],
    {
      stdio: "inherit",
      env: {
        ...process.env,
        ...(postgres === undefined ? {} : { CADRE_TEST_POSTGRES: postgres.url }),
      },
    },
  );
  const [status, signal] = (await once(runner, "exit")) as [number | null, string | null];
  if (signal !== null) console.error(`The test runner was ended by ${signal}.`);
  process.exitCode = status ?? 1;
} finally {
  await postgres?.stop();
}
