// A process that asks: requests at a fixed rate whatever the answers take, or so many at once.
import { Agent, request } from "node:http";
import { childArgument, tellParent } from "./child.ts";
import { median, paced, percentile } from "./harness.ts";
import { sleep } from "./scratch.ts";

export type Load = {
  readonly url: string;
  readonly token: string;
  /** Sent as a POST; without it the requests are GETs. */
  readonly body?: object;
  readonly times: number;
  readonly pace: { readonly perSecond: number } | { readonly width: number };
};

export type LoadResult = {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
};

const load = childArgument<Load>();
const agent = new Agent({ keepAlive: true, maxSockets: 64 });
const body = load.body === undefined ? undefined : JSON.stringify(load.body);
const headers = {
  authorization: `Bearer ${load.token}`,
  ...(body === undefined
    ? {}
    : { "content-type": "application/json", "content-length": Buffer.byteLength(body) }),
};

const ask = (): Promise<void> =>
  new Promise((resolve, reject) => {
    const method = body === undefined ? "GET" : "POST";
    request(load.url, { agent, headers, method }, (response) => {
      const status = response.statusCode ?? 0;
      if (status < 200 || status > 299) reject(new Error(`${load.url} answered ${status}.`));
      response.resume();
      response.on("end", resolve);
    })
      .on("error", reject)
      .end(body);
  });

/** Open loop: a request is late from the moment it was due, not from the moment it got through. */
async function atRate(times: number, perSecond: number): Promise<readonly number[]> {
  const startedAt = performance.now();
  const answers: Promise<number>[] = [];
  for (let i = 0; i < times; i++) {
    const dueAt = startedAt + (i * 1_000) / perSecond;
    const waitMs = dueAt - performance.now();
    if (waitMs > 0) await sleep(waitMs);
    answers.push(ask().then(() => performance.now() - dueAt));
  }
  return await Promise.all(answers);
}

async function run({ times, pace }: Load): Promise<LoadResult> {
  const startedAt = performance.now();
  const samples =
    "perSecond" in pace
      ? await atRate(times, pace.perSecond)
      : (await paced(times, pace.width, ask)).samples;
  const tookMs = performance.now() - startedAt;
  return {
    perSecond: (times / tookMs) * 1_000,
    p50: median(samples),
    p99: percentile(samples, 0.99),
  };
}

// Once to warm up, on both sides.
await run({ ...load, times: Math.min(2_000, load.times) });
tellParent(await run(load));
process.disconnect();
