// Plays the seeds it is sent, one after the other, until it is sent none.
import { parentPort, workerData } from "node:worker_threads";
import { play } from "./play.ts";
import { simulate } from "./simulate.ts";

const { park } = workerData as { readonly park: boolean };

parentPort?.on("message", async (seed: number | undefined) => {
  if (seed === undefined) {
    parentPort?.close();
    return;
  }
  parentPort?.postMessage(await play(seed, (it) => simulate(it, { park })));
});
