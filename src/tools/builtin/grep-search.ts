// The search of `grep`, in a thread of its own.
//
// DESIGN. A pattern comes from a model and may take exponential time on some line. No check of the
// pattern finds all such patterns, so it runs where it can be ended from outside: a worker thread,
// terminated when its time is over. This file is both sides: the worker runs the same module.
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";

export type Match = { readonly line: number; readonly text: string };

type Pattern = { readonly role: typeof ROLE; readonly source: string; readonly flags: string };
type Answer = { readonly id: number; readonly matches: readonly Match[] };

const ROLE = "cadre-grep";
const MATCH_CHARACTERS_MAX = 300;
const MATCHES_PER_FILE_MAX = 200;

export type Search = {
  /** Lines of this text that match. Rejects with the signal's reason when it aborts first. */
  matchesOf(text: string): Promise<readonly Match[]>;
  close(): Promise<void>;
};

/** Starts the thread. Aborting the signal ends it at once, in the midst of a pattern. */
export function startSearch(pattern: RegExp, signal: AbortSignal): Search {
  const data: Pattern = { role: ROLE, source: pattern.source, flags: pattern.flags };
  const worker = new Worker(import.meta.filename, { workerData: data, env: {}, stdin: false });
  const waiting = new Map<
    number,
    { resolve(found: readonly Match[]): void; reject(why: unknown): void }
  >();
  let asked = 0;
  const failAll = (why: unknown) => {
    for (const one of waiting.values()) one.reject(why);
    waiting.clear();
  };
  const onAbort = () => {
    failAll(signal.reason);
    void worker.terminate();
  };
  worker.on("message", (answer: Answer) => {
    waiting.get(answer.id)?.resolve(answer.matches);
    waiting.delete(answer.id);
  });
  worker.on("error", failAll);
  signal.addEventListener("abort", onAbort, { once: true });
  return {
    matchesOf: (text) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason);
        asked += 1;
        waiting.set(asked, { resolve, reject });
        worker.postMessage({ id: asked, text });
      }),
    async close() {
      signal.removeEventListener("abort", onAbort);
      await worker.terminate();
    },
  };
}

/** Lines that match, cut to what a model can use. Pure. */
export function searchText(text: string, pattern: RegExp): Match[] {
  const matches: Match[] = [];
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
    if (!pattern.test(line)) continue;
    const isLong = line.length > MATCH_CHARACTERS_MAX;
    const shown = isLong ? `${line.slice(0, MATCH_CHARACTERS_MAX)}[...]` : line;
    matches.push({ line: index + 1, text: shown });
    if (matches.length === MATCHES_PER_FILE_MAX) break;
  }
  return matches;
}

const given = workerData as Partial<Pattern> | null;
if (!isMainThread && given?.role === ROLE) {
  const pattern = new RegExp(given.source ?? "", given.flags ?? "");
  parentPort?.on("message", ({ id, text }: { readonly id: number; readonly text: string }) => {
    parentPort?.postMessage({ id, matches: searchText(text, pattern) } satisfies Answer);
  });
}
