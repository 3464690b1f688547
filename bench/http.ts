// The REST face under load from another process, beside bare node:http asked in the same way.
import { startChild } from "./child.ts";
import type { Bench, Figure } from "./harness.ts";
import type { Load, LoadResult } from "./http-load.ts";
import { DURABILITY } from "./hub.ts";
import { type Program, startProgram, writeHome } from "./program.ts";
import { inScratch } from "./scratch.ts";

const PER_SECOND = 1_000;
const AT_ONCE = 16;
/** Queued behind what nobody offers: it is stored and not worked on. */
const TASK = { title: "Stays", instructions: "x".repeat(500), capabilities: ["absent"] };

async function underLoad(load: Load): Promise<LoadResult> {
  const child = startChild("./http-load.ts", load);
  try {
    return await child.next<LoadResult>();
  } finally {
    await child.stop();
  }
}

async function submitOne({ url, token }: Program): Promise<{ id: string; bytes: number }> {
  const response = await fetch(`${url}/api/v2/tasks`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify(TASK),
  });
  const text = await response.text();
  return { id: (JSON.parse(text) as { id: string }).id, bytes: text.length };
}

type Loads = {
  readonly reads: LoadResult;
  readonly health: LoadResult;
  readonly posts: LoadResult;
};

/** The three loads against a server that answers under these addresses. */
async function loadsOf(
  at: {
    readonly read: string;
    readonly health: string;
    readonly post: string;
    readonly token: string;
  },
  times: number,
): Promise<Loads> {
  const { token } = at;
  const pace = { perSecond: PER_SECOND };
  const reads = await underLoad({ url: at.read, token, times, pace });
  const health = await underLoad({ url: at.health, token, times, pace });
  const posts = await underLoad({
    url: at.post,
    token,
    body: TASK,
    times,
    pace: { width: AT_ONCE },
  });
  return { reads, health, posts };
}

async function ofBareNode(folder: string, bytes: number, times: number): Promise<Loads> {
  const server = startChild("./raw-server.ts", { folder, answerBytes: bytes });
  try {
    const { url } = await server.next<{ url: string }>();
    return await loadsOf({ read: url, health: url, post: url, token: "" }, times);
  } finally {
    await server.stop();
  }
}

function figures(ours: Loads, floor: Loads): Figure[] {
  const rate = `${PER_SECOND.toLocaleString("en-US")} requests/s`;
  const what = "bare node:http, asked the same way";
  return [
    {
      what: `REST: GET a task, ${rate}, p50`,
      value: ours.reads.p50,
      unit: "ms",
      floor: { what, value: floor.reads.p50 },
    },
    {
      what: `REST: GET a task, ${rate}, p99`,
      value: ours.reads.p99,
      unit: "ms",
      floor: { what, value: floor.reads.p99 },
      target: { bound: "at most", value: 10 },
    },
    {
      what: `/health, ${rate}, p99`,
      value: ours.health.p99,
      unit: "ms",
      floor: { what, value: floor.health.p99 },
      target: { bound: "at most", value: 2 },
    },
    {
      what: `REST: POST a task, ${AT_ONCE} at once`,
      value: ours.posts.perSecond,
      unit: "/s",
      floor: { what: "bare node:http and one durable row", value: floor.posts.perSecond },
      durability: DURABILITY.SQLite,
    },
  ];
}

export const httpBench: Bench = {
  name: "http",
  async run({ isSmoke }) {
    const times = isSmoke ? 500 : 5_000;
    return await inScratch(async (home) => {
      writeHome(home, [{ say: "Done." }]);
      const program = await startProgram(home);
      try {
        const { id, bytes } = await submitOne(program);
        const floor = await ofBareNode(home, bytes, times);
        const tasks = `${program.url}/api/v2/tasks`;
        const ours = await loadsOf(
          {
            read: `${tasks}/${id}`,
            health: `${program.url}/health`,
            post: tasks,
            token: program.token,
          },
          times,
        );
        return figures(ours, floor);
      } finally {
        await program.kill();
      }
    });
  },
};
