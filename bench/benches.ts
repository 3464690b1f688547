// All benchmarks, in the order they run.
import { activeBench } from "./active.ts";
import { dispatchBench } from "./dispatch.ts";
import { fanOutBench } from "./fan-out.ts";
import type { Bench } from "./harness.ts";
import { httpBench } from "./http.ts";
import { loopsBench } from "./loops.ts";
import { memoryBench } from "./memory.ts";
import { startsBench } from "./starts.ts";
import { stepsBench } from "./steps.ts";
import { tasksBench } from "./tasks.ts";

export const BENCHES: readonly Bench[] = [
  stepsBench,
  tasksBench,
  dispatchBench,
  loopsBench,
  activeBench,
  startsBench,
  memoryBench,
  httpBench,
  fanOutBench,
];
