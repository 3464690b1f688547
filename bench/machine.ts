// Where a run was made: a figure without its machine says nothing.
import { readFileSync } from "node:fs";
import { cpus, loadavg, release, totalmem, type } from "node:os";
import { scratchRoot } from "./scratch.ts";

export type Machine = {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly node: string;
  readonly kernel: string;
  /** Of the disk the databases are on. */
  readonly fileSystem: string;
  readonly date: string;
  /** Processes that wanted to run, over the last minute before the run: 0 on a quiet machine. */
  readonly load: number;
};

export function thisMachine(): Machine {
  const all = cpus();
  return {
    cpu: all[0]?.model.trim() ?? "unknown",
    cores: all.length,
    memoryGb: Math.round(totalmem() / 1e9),
    node: process.version,
    kernel: `${type()} ${release()}`,
    fileSystem: fileSystemOf(scratchRoot()),
    date: new Date().toISOString().slice(0, 10),
    load: loadavg()[0] ?? 0,
  };
}

/** By the longest mount point above the folder; `unknown` where there is no list of mounts. */
function fileSystemOf(folder: string): string {
  let mounts: string;
  try {
    mounts = readFileSync("/proc/mounts", "utf8");
  } catch {
    return "unknown";
  }
  const above = mounts
    .split("\n")
    .map((line) => line.split(" "))
    .filter(([, at = ""]) => at !== "" && `${folder}/`.startsWith(at === "/" ? at : `${at}/`))
    .sort(([, a = ""], [, b = ""]) => b.length - a.length);
  return above[0]?.[2] ?? "unknown";
}

/** One line for the head of a table. */
export const machineLine = (machine: Machine): string =>
  `${machine.date}; ${machine.cores} cores of ${machine.cpu}, ${machine.memoryGb} GB; Node ${machine.node}; ${machine.kernel}; ${machine.fileSystem}; load before the run ${machine.load.toFixed(2)}`;
