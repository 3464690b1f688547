// A folder for one measurement, on the disk that is measured.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleepFor } from "node:timers/promises";

/** `CADRE_BENCH_FOLDER` names another disk than that of the system's temporary folder. */
export const scratchRoot = (): string => process.env["CADRE_BENCH_FOLDER"] ?? tmpdir();

const leftovers = new Set<() => void>();
process.once("exit", () => {
  for (const clear of leftovers) clear();
});

/** Does this when the process ends, however it ends; answers how to do it no more. */
export function atExit(clear: () => void): () => void {
  leftovers.add(clear);
  return () => leftovers.delete(clear);
}

/** Runs `body` with a folder of its own, removed afterwards. */
export async function inScratch<T>(body: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(scratchRoot(), "cadre-bench-"));
  const remove = () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  const forget = atExit(remove);
  try {
    return await body(folder);
  } finally {
    remove();
    forget();
  }
}

export const sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
  sleepFor(ms, undefined, signal === undefined ? {} : { signal });
