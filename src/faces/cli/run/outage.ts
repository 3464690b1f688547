// A hub that goes away while one looks on: the view waits for it, and says so.
import { CadreError, type Millis } from "../../../platform/index.ts";
import type { TaskView } from "../../../tasks/index.ts";
import type { CommandContext } from "../command.ts";
import type { Hub } from "../host.ts";
import { mark } from "../look.ts";
import { note } from "../print.ts";
import { isEnded } from "./view.ts";

export const isOutage = (error: unknown): boolean =>
  error instanceof CadreError && error.code === "not_ready";

/** A hub that stops may still answer, and at once: it is not asked again without a pause. */
const ASK_AGAIN_MS: Millis = 250;

/** Calls, and calls again while the hub is away; rejects as soon as the signal aborts. */
export async function outlasting<T>(
  context: CommandContext,
  hub: Hub,
  signal: AbortSignal,
  call: () => Promise<T>,
): Promise<T> {
  for (;;) {
    try {
      return await orAborted(call(), signal);
    } catch (error) {
      if (signal.aborted || hub.kind !== "attached" || !isOutage(error)) throw error;
    }
    await context.host.world.clock.sleep(ASK_AGAIN_MS, signal);
  }
}

async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const left = Promise.withResolvers<never>();
  const leave = () => left.reject(signal.reason);
  if (signal.aborted) leave();
  signal.addEventListener("abort", leave, { once: true });
  try {
    return await Promise.race([promise, left.promise]);
  } finally {
    signal.removeEventListener("abort", leave);
  }
}

const LOOK_MS: Millis = 1_000;

/**
 * Resolves when nobody holds the hub's home any more and the task has ended there: whoever hosted
 * the hub saw the end first, and is gone. Never for a hub elsewhere; rejects when the signal aborts.
 */
export async function endedWithoutHub(
  context: CommandContext,
  hub: Hub,
  task: TaskView["id"],
  signal: AbortSignal,
): Promise<void> {
  const { home } = hub;
  for (;;) {
    await context.host.world.clock.sleep(LOOK_MS, signal);
    if (home === undefined || hub.kind !== "attached") continue;
    const running = await context.host.attach({ home });
    await running?.stop("now");
    if (running !== undefined) continue;
    if (await withStore(context, home, (store) => hasEnded(store, task))) return;
  }
}

const hasEnded = async (store: Hub, id: TaskView["id"]): Promise<boolean> =>
  isEnded(await store.client.call("tasks.get", { id }));

/** What a home's store says, when no hub runs for it. */
export async function withStore<T>(
  context: CommandContext,
  home: string,
  body: (store: Hub) => Promise<T>,
): Promise<T> {
  const store = await context.host.open({ home });
  try {
    return await body(store);
  } finally {
    await store.stop("graceful");
  }
}

/** For views that are not redrawn: one remark when the line falls, one when it is back. */
export function outageNotes(context: CommandContext, hub: Hub): Parameters<Hub["onState"]>[0] {
  const { look, host } = context;
  let isLost = false;
  return (state) => {
    if (state.kind === "connected") {
      if (isLost) note(context, `${mark(look, "completed")} The hub is back; nothing was missed.`);
      isLost = false;
      return;
    }
    if (isLost) return;
    isLost = true;
    const at = look.timeOfDay(host.world.clock.now());
    const where = hub.url ?? "there";
    note(context, `${mark(look, "warning")} Reconnecting: the hub at ${where} went away at ${at}.`);
    const port = hub.url === undefined ? undefined : URL.parse(hub.url)?.port;
    if (hub.home === undefined || !port) return;
    note(
      context,
      `  ${mark(look, "next")} ${context.typed(`cadre up --port ${port}`)}     starts it again`,
    );
  };
}
