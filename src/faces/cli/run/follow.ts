// Follows one objective to its end and shows it: a frame in a terminal, lines in a pipe.
import { iso, type JournalEvent, type Millis } from "../../../platform/index.ts";
import type { TaskView } from "../../../tasks/index.ts";
import type { CommandContext } from "../command.ts";
import type { CadreClient } from "../host.ts";
import { note } from "../print.ts";
import { treeOf } from "../reading.ts";
import { renderFrame } from "./frame.ts";
import { isTold, plainLine, saysMore } from "./lines.ts";
import { framePainter } from "./painter.ts";
import { emptyView, isEnded, rootOf, type View, withEvent, withTasks } from "./view.ts";

export type Ending = "ended" | "left" | "interrupted" | "timed_out";

export type FollowFacts = {
  readonly root: TaskView;
  /** Events after this position are told. */
  readonly after: number;
  readonly budgetUsd: number | undefined;
  /** How long to look on; undefined: to the end. */
  readonly waitMs: Millis | undefined;
  /** Aborts with the first Ctrl C. */
  readonly interrupted: AbortSignal;
  /** What `q` and Ctrl C do, for the last line of the frame. */
  readonly keys: string;
};

/** At most ten frames a second, and one a second when only the clock moves. */
const FRAME_MS: Millis = 100;
const TICK_MS: Millis = 1_000;
/** Lists are asked for again at most this often, whatever happens. */
const REFRESH_MS: Millis = 250;

/** Shows the objective until it ends, the person leaves, or the time is over. */
export async function follow(
  context: CommandContext,
  client: CadreClient,
  facts: FollowFacts,
  mode: "frame" | "lines" | "json" | "silent",
): Promise<Ending> {
  const over = new AbortController();
  let ending: Ending | undefined;
  const end = (how: Ending) => {
    ending ??= how;
    over.abort();
  };
  const onInterrupt = () => end("interrupted");
  facts.interrupted.addEventListener("abort", onInterrupt, { once: true });
  if (facts.interrupted.aborted) end("interrupted");

  const isOver = (error: unknown): void => {
    if (!over.signal.aborted) throw error;
  };
  const timer =
    facts.waitMs === undefined
      ? Promise.resolve()
      : context.host.world.clock
          .sleep(facts.waitMs, over.signal)
          .then(() => end("timed_out"))
          .catch(isOver);
  const screen =
    mode === "frame"
      ? liveScreen(context, client, facts, end, over.signal)
      : lineScreen(context, client, mode);
  // A screen that fails must end the view, not leave it waiting for events.
  let failure: unknown;
  const showing = screen.done.catch((error: unknown) => {
    failure = error;
    end("left");
  });

  try {
    if (!over.signal.aborted) await listen(client, facts, over.signal, screen, end);
  } catch (error) {
    isOver(error);
  } finally {
    over.abort();
    facts.interrupted.removeEventListener("abort", onInterrupt);
    await Promise.all([timer, showing]);
    screen.close();
  }
  if (failure !== undefined) throw failure;
  return ending ?? "left";
}

type Screen = {
  hear(event: JournalEvent): Promise<void>;
  /** Settles when the screen has nothing more to do. */
  readonly done: Promise<void>;
  close(): void;
};

const FINAL_EVENTS = new Set(["task.completed", "task.failed", "task.cancelled", "task.skipped"]);

async function listen(
  client: CadreClient,
  facts: FollowFacts,
  signal: AbortSignal,
  screen: Screen,
  end: (how: Ending) => void,
): Promise<void> {
  const { root } = facts;
  for await (const event of client.follow({ root: root.root }, { after: facts.after, signal })) {
    if (signal.aborted) return;
    await screen.hear(event);
    // A failed root may have been retried since: what it is now decides, not what was.
    if (event.task === root.id && FINAL_EVENTS.has(event.type)) {
      const now = await client.call("tasks.get", { id: root.id });
      if (isEnded(now)) return end("ended");
    }
  }
}

// ---- Lines --------------------------------------------------------------------------------

function lineScreen(
  context: CommandContext,
  client: CadreClient,
  mode: "lines" | "json" | "silent",
): Screen {
  return {
    done: Promise.resolve(),
    close: () => undefined,
    async hear(event) {
      if (mode === "silent") return;
      if (mode === "json") {
        const { type, at, position, ...rest } = event;
        context.terminal.out(
          `${JSON.stringify({ event: type, at: iso(at), cursor: position, data: rest })}\n`,
        );
        return;
      }
      if (!isTold(event)) return;
      const id = event.task as TaskView["id"] | undefined;
      const task =
        id !== undefined && saysMore(event) ? await client.call("tasks.get", { id }) : undefined;
      context.terminal.out(`${plainLine(event, task)}\n`);
    },
  };
}

// ---- The frame ----------------------------------------------------------------------------

function liveScreen(
  context: CommandContext,
  client: CadreClient,
  facts: FollowFacts,
  end: (how: Ending) => void,
  signal: AbortSignal,
): Screen {
  const { terminal, host } = context;
  const { clock } = host.world;
  const painter = framePainter(terminal);
  let view: View = emptyView(facts.root.id, facts.root.title, facts.budgetUsd);
  let isStale = true;
  let listedAt = Number.NEGATIVE_INFINITY;
  let shows: "parts" | "all" = "parts";
  let isTouched = false;
  let wake: () => void = () => undefined;

  const touch = () => {
    isTouched = true;
    wake();
  };
  const toggle = async () => {
    const root = rootOf(view) ?? facts.root;
    await client.call(root.paused ? "tasks.resume" : "tasks.pause", { id: facts.root.id });
  };
  const offKey = terminal.onKey((key) => {
    if (key === "q") end("left");
    if (key === "t") shows = shows === "all" ? "parts" : "all";
    // Too late to pause what has just ended: the frame shows why soon enough.
    if (key === "p") toggle().catch((error: unknown) => note(context, String(error)));
    touch();
  });
  const offResize = terminal.onResize(touch);

  const loop = async () => {
    while (!signal.aborted) {
      isTouched = false;
      if (isStale && clock.monotonic() - listedAt >= REFRESH_MS) {
        isStale = false;
        listedAt = clock.monotonic();
        view = withTasks(view, await treeOf(client, facts.root.root));
      }
      const look = { ...context.look, columns: Math.max(40, terminal.columns) };
      const frame = { now: clock.now(), rows: terminal.rows, keys: facts.keys, shows };
      painter.draw(renderFrame(view, look, frame));
      await pause(FRAME_MS);
      if (!isStale && !isTouched) await pauseUntilTouched();
    }
  };
  const pause = (ms: Millis) => clock.sleep(ms, signal).catch(ignoreAbort(signal));
  const pauseUntilTouched = async () => {
    const waiting = new AbortController();
    wake = () => waiting.abort();
    const stop = () => waiting.abort();
    signal.addEventListener("abort", stop, { once: true });
    if (!signal.aborted)
      await clock.sleep(TICK_MS, waiting.signal).catch(ignoreAbort(waiting.signal));
    signal.removeEventListener("abort", stop);
    wake = () => undefined;
  };

  return {
    done: loop(),
    async hear(event) {
      view = withEvent(view, event);
      // Of steps only answers change what a list says: they cost money.
      if (event.type !== "run.step" || event.data["kind"] === "model_answered") isStale = true;
      touch();
    },
    close() {
      offKey();
      offResize();
      painter.clear();
    },
  };
}

const ignoreAbort =
  (signal: AbortSignal) =>
  (error: unknown): void => {
    if (!signal.aborted) throw error;
  };
