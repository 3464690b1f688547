// Journal batches as bytes: encoded once, sent to every viewer as they are.
import { encodeEvent } from "../../operations/index.ts";
import type { JournalEvent, Millis, World } from "../../platform/index.ts";

type Batch = readonly JournalEvent[];

/** A viewer is sent at most one frame in this time; what happens meanwhile goes together. */
const FRAME_MS: Millis = 50;
/** A reader that takes nothing for so long is closed; it resumes from its cursor. */
export const STALLED_MS: Millis = 30_000;
/** Bytes of one write: a slow reader never has more than this waiting, plus one event. */
const FRAME_BYTES_MAX = 512 * 1024;

export type Frame = {
  readonly bytes: Buffer;
  /** Where a reader that got this frame goes on from. */
  readonly upTo: number;
};

/** Encodes batches by a grammar, remembering each array it saw. */
function encoder(
  one: (event: JournalEvent) => string,
  separator: string,
): (batch: Batch) => readonly Frame[] {
  const known = new WeakMap<Batch, readonly Frame[]>();
  return (batch) => {
    let frames = known.get(batch);
    if (frames === undefined) {
      frames = split(batch, one, separator);
      known.set(batch, frames);
    }
    return frames;
  };
}

function split(batch: Batch, one: (event: JournalEvent) => string, separator: string): Frame[] {
  const frames: Frame[] = [];
  let parts: string[] = [];
  let length = 0;
  for (const [index, event] of batch.entries()) {
    const text = one(event);
    parts.push(text);
    length += text.length;
    if (length < FRAME_BYTES_MAX && index < batch.length - 1) continue;
    frames.push({ bytes: Buffer.from(parts.join(separator)), upTo: event.position });
    parts = [];
    length = 0;
  }
  return frames;
}

/** Server-sent events: the id is the position, so `Last-Event-ID` is the cursor. */
export const sseFrames = encoder(
  (event) => `id: ${event.position}\nevent: ${event.type}\ndata: ${encodeEvent(event)}\n\n`,
  "",
);

/** The events of a notification, without the brackets. */
export const jsonFrames = encoder(encodeEvent, ",");

/**
 * The beat all viewers share: who waits for it wakes together with the others, so that viewers of
 * one filter come to ask at one cursor and are answered with one encoding.
 */
export function frameBeat(world: Pick<World, "clock">): () => Promise<void> {
  let beat: Promise<void> | undefined;
  return () => {
    beat ??= world.clock.sleep(FRAME_MS).finally(() => {
      beat = undefined;
    });
    return beat;
  };
}
