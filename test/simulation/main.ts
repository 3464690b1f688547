// `npm run simulate -- --seeds 1000`, `-- --seed 7` for one seed with its history, `--park` for
// processes that die at every step. Many seeds are shared out over the machine's processors.
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { type Played, play } from "./play.ts";
import { simulate } from "./simulate.ts";

/** Fewer are done before other threads have started. */
const SEEDS_ALONE_MAX = 50;

/** The first broken seeds come with what happened; they are read, the others are only counted. */
const COMPLAINTS_MAX = 3;

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "200" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    park: { type: "boolean", default: false },
    threads: { type: "string", default: String(availableParallelism()) },
  },
});

process.exitCode = values.seed === undefined ? await many() : await one(Number(values.seed));

async function one(seed: number): Promise<number> {
  const options = { park: values.park, tell: (line: string) => console.log(line) };
  const played = await play(seed, (it) => simulate(it, options));
  if (played.kind === "broken") {
    complain(played);
    return 1;
  }
  console.log(JSON.stringify(played.report, undefined, 2));
  return 0;
}

async function many(): Promise<number> {
  const count = Number(values.seeds);
  const first = Number(values.from);
  const startedAt = performance.now();
  const broken: number[] = [];
  const sum = { tasks: 0, deaths: 0, effects: 0, events: 0 };
  await playAll(first, count, (played) => {
    if (played.kind === "broken") {
      broken.push(played.seed);
      complain(broken.length > COMPLAINTS_MAX ? { ...played, history: [] } : played);
      return;
    }
    sum.tasks += played.report.tasks;
    sum.deaths += played.report.deaths;
    sum.effects += played.report.effects;
    sum.events += played.report.events;
  });
  const seconds = (performance.now() - startedAt) / 1_000;
  console.log(
    `${count} seeds in ${seconds.toFixed(1)} s (${(count / seconds).toFixed(1)} a second): ` +
      `${sum.tasks} tasks asked for, ${sum.deaths} deaths, ${sum.effects} effects, ${sum.events} events.`,
  );
  if (broken.length === 0) {
    console.log("Every promise was kept.");
    return 0;
  }
  broken.sort((a, b) => a - b);
  console.log(`Broken in ${broken.length} seeds: ${broken.slice(0, 20).join(", ")}`);
  console.log(`See one: npm run simulate -- --seed ${broken[0]}${values.park ? " --park" : ""}`);
  return 1;
}

/** Each thread is given the next seed when it is done with one. */
async function playAll(
  first: number,
  count: number,
  hear: (played: Played) => void,
): Promise<void> {
  let next = first;
  const threads = count > SEEDS_ALONE_MAX ? Math.max(1, Number(values.threads)) : 1;
  if (threads === 1) {
    for (; next < first + count; next++) {
      hear(await play(next, (it) => simulate(it, { park: values.park })));
    }
    return;
  }
  await Promise.all(
    Array.from({ length: threads }, () => {
      const thread = new Worker(new URL("./thread.ts", import.meta.url), {
        workerData: { park: values.park },
      });
      const give = () => {
        thread.postMessage(next < first + count ? next : undefined);
        next += 1;
      };
      thread.on("message", (played: Played) => {
        hear(played);
        give();
      });
      give();
      return new Promise<void>((resolve, reject) => {
        thread.on("error", reject);
        thread.on("exit", () => resolve());
      });
    }),
  );
}

function complain({ seed, what, history }: Extract<Played, { kind: "broken" }>): void {
  console.error(`seed ${seed} is broken: ${what}`);
  for (const line of history) console.error(`    ${line}`);
}
