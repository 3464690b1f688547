// `npm run simulate -- --seeds 1000`, `-- --seed 7` for one seed with its history, `--park` for
// processes that die at every step.
import { parseArgs } from "node:util";
import { Broken } from "./invariants.ts";
import { type Report, simulate } from "./simulate.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "200" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    park: { type: "boolean", default: false },
  },
});

process.exitCode = values.seed === undefined ? await many() : await one(Number(values.seed));

async function one(seed: number): Promise<number> {
  try {
    const report = await simulate(seed, { park: values.park, tell: (line) => console.log(line) });
    console.log(JSON.stringify(report, undefined, 2));
    return 0;
  } catch (error) {
    complain(seed, error);
    return 1;
  }
}

async function many(): Promise<number> {
  const count = Number(values.seeds);
  const first = Number(values.from);
  const startedAt = performance.now();
  const broken: number[] = [];
  const sum = { tasks: 0, deaths: 0, effects: 0, events: 0 };
  for (let seed = first; seed < first + count; seed++) {
    try {
      add(sum, await simulate(seed, { park: values.park }));
    } catch (error) {
      complain(seed, error);
      broken.push(seed);
    }
  }
  const seconds = (performance.now() - startedAt) / 1_000;
  console.log(
    `${count} seeds in ${seconds.toFixed(1)} s (${(count / seconds).toFixed(1)} a second): ` +
      `${sum.tasks} tasks asked for, ${sum.deaths} deaths, ${sum.effects} effects, ${sum.events} events.`,
  );
  if (broken.length === 0) {
    console.log("Every promise was kept.");
    return 0;
  }
  console.log(`Broken in ${broken.length} seeds: ${broken.slice(0, 20).join(", ")}`);
  console.log(`See one: npm run simulate -- --seed ${broken[0]}${values.park ? " --park" : ""}`);
  return 1;
}

function add(sum: { tasks: number; deaths: number; effects: number; events: number }, r: Report) {
  sum.tasks += r.tasks;
  sum.deaths += r.deaths;
  sum.effects += r.effects;
  sum.events += r.events;
}

function complain(seed: number, error: unknown): void {
  const what = error instanceof Broken ? error.message : error;
  console.error(`seed ${seed} is broken:`, what);
}
