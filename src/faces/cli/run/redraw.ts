// A frame kept up to date: what it shows is listed again when it is old, and drawn when it changed.
import type { Millis } from "../../../platform/index.ts";
import type { CommandContext } from "../command.ts";
import type { Hub } from "../host.ts";
import type { Look } from "../look.ts";
import { outlasting } from "./outage.ts";
import { framePainter } from "./painter.ts";

/** At most ten frames a second, and one a second when only the clock moves. */
const FRAME_MS: Millis = 100;
const TICK_MS: Millis = 1_000;
/** Lists are asked for again at most this often, whatever happens. */
const REFRESH_MS: Millis = 250;

export type Shown = {
  /** Asks the hub for what is shown. */
  list(): Promise<void>;
  /** `dataOf`: set while the hub is away, when what is shown was heard. */
  render(look: Look, rows: number, dataOf: Millis | undefined): readonly string[];
};

export type Redrawn = {
  /** Settles when the signal aborts; rejects when a list fails for good. */
  readonly done: Promise<void>;
  readonly onState: Parameters<Hub["onState"]>[0];
  /** Something that is shown changed. */
  touch(): void;
  /** The hub was heard: what was listed may be old now. */
  heard(change: "same" | "stale"): void;
  close(): void;
};

/** Draws until the signal aborts. An outage of the hub is waited out. */
export function redraw(
  context: CommandContext,
  hub: Hub,
  signal: AbortSignal,
  shown: Shown,
): Redrawn {
  const { terminal, host } = context;
  const { clock } = host.world;
  const painter = framePainter(terminal);
  let isStale = true;
  let isListing = false;
  let isTouched = false;
  let listedAt = Number.NEGATIVE_INFINITY;
  let heardAt = clock.now();
  let dataOf: Millis | undefined;
  let failure: { readonly error: unknown } | undefined;
  let wake: () => void = () => undefined;

  const touch = () => {
    isTouched = true;
    wake();
  };
  const offResize = terminal.onResize(touch);

  // Not waited for by the loop: while the hub is away the frame goes on and says so.
  const list = async () => {
    isListing = true;
    isStale = false;
    listedAt = clock.monotonic();
    try {
      await outlasting(context, hub, signal, () => shown.list());
      heardAt = clock.now();
    } catch (error) {
      failure = { error };
    } finally {
      isListing = false;
      touch();
    }
  };
  const pause = (ms: Millis, until: AbortSignal) =>
    clock.sleep(ms, until).catch((error: unknown) => {
      if (!until.aborted) throw error;
    });
  const pauseUntilTouched = async () => {
    const waiting = new AbortController();
    wake = () => waiting.abort();
    signal.addEventListener("abort", wake, { once: true });
    if (!signal.aborted) await pause(TICK_MS, waiting.signal);
    signal.removeEventListener("abort", wake);
    wake = () => undefined;
  };
  const loop = async () => {
    await list();
    while (!signal.aborted) {
      if (failure !== undefined) throw failure.error;
      isTouched = false;
      if (isStale && !isListing && clock.monotonic() - listedAt >= REFRESH_MS) void list();
      const look = { ...context.look, columns: Math.max(40, terminal.columns) };
      painter.draw(shown.render(look, terminal.rows, dataOf));
      await pause(FRAME_MS, signal);
      if ((!isStale || isListing) && !isTouched) await pauseUntilTouched();
    }
  };

  return {
    done: loop(),
    touch,
    onState(state) {
      if (state.kind === "connected") isStale = true;
      dataOf = state.kind === "lost" ? heardAt : undefined;
      touch();
    },
    heard(change) {
      heardAt = clock.now();
      if (change === "stale") isStale = true;
      touch();
    },
    close() {
      offResize();
      painter.clear();
    },
  };
}
