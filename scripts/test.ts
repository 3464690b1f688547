// `npm test`: every test file of the project (or those named as arguments),
// in Node's own runner. Options of the runner pass through.
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";

const args = process.argv.slice(2);
const options = args.filter((arg) => arg.startsWith("-"));
const named = args.filter((arg) => !arg.startsWith("-"));
const files = named.length > 0 ? named : globSync(["src/**/*.test.ts", "test/**/*.test.ts"]).sort();

const { status, signal } = spawnSync(
  process.execPath,
  ["--test", "--test-reporter=spec", ...options, ...files],
  { stdio: "inherit" },
);
if (signal !== null) console.error(`The test runner was ended by ${signal}.`);
process.exitCode = status ?? 1;
