// Runs the tool under its time limit. A fault becomes an outcome: the model learns what happened.
import { type Millis, messageOf } from "../../platform/index.ts";
import type { Outcome } from "../../tasks/index.ts";
import { checkedOf, type Stage, type StageSetting } from "./stage.ts";

/** How long a tool that was told to stop may take for it before it is left to itself. */
const STOP_MS: Millis = 5_000;

export function execute(setting: Omit<StageSetting, "tools">): Stage {
  const { world, log, hidden, shellTimeoutMs } = setting;
  return {
    name: "execute",
    async walk(call) {
      const { tool, input } = checkedOf(call);
      const timeoutMs = tool.kind === "shell" ? shellTimeoutMs : tool.timeoutMs;
      const stop = new AbortController();
      const over = new AbortController();
      const onAbort = () => stop.abort(call.signal.reason);
      call.signal.addEventListener("abort", onAbort, { once: true });
      if (call.signal.aborted) onAbort();
      const context = { ...call.place, world, log, hidden, signal: stop.signal, timeoutMs };

      const running = Promise.resolve()
        .then(() => tool.run({ ...context, isRepeat: call.isRepeat }, input))
        .catch((error: unknown): Outcome => {
          log.warn({ tool: tool.name, call: call.requested.id, error }, "a tool failed");
          return { kind: "failed", text: `\`${tool.name}\` failed: ${messageOf(error)}` };
        });
      // A shell command keeps its own time, and tells how far it got.
      const patienceMs = tool.kind === "shell" ? timeoutMs + STOP_MS : timeoutMs;
      const timer = world.clock.sleep(patienceMs, over.signal).then(
        () => "timed out" as const,
        () => "over" as const,
      );
      try {
        const first = await Promise.race([running, timer, whenAborted(stop.signal)]);
        if (typeof first !== "string") return first;
        stop.abort(new Error("The tool's time is over"));
        const last = await Promise.race([
          running,
          world.clock.sleep(STOP_MS, over.signal).then(
            () => undefined,
            () => undefined,
          ),
        ]);
        // What it managed to do in the end is the truth, even if it came too late.
        if (last !== undefined && (first === "stopped" || last.kind !== "failed")) return last;
        return unfinished(tool.name, first, patienceMs);
      } finally {
        over.abort();
        call.signal.removeEventListener("abort", onAbort);
      }
    },
  };
}

function unfinished(tool: string, why: string, timeoutMs: Millis): Outcome {
  const text =
    why === "stopped"
      ? `\`${tool}\` was stopped before it was done. Look at what it left before you repeat it.`
      : `\`${tool}\` was stopped after ${timeoutMs / 1_000} s, its limit. Ask for less at a time.`;
  return { kind: "failed", text };
}

const whenAborted = (signal: AbortSignal): Promise<"stopped"> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve("stopped");
    else signal.addEventListener("abort", () => resolve("stopped"), { once: true });
  });
