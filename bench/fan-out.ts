// From commit to the screen: many viewers of one journal, and viewers that stopped reading.
import { startChild } from "./child.ts";
import type { Bench, Figure } from "./harness.ts";
import { DURABILITY } from "./hub.ts";
import { type Program, startProgram, writeHome } from "./program.ts";
import { inScratch, sleep } from "./scratch.ts";
import type { Seen, Viewers } from "./viewers.ts";

const TASK = JSON.stringify({ title: "Stays", capabilities: ["absent"] });

async function submit({ url, token }: Program): Promise<void> {
  const response = await fetch(`${url}/api/v2/tasks`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: TASK,
  });
  if (!response.ok) throw new Error(`A submit was told ${response.status}.`);
  await response.arrayBuffer();
}

/** How many events one submitted task is. */
async function eventsPerTask(program: Program): Promise<number> {
  const count = async () => {
    const headers = { authorization: `Bearer ${program.token}` };
    const response = await fetch(`${program.url}/api/v2/events?limit=1000`, { headers });
    return ((await response.json()) as { readonly items: readonly object[] }).items.length;
  };
  const before = await count();
  await submit(program);
  return (await count()) - before;
}

/** So many tasks a second; answers the largest resident memory of the hub meanwhile. */
async function write(program: Program, tasks: number, perSecond: number): Promise<number> {
  const startedAt = performance.now();
  const answers: Promise<void>[] = [];
  let peakMb = 0;
  for (let i = 0; i < tasks; i++) {
    const dueAt = startedAt + (i * 1_000) / perSecond;
    const waitMs = dueAt - performance.now();
    if (waitMs > 0) await sleep(waitMs);
    if (i % Math.ceil(perSecond / 4) === 0) peakMb = Math.max(peakMb, program.rssMb());
    answers.push(submit(program));
  }
  await Promise.all(answers);
  return Math.max(peakMb, program.rssMb());
}

type Watched = { readonly seen: Seen; readonly peakMb: number };

/** A fresh hub, its viewers, and events at this rate. */
const watched = (
  who: { readonly viewers: number; readonly stalled: number },
  events: number,
  perSecond: number,
): Promise<Watched> =>
  inScratch(async (home) => {
    writeHome(home, [{ say: "Done." }]);
    const program = await startProgram(home);
    const { url, token } = program;
    const each = await eventsPerTask(program);
    const tasks = Math.floor(events / each);
    const viewers = startChild("./viewers.ts", { url, token, ...who } satisfies Viewers);
    try {
      await viewers.next();
      const peakMb = await write(program, tasks, perSecond / each);
      viewers.send({ expected: tasks * each });
      const seen = await viewers.next<Seen>();
      const told = tasks * each * who.viewers;
      if (seen.received !== told) throw new Error(`${seen.received} of ${told} events arrived.`);
      return { seen, peakMb };
    } finally {
      await viewers.stop();
      await program.kill();
    }
  });

export const fanOutBench: Bench = {
  name: "fan-out",
  async run({ isSmoke }) {
    const viewers = isSmoke ? 10 : 200;
    const perSecond = 1_000;
    const events = isSmoke ? 500 : 6_000;
    const alone = await watched({ viewers: 1, stalled: 0 }, events, perSecond);
    const many = await watched({ viewers, stalled: 0 }, events, perSecond);
    const stalled = await watched({ viewers: 1, stalled: 20 }, events, perSecond);
    const name = `commit → ${viewers} viewers, ${perSecond.toLocaleString("en-US")} events/s`;
    const arrival = (share: 50 | 99, most: number): Figure => ({
      what: `${name}, all ${many.seen.received.toLocaleString("en-US")} delivered, p${share}`,
      value: many.seen[`p${share}`],
      unit: "ms",
      floor: { what: "one viewer", value: alone.seen[`p${share}`] },
      target: { bound: "at most", value: most },
      durability: DURABILITY.SQLite,
    });
    const memory = (who: string, value: number): Figure => ({
      what: `peak RSS of the hub with ${who}`,
      value,
      unit: "MB",
      floor: { what: "with one viewer", value: alone.peakMb },
    });
    return [
      arrival(50, 100),
      arrival(99, 300),
      memory(`${viewers} viewers`, many.peakMb),
      memory("one viewer and 20 that read nothing", stalled.peakMb),
    ];
  },
};
