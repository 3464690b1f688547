// `Prefer: wait=N`: the answer comes when the task has ended, or after N seconds as it stands.
import type { Operation, Request } from "../../operations/index.ts";
import type { Millis } from "../../platform/index.ts";
import type { TaskView } from "../../tasks/index.ts";
import type { FaceParts } from "./parts.ts";

export const WAIT_MS_MAX: Millis = 60_000;
const WAITABLE: ReadonlySet<string> = new Set(["tasks.submit", "tasks.get"]);
// T2: the states nothing leaves.
const FINAL: ReadonlySet<TaskView["state"]> = new Set([
  "completed",
  "failed",
  "cancelled",
  "skipped",
]);

type Waiting = Pick<TaskView, "id" | "state">;

/** How long the caller would wait; undefined when it did not ask or this operation does not end. */
export function askedWaitMs(op: Operation, prefer: string | undefined): Millis | undefined {
  if (prefer === undefined || !WAITABLE.has(op.name)) return undefined;
  const seconds = /(?:^|[,;\s])wait\s*=\s*"?(\d{1,6})"?(?:$|[,;\s])/i.exec(prefer)?.[1];
  return seconds === undefined ? undefined : Math.min(Number(seconds) * 1_000, WAIT_MS_MAX);
}

export const isFinal = (view: unknown): boolean => FINAL.has((view as Waiting).state);

/**
 * The task once it is final, or as it stands when the time is over, the caller gone or the hub
 * closing. Reads the task again after each of its events, old ones too: so none can be missed.
 */
export async function waitForTask(
  parts: Pick<FaceParts, "invoker" | "stream" | "world">,
  first: unknown,
  request: Pick<Request, "credentials">,
  bounds: { readonly waitMs: Millis; readonly signal: AbortSignal },
): Promise<unknown> {
  if (isFinal(first) || bounds.signal.aborted) return first;
  const task = (first as Waiting).id;
  const over = new AbortController();
  const signal = AbortSignal.any([bounds.signal, over.signal]);
  const timer = parts.world.clock.sleep(bounds.waitMs, signal).then(
    () => over.abort(),
    () => undefined,
  );
  let latest = first;
  try {
    for await (const _ of parts.stream.batches({ task }, { after: 0, signal })) {
      latest = await parts.invoker.invoke({
        operation: "tasks.get",
        input: { id: task },
        credentials: request.credentials,
      });
      if (isFinal(latest)) break;
    }
  } finally {
    over.abort();
    await timer;
  }
  return latest;
}
