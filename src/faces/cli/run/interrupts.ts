// Ctrl C, counted: the first asks for a graceful stop, the second for one at once.
import type { CommandContext } from "../command.ts";
import type { Hub } from "../host.ts";
import { note } from "../print.ts";
import type { Terminal } from "../terminal.ts";

export type Interrupts = {
  readonly first: AbortSignal;
  readonly second: AbortSignal;
  close(): void;
};

export function countInterrupts(terminal: Terminal): Interrupts {
  const first = new AbortController();
  const second = new AbortController();
  const close = terminal.onInterrupt(() => {
    if (first.signal.aborted) second.abort();
    else first.abort();
  });
  return { first: first.signal, second: second.signal, close };
}

/** Resolves when the signal aborts; at once when it has. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** Stops gracefully; a second Ctrl C makes it stop at once. */
export async function stopCounted(
  context: CommandContext,
  hub: Hub,
  interrupts: Interrupts,
): Promise<void> {
  if (interrupts.first.aborted && hub.kind === "hosted") {
    note(context, "Stopping: what runs is recorded first. Ctrl C again stops at once.");
  }
  const atOnce = async () => {
    await aborted(interrupts.second);
    await hub.stop("now");
  };
  await Promise.race([hub.stop("graceful"), atOnce()]);
}
