// How to start a child that file modes bind: root is told nothing by them, unless it gives that up.
import { spawnSync } from "node:child_process";

/** Words to put before a command, so that a read-only folder is read-only for it. */
export function obeyingModes(): readonly string[] {
  if (process.getuid?.() !== 0) return [];
  const without = "-dac_override,-dac_read_search";
  const words = ["setpriv", `--bounding-set=${without}`, `--inh-caps=${without}`, "--"];
  const tried = spawnSync("setpriv", [...words.slice(1), "true"], { encoding: "utf8" });
  if (tried.status === 0) return words;
  throw new Error(`As root this test needs util-linux setpriv: ${tried.stderr}`);
}
