// Follows one objective to its end and shows it: a frame in a terminal, lines in a pipe.
import { iso, type JournalEvent, type Millis } from "../../../platform/index.ts";
import type { TaskView } from "../../../tasks/index.ts";
import type { CommandContext } from "../command.ts";
import type { Hub } from "../host.ts";
import { note } from "../print.ts";
import { treeOf } from "../reading.ts";
import { renderFrame } from "./frame.ts";
import { isTold, plainLine, saysMore } from "./lines.ts";
import { endedWithoutHub, outageNotes, outlasting } from "./outage.ts";
import { redraw } from "./redraw.ts";
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

/** Shows the objective until it ends, the person leaves, or the time is over. */
export async function follow(
  context: CommandContext,
  hub: Hub,
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
  // What fails beside the events must end the view, not leave it waiting for them.
  let failure: unknown;
  const fail = (error: unknown) => {
    failure = error;
    end("left");
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
      ? liveScreen(context, hub, facts, end, over.signal)
      : lineScreen(context, hub, mode, over.signal);
  let watchdog: Promise<void> | undefined;
  const offState = hub.onState((state) => {
    screen.onState(state);
    if (state.kind !== "lost") return;
    watchdog ??= endedWithoutHub(context, hub, facts.root.id, over.signal)
      .then(() => end("ended"))
      .catch(isOver)
      .catch(fail);
  });
  const showing = screen.done.catch(fail);

  try {
    if (!over.signal.aborted) await listen(context, hub, facts, over.signal, screen, end);
  } catch (error) {
    isOver(error);
  } finally {
    over.abort();
    facts.interrupted.removeEventListener("abort", onInterrupt);
    offState();
    await Promise.all([timer, showing, watchdog]);
    screen.close();
  }
  if (failure !== undefined) throw failure;
  return ending ?? "left";
}

type Screen = {
  hear(event: JournalEvent): Promise<void>;
  /** The line to the hub fell, or is back. */
  readonly onState: Parameters<Hub["onState"]>[0];
  /** Settles when the screen has nothing more to do. */
  readonly done: Promise<void>;
  close(): void;
};

const FINAL_EVENTS = new Set(["task.completed", "task.failed", "task.cancelled", "task.skipped"]);

async function listen(
  context: CommandContext,
  hub: Hub,
  facts: FollowFacts,
  signal: AbortSignal,
  screen: Screen,
  end: (how: Ending) => void,
): Promise<void> {
  const { root, after } = facts;
  for await (const event of hub.client.follow({ root: root.root }, { after, signal })) {
    if (signal.aborted) return;
    await screen.hear(event);
    // A failed root may have been retried since: what it is now decides, not what was.
    if (event.task === root.id && FINAL_EVENTS.has(event.type)) {
      const now = await outlasting(context, hub, signal, () =>
        hub.client.call("tasks.get", { id: root.id }),
      );
      if (isEnded(now)) return end("ended");
    }
  }
}

// ---- Lines --------------------------------------------------------------------------------

function lineScreen(
  context: CommandContext,
  hub: Hub,
  mode: "lines" | "json" | "silent",
  signal: AbortSignal,
): Screen {
  return {
    done: Promise.resolve(),
    onState: outageNotes(context, hub),
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
        id !== undefined && saysMore(event)
          ? await outlasting(context, hub, signal, () => hub.client.call("tasks.get", { id }))
          : undefined;
      context.terminal.out(`${plainLine(event, task)}\n`);
    },
  };
}

// ---- The frame ----------------------------------------------------------------------------

function liveScreen(
  context: CommandContext,
  hub: Hub,
  facts: FollowFacts,
  end: (how: Ending) => void,
  signal: AbortSignal,
): Screen {
  const { client } = hub;
  const { clock } = context.host.world;
  let view: View = emptyView(facts.root.id, facts.root.title, facts.budgetUsd);
  let shows: "parts" | "all" = "parts";

  const screen = redraw(context, hub, signal, {
    async list() {
      view = withTasks(view, await treeOf(client, facts.root.root));
    },
    render: (look, rows, dataOf) =>
      renderFrame(view, look, { now: clock.now(), rows, keys: facts.keys, shows, dataOf }),
  });
  const toggle = async () => {
    const root = rootOf(view) ?? facts.root;
    await client.call(root.paused ? "tasks.resume" : "tasks.pause", { id: facts.root.id });
  };
  const offKey = context.terminal.onKey((key) => {
    if (key === "q") end("left");
    if (key === "t") shows = shows === "all" ? "parts" : "all";
    // Too late to pause what has just ended: the frame shows why soon enough.
    if (key === "p") toggle().catch((error: unknown) => note(context, String(error)));
    screen.touch();
  });

  return {
    done: screen.done,
    onState: screen.onState,
    async hear(event) {
      view = withEvent(view, event);
      // Of steps only answers change what a list says: they cost money.
      const isQuiet = event.type === "run.step" && event.data["kind"] !== "model_answered";
      screen.heard(isQuiet ? "same" : "stale");
    },
    close() {
      offKey();
      screen.close();
    },
  };
}
