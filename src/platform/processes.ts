// Subprocesses: started in a group of their own, bounded in time and output, ended as a group.
import { spawn } from "node:child_process";
import type { Millis } from "./words.ts";

export type Command = {
  readonly argv: readonly [string, ...string[]];
  readonly cwd?: string;
  /** The whole environment of the child: nothing is inherited. */
  readonly env: { readonly [name: string]: string };
  readonly stdin?: string;
  readonly timeoutMs: Millis;
  /** Output kept, stdout and stderr together. What is past it is counted and thrown away. */
  readonly outputBytesMax: number;
  readonly signal?: AbortSignal;
};

export type Exit = {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly signal: string | null;
  /** Head of the output, at most `outputBytesMax` together with `tail`. */
  readonly stdout: string;
  readonly stderr: string;
  /** All bytes written, kept or not. */
  readonly outputBytes: number;
  readonly ended: "exited" | "timed_out" | "stopped";
  readonly tookMs: Millis;
};

export interface Processes {
  /**
   * Runs one command to its end. A timeout or the signal sends SIGTERM to the whole group and
   * SIGKILL after `KILL_AFTER_MS`. Rejects only when the program can't be started at all.
   */
  run(command: Command): Promise<Exit>;
}

export const KILL_AFTER_MS: Millis = 2_000;

/** Keeps the first and the last bytes of a stream, counts the rest. */
class Excerpt {
  readonly #headMax: number;
  readonly #tailMax: number;
  #head: Buffer[] = [];
  #headBytes = 0;
  #tail: Buffer[] = [];
  #tailBytes = 0;
  bytes = 0;

  constructor(bytesMax: number) {
    this.#headMax = Math.ceil(bytesMax / 2);
    this.#tailMax = Math.floor(bytesMax / 2);
  }

  add(chunk: Buffer): void {
    this.bytes += chunk.length;
    const room = this.#headMax - this.#headBytes;
    if (room > 0) {
      const part = chunk.subarray(0, room);
      this.#head.push(part);
      this.#headBytes += part.length;
    }
    if (chunk.length <= room) return;
    this.#tail.push(chunk.subarray(Math.max(room, 0)));
    this.#tailBytes += chunk.length - Math.max(room, 0);
    while (this.#tailBytes - (this.#tail[0]?.length ?? 0) >= this.#tailMax) {
      this.#tailBytes -= this.#tail.shift()?.length ?? 0;
    }
  }

  text(): string {
    const head = Buffer.concat(this.#head).toString("utf8");
    const kept = Buffer.concat(this.#tail);
    const tail = kept.subarray(Math.max(0, kept.length - this.#tailMax));
    const cut = this.bytes - this.#headBytes - tail.length;
    if (cut <= 0) return head + tail.toString("utf8");
    return `${head}\n[... ${cut} bytes left out ...]\n${tail.toString("utf8")}`;
  }
}

export function realProcesses(): Processes {
  return { run: runReal };
}

function runReal(command: Command): Promise<Exit> {
  return new Promise((resolve, reject) => {
    const startedAt = performance.now();
    const [program, ...args] = command.argv;
    const child = spawn(program, args, {
      detached: true,
      env: { ...command.env },
      stdio: ["pipe", "pipe", "pipe"],
      ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
    });
    const stdout = new Excerpt(command.outputBytesMax);
    const stderr = new Excerpt(command.outputBytesMax);
    let ended: Exit["ended"] = "exited";
    let killTimer: NodeJS.Timeout | undefined;

    const endGroup = (why: Exit["ended"]) => {
      if (ended !== "exited") return;
      ended = why;
      killGroup(child.pid, "SIGTERM");
      killTimer = setTimeout(() => killGroup(child.pid, "SIGKILL"), KILL_AFTER_MS);
    };
    const onAbort = () => endGroup("stopped");
    const timer = setTimeout(() => endGroup("timed_out"), command.timeoutMs);
    const cleanUp = () => {
      clearTimeout(timer);
      clearTimeout(killTimer);
      command.signal?.removeEventListener("abort", onAbort);
    };

    child.stdout.on("data", (chunk: Buffer) => stdout.add(chunk));
    child.stderr.on("data", (chunk: Buffer) => stderr.add(chunk));
    // A child that never reads its input closes the pipe: that is its right, not our fault.
    child.stdin.on("error", () => undefined);
    child.stdin.end(command.stdin ?? "");
    child.on("error", (error) => {
      cleanUp();
      reject(error);
    });
    // Grandchildren may hold the pipes open after the child is gone; they end with their group.
    child.on("exit", () => killGroup(child.pid, "SIGKILL"));
    child.on("close", (code, signal) => {
      cleanUp();
      resolve({
        code,
        signal,
        stdout: stdout.text(),
        stderr: stderr.text(),
        outputBytes: stdout.bytes + stderr.bytes,
        ended,
        tookMs: performance.now() - startedAt,
      });
    });
    command.signal?.addEventListener("abort", onAbort, { once: true });
    if (command.signal?.aborted) onAbort();
  });
}

function killGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch (error) {
    // ESRCH: the group is gone already, which is what was wanted.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
