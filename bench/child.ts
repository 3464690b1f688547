// Other processes of a measurement: started with their task, spoken to by messages.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** A process that is busy hears of its end when it next looks up. */
const EXIT_MS_MAX = 5_000;

export type Child = {
  readonly process: ChildProcess;
  /** The next message it sends; rejects when it ends instead. */
  next<T>(): Promise<T>;
  send(message: object): void;
  /** Ends it, and what it started, if it still runs. */
  stop(): Promise<void>;
};

/** Runs a file of this folder; its argument is read with `childArgument`. */
export function startChild(file: string, argument: object): Child {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), [JSON.stringify(argument)], {
    // Standard output belongs to the table.
    stdio: ["ignore", 2, 2, "ipc"],
  });
  const exited = once(child, "exit");
  const received: unknown[] = [];
  const readers: ((message: unknown) => void)[] = [];
  child.on("message", (message) => {
    const reader = readers.shift();
    if (reader === undefined) received.push(message);
    else reader(message);
  });
  return {
    process: child,
    async next<T>() {
      if (received.length > 0) return received.shift() as T;
      const ended = exited.then(([code, signal]) => {
        throw new Error(`${file} ended (${code ?? signal}) before it answered.`);
      });
      return (await Promise.race([
        new Promise((resolve) => {
          readers.push(resolve);
        }),
        ended,
      ])) as T;
    },
    send: (message) => {
      child.send(message);
    },
    async stop() {
      if (child.exitCode === null && child.signalCode === null) {
        if (child.connected) child.disconnect();
        const patience = setTimeout(() => child.kill("SIGKILL"), EXIT_MS_MAX);
        await exited;
        clearTimeout(patience);
      }
    },
  };
}

/** What this process was started with. */
export function childArgument<T>(): T {
  // Nobody is left to hear: end, and end what was started.
  process.once("disconnect", () => process.exit());
  return JSON.parse(process.argv[2] ?? "{}") as T;
}

/** Tells the process that started this one. */
export const tellParent = (message: object): void => {
  process.send?.(message);
};
