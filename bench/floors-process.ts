// The floors of processes: what a bare Node costs before its first line of ours.
import { spawnSync } from "node:child_process";
import { median } from "./harness.ts";

/** Milliseconds of a bare `node -e 0`, from start to exit. */
export function nodeSpawnMs(times: number): number {
  const samples: number[] = [];
  for (let i = 0; i < times; i++) {
    const at = performance.now();
    spawnSync(process.execPath, ["-e", "0"]);
    samples.push(performance.now() - at);
  }
  return median(samples);
}

/** Resident memory of a bare Node process that waits, in MB. */
export function nodeIdleMb(): number {
  const script = "setTimeout(() => { console.log(process.memoryUsage().rss / 1e6) }, 500)";
  return Number(spawnSync(process.execPath, ["-e", script], { encoding: "utf8" }).stdout);
}
