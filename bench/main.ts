// `npm run bench -- [--smoke] [--json] [--only NAME] [--no-postgres]`
// Each figure beside the floor of this machine in the same run: a table on standard output, or one
// JSON document. It fails when a benchmark does not work, never because of a time.
import { parseArgs } from "node:util";
import pg from "pg";
import { messageOf } from "../src/platform/index.ts";
import { startPostgres } from "../test/support/postgres.ts";
import { BENCHES } from "./benches.ts";
import { startChild } from "./child.ts";
import { type Figure, render } from "./harness.ts";
import { machineLine, thisMachine } from "./machine.ts";
import { sleep } from "./scratch.ts";

/** None comes near this; one that hangs is ended and named. */
const BENCH_MS_MAX = 180_000;

const { values: asked } = parseArgs({
  options: {
    smoke: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    only: { type: "string", multiple: true, default: [] },
    "no-postgres": { type: "boolean", default: false },
  },
});
const unknown = asked.only.filter((name) => !BENCHES.some((bench) => bench.name === name));
if (unknown.length > 0) {
  const known = BENCHES.map(({ name }) => name).join(", ");
  console.error(`There is no benchmark ${unknown.join(", ")}. There are: ${known}.`);
  process.exit(2);
}
const chosen = BENCHES.filter(({ name }) => asked.only.length === 0 || asked.only.includes(name));

/** A benchmark has a database of its own on the server of the run. */
async function freshDatabase(server: string, name: string): Promise<string> {
  const client = new pg.Client({ connectionString: server });
  await client.connect();
  const database = `bench_${name.replaceAll("-", "_")}`;
  await client.query(`CREATE DATABASE ${database}`);
  await client.end();
  const url = new URL(server);
  url.pathname = `/${database}`;
  return url.href;
}

async function runOne(name: string, postgresUrl: string | undefined): Promise<readonly Figure[]> {
  const child = startChild("./one-bench.ts", { name, isSmoke: asked.smoke, postgresUrl });
  const giveUp = new AbortController();
  try {
    const tooLong = sleep(BENCH_MS_MAX, giveUp.signal).then(() => {
      throw new Error(`The benchmark ${name} took longer than ${BENCH_MS_MAX} ms.`);
    });
    const done = child.next<{ readonly figures: readonly Figure[] }>();
    return (await Promise.race([done, tooLong])).figures;
  } finally {
    giveUp.abort();
    await child.stop();
  }
}

/** A short run proves that all of it works; it can't tell whether a target is met. */
function asAsked(figure: Figure): Figure {
  if (!asked.smoke) return figure;
  const { target: _, ...rest } = figure;
  return rest;
}

const machine = thisMachine();
console.error(machineLine(machine));
const postgres = asked["no-postgres"] ? undefined : await startPostgres();
const figures: Figure[] = [];
try {
  for (const { name } of chosen) {
    const at = performance.now();
    const url = postgres === undefined ? undefined : await freshDatabase(postgres.url, name);
    try {
      figures.push(...(await runOne(name, url)).map(asAsked));
    } catch (error) {
      process.exitCode = 1;
      console.error(`${name} does not work: ${messageOf(error)}`);
    }
    console.error(`${name}: ${((performance.now() - at) / 1_000).toFixed(1)} s`);
  }
} finally {
  await postgres?.stop();
}
if (asked.json) console.log(JSON.stringify({ machine, figures }, undefined, 2));
else console.log(`${machineLine(machine)}\n\n${render(figures)}`);
