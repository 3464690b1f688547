// Subprocesses: started in a group of their own, bounded in time and output, ended as a group.
import { type ChildProcess, spawn } from "node:child_process";
import { statSync } from "node:fs";
import { CadreError, type ErrorCode, messageOf } from "./errors.ts";
import type { Millis } from "./words.ts";

export type Command = {
  readonly argv: readonly [string, ...string[]];
  readonly cwd?: string;
  /** The whole environment of the child: nothing is inherited. */
  readonly env: { readonly [name: string]: string };
  readonly stdin?: string;
  readonly timeoutMs: Millis;
  /** Output kept of stdout, and as much of stderr. What is past it is counted and thrown away. */
  readonly outputBytesMax: number;
  readonly signal?: AbortSignal;
};

export type Exit = {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly signal: string | null;
  /** Head and tail of the output, at most `outputBytesMax`, with a line between that tells what is left out. */
  readonly stdout: string;
  readonly stderr: string;
  /** All bytes written, kept or not. */
  readonly outputBytes: number;
  readonly ended: "exited" | "timed_out" | "stopped";
  readonly tookMs: Millis;
  /** A process left the group and still held the output open: it may live on. */
  readonly leftBehind?: true;
};

export interface Processes {
  /**
   * Runs one command to its end. A timeout or the signal sends SIGTERM to the whole group and
   * SIGKILL after `KILL_AFTER_MS`. Rejects only when the program can't be started at all, with a
   * `CadreError` whose `details.errno` is the system's word for it (`ENOENT`, `EAGAIN`).
   */
  run(command: Command): Promise<Exit>;
}

export const KILL_AFTER_MS: Millis = 2_000;

/** How long output is awaited once the command is gone and its group is killed. */
const DRAIN_MS: Millis = 500;

/** Keeps the first and the last bytes of a stream, counts the rest. */
class Excerpt {
  readonly #headMax: number;
  readonly #tailMax: number;
  #head: Buffer[] = [];
  #headBytes = 0;
  /** A ring: the byte after the newest is the oldest. */
  #ring: Buffer | undefined;
  #ringEnd = 0;
  bytes = 0;

  constructor(bytesMax: number) {
    this.#headMax = Math.ceil(bytesMax / 2);
    this.#tailMax = Math.floor(bytesMax / 2);
  }

