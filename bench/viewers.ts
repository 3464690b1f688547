// A process that watches: so many streams of events, some of which never read.
import { request } from "node:http";
import { childArgument, tellParent } from "./child.ts";
import { median, percentile } from "./harness.ts";

export type Viewers = {
  readonly url: string;
  readonly token: string;
  readonly viewers: number;
  /** These connect and take nothing. */
  readonly stalled: number;
};

export type Seen = {
  /** Events received by all viewers that read. */
  readonly received: number;
  /** Milliseconds from an event's own time to its arrival. */
  readonly p50: number;
  readonly p99: number;
};

const { url, token, viewers, stalled } = childArgument<Viewers>();
const ID = Buffer.from("\nid: ");
const positions: number[] = [];
const arrivals: number[] = [];
/** When each event was told, read by one viewer; the others only look for positions. */
const toldAt = new Map<number, number>();
const NEWLINE = 10;

function open(read: (chunk: Buffer) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    request(
      `${url}/api/v2/events/stream`,
      { headers: { authorization: `Bearer ${token}` } },
      (response) => {
        if (response.statusCode !== 200)
          reject(new Error(`A viewer was told ${response.statusCode}.`));
        response.once("data", (first: Buffer) => {
          resolve();
          read(first);
          response.on("data", read);
        });
        response.on("error", () => undefined);
      },
    )
      .on("error", reject)
      .end();
  });
}

function openStalled(): Promise<void> {
  return new Promise((resolve, reject) => {
    request(
      `${url}/api/v2/events/stream`,
      { headers: { authorization: `Bearer ${token}` } },
      (response) => {
        response.pause();
        response.on("error", () => undefined);
        resolve();
      },
    )
      .on("error", reject)
      .end();
  });
}

/** Notes the position and the arrival of each event, whatever the pieces it comes in. */
function reader(): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.from("\n");
  return (chunk) => {
    const now = Date.now();
    const text = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let from = 0;
    for (let at = text.indexOf(ID); at !== -1; at = text.indexOf(ID, at + 1)) {
      const end = text.indexOf(NEWLINE, at + ID.length);
      if (end === -1) break;
      positions.push(Number(text.toString("latin1", at + ID.length, end)));
      arrivals.push(now);
      from = end;
    }
    rest = text.subarray(Math.max(from, text.length - 40));
  };
}

/** Reads every event whole, to learn when it was told. */
function learner(): (chunk: Buffer) => void {
  let rest = "";
  return (chunk) => {
    const parts = (rest + chunk.toString()).split("\n\n");
    rest = parts.pop() ?? "";
    for (const part of parts) {
      const line = part.split("\n").find((it) => it.startsWith("data: "));
      if (line === undefined || part.includes("event: hello")) continue;
      const event = JSON.parse(line.slice(6)) as { position: number; at: string };
      toldAt.set(event.position, Date.parse(event.at));
    }
  };
}

function seen(): Seen {
  const samples: number[] = [];
  let received = 0;
  for (const [index, position] of positions.entries()) {
    const at = toldAt.get(position);
    // The greeting carries an id too, of what was before.
    if (at === undefined) continue;
    received += 1;
    samples.push((arrivals[index] ?? 0) - at);
  }
  return { received, p50: median(samples), p99: percentile(samples, 0.99) };
}

await open(learner());
await Promise.all(Array.from({ length: stalled }, openStalled));
await Promise.all(Array.from({ length: viewers }, () => open(reader())));
tellParent({ open: true });

process.on("message", ({ expected }: { readonly expected: number }) => {
  const since = performance.now();
  const look = () => {
    if (toldAt.size < expected || arrivals.length < (expected + 1) * viewers) {
      if (performance.now() - since < 10_000) {
        setTimeout(look, 20);
        return;
      }
    }
    tellParent(seen());
  };
  look();
});
