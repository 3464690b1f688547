// Many agents at once whose model takes its time: what they wait for us, and what they weigh.
import { join } from "node:path";
import { nodeIdleMb } from "./floors-process.ts";
import { type Bench, lanes, percentile } from "./harness.ts";
import { DURABILITY, openSqliteHub } from "./hub.ts";
import { inScratch, sleep } from "./scratch.ts";
import { scriptedModel, startWorker, submitMany } from "./worker.ts";

const STEPS = 5;

export const activeBench: Bench = {
  name: "active",
  async run({ isSmoke }) {
    const loops = isSmoke ? 50 : 1_000;
    const latencyMs = isSmoke ? 50 : 1_000;
    const modelMs = STEPS * latencyMs;
    const idleMb = nodeIdleMb();
    const timers = await lanes(loops, STEPS, () => sleep(latencyMs));
    return await inScratch(async (folder) => {
      const hub = await openSqliteHub(join(folder, "bench.db"));
      await submitMany(hub, loops);
      const startedAt = performance.now();
      const model = scriptedModel({ answers: STEPS, latencyMs });
      const worker = await startWorker(hub, { folder, slots: loops }, model);
      await worker.ended(loops);
      const wallMs = performance.now() - startedAt;
      // In kilobytes; of this process since its start, floors and all.
      const peakMb = (process.resourceUsage().maxRSS * 1_024) / 1e6;
      await worker.stop();
      await hub.store.close();
      const name = `${loops.toLocaleString("en-US")} loops of ${STEPS} steps, model of ${latencyMs} ms`;
      const added = worker.endedAt.map((at) => at - startedAt - modelMs);
      return [
        {
          what: `${name}: wall`,
          value: wallMs,
          unit: "ms",
          floor: { what: "as many bare timers, nothing recorded", value: timers.tookMs },
          target: { bound: "at most", value: modelMs + 300 },
          durability: DURABILITY.SQLite,
        },
        {
          what: `${name}: added to a loop, p99`,
          value: percentile(added, 0.99),
          unit: "ms",
          floor: { what: "as many bare timers", value: timers.tookMs - modelMs },
          target: { bound: "at most", value: 250 },
          durability: DURABILITY.SQLite,
        },
        {
          what: `${name}: peak RSS of hub and worker`,
          value: peakMb,
          unit: "MB",
          floor: { what: "bare idle Node", value: idleMb },
          target: { bound: "at most", value: 200 },
        },
      ];
    });
  },
};