  add(chunk: Buffer): void {
    this.bytes += chunk.length;
    const part = chunk.subarray(0, this.#headMax - this.#headBytes);
    if (part.length > 0) this.#head.push(part);
    this.#headBytes += part.length;
    if (chunk.length > part.length) this.#addToRing(chunk.subarray(part.length));
  }

  #addToRing(chunk: Buffer): void {
    if (this.#tailMax === 0) return;
    this.#ring ??= Buffer.alloc(this.#tailMax);
    const kept = chunk.subarray(Math.max(0, chunk.length - this.#tailMax));
    const untilEdge = kept.copy(this.#ring, this.#ringEnd);
    kept.copy(this.#ring, 0, untilEdge);
    this.#ringEnd = (this.#ringEnd + kept.length) % this.#tailMax;
  }

  text(): string {
    const head = Buffer.concat(this.#head);
    const past = this.bytes - this.#headBytes;
    const ring = this.#ring ?? Buffer.alloc(0);
    if (past <= this.#tailMax) {
      return Buffer.concat([head, ring.subarray(0, past)]).toString("utf8");
    }
    const wrapped = [ring.subarray(this.#ringEnd), ring.subarray(0, this.#ringEnd)];
    const whole = wholeEnd(head);
    const tail = Buffer.concat(wrapped);
    const start = wholeStart(tail);
    const cut = this.bytes - whole - (tail.length - start);
    const between = `\n[... ${cut} bytes left out ...]\n`;
    return head.toString("utf8", 0, whole) + between + tail.toString("utf8", start);
  }
}

const isContinuation = (byte: number | undefined): boolean => ((byte ?? 0) & 0xc0) === 0x80;

/** Where the last whole character of a cut text ends. */
function wholeEnd(bytes: Buffer): number {
  let lead = bytes.length - 1;
  while (lead > bytes.length - 4 && isContinuation(bytes[lead])) lead -= 1;
  const first = bytes[lead] ?? 0;
  if (first < 0xc0) return bytes.length;
  return lead + characterBytes(first) > bytes.length ? lead : bytes.length;
}

function characterBytes(lead: number): number {
  if (lead >= 0xf0) return 4;
  return lead >= 0xe0 ? 3 : 2;
}

function wholeStart(bytes: Buffer): number {
  let start = 0;
  while (start < 3 && isContinuation(bytes[start])) start += 1;
  return start;
}

export function realProcesses(): Processes {
  return { run: runReal };
}

function runReal(command: Command): Promise<Exit> {
  return new Promise((resolve, reject) => {
    const startedAt = performance.now();
    const child = start(command);
    const { stdin, stdout: out, stderr: err } = child;
    if (child.pid === undefined || stdin === null || out === null || err === null) {
      child.once("error", (error) => reject(notStarted(command, error)));
      return;
    }
    const stdout = new Excerpt(command.outputBytesMax);
    const stderr = new Excerpt(command.outputBytesMax);
    let ended: Exit["ended"] = "exited";
    let leftBehind = false;
    let killTimer: NodeJS.Timeout | undefined;
    let drainTimer: NodeJS.Timeout | undefined;

    const endGroup = (why: Exit["ended"]) => {
      if (ended !== "exited" || child.exitCode !== null || child.signalCode !== null) return;
      ended = why;
      killGroup(child.pid, "SIGTERM");
      killTimer = setTimeout(() => killGroup(child.pid, "SIGKILL"), KILL_AFTER_MS);
    };
    const onAbort = () => endGroup("stopped");
    const timer = setTimeout(() => endGroup("timed_out"), command.timeoutMs);

    out.on("data", (chunk: Buffer) => stdout.add(chunk));
    err.on("data", (chunk: Buffer) => stderr.add(chunk));
    // A child that never reads its input closes the pipe: that is its right, not our fault.
    stdin.on("error", () => undefined);
    stdin.end(command.stdin ?? "");
    child.on("exit", () => {
      clearTimeout(timer);
      clearTimeout(killTimer);
      // Grandchildren may hold the pipes open after the child is gone; they end with their group.
      killGroup(child.pid, "SIGKILL");
      // One that left the group is out of our reach: its output must not keep us.
      const giveUp = () => {
        leftBehind = !out.readableEnded || !err.readableEnded;
        out.destroy();
        err.destroy();
      };
      // What lies in the pipes is read first, also when this thread was held up for longer.
      drainTimer = setTimeout(() => setImmediate(() => setImmediate(giveUp)), DRAIN_MS);
    });
    child.on("close", (code, signal) => {
      clearTimeout(drainTimer);
      command.signal?.removeEventListener("abort", onAbort);
      resolve({
        code,
        signal,
        stdout: stdout.text(),
        stderr: stderr.text(),
        outputBytes: stdout.bytes + stderr.bytes,
        ended,
        tookMs: performance.now() - startedAt,
        ...(leftBehind ? { leftBehind } : {}),
      });
    });
    command.signal?.addEventListener("abort", onAbort, { once: true });
    if (command.signal?.aborted) onAbort();
  });
}

function start(command: Command): ChildProcess {
  const [program, ...args] = command.argv;
  try {
    return spawn(program, args, {
      detached: true,
      env: { ...command.env },
      stdio: ["pipe", "pipe", "pipe"],
      ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
    });
  } catch (error) {
    throw notStarted(command, error);
  }
}

const FOR_NOW = new Set(["EAGAIN", "EMFILE", "ENFILE", "ENOMEM"]);

/** Says why a program could not be started, and what to do about it. */
function notStarted(command: Command, error: unknown): CadreError {
  const errno = (error as NodeJS.ErrnoException).code ?? "unknown";
  const [program] = command.argv;
  const fail = (code: ErrorCode, message: string) =>
    new CadreError(code, message, { details: { errno, program }, cause: error });
  if (FOR_NOW.has(errno)) {
    return fail(
      "not_ready",
      `${program} could not be started now (${errno}): this machine has no room for another ` +
        "process, file or memory. It may work later; `ulimit -a` shows the limits.",
    );
  }
  if (errno === "E2BIG") {
    return fail(
      "payload_too_large",
      `${program} was not started: its arguments are larger than this system takes (E2BIG). ` +
        "Pass them in a file or by standard input.",
    );
  }
  // The system answers ENOENT for a missing folder too, and names the program for it.
  if (errno === "ENOENT" && command.cwd !== undefined && !isFolder(command.cwd)) {
    return fail("not_found", `${program} was not started: there is no folder ${command.cwd}.`);
  }
  if (errno === "ENOENT") {
    return fail(
      "not_found",
      `There is no program ${program} in PATH. Install it or name its path.`,
    );
  }
  if (errno === "EACCES") {
    return fail("forbidden", `${program} may not be run by this user (EACCES). Check its mode.`);
  }
  return fail("internal", `${program} could not be started: ${messageOf(error)}.`);
}

const isFolder = (path: string): boolean =>
  statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

function killGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch (error) {
    // ESRCH: the group is gone already, which is what was wanted. EPERM: those left in it took
    // another user's rights or are dead and unburied; nobody can end them from here.
    const errno = (error as NodeJS.ErrnoException).code;
    if (errno !== "ESRCH" && errno !== "EPERM") throw error;
  }
}
