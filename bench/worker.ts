// The real worker and its real loop over a bench hub, with a scripted model and a tool that does
// nothing: what is left is what Cadre itself costs.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { Agent } from "../src/agents/index.ts";
import type { Model } from "../src/models/index.ts";
import { Worker } from "../src/node/index.ts";
import type { Client } from "../src/operations/index.ts";
import { idMaker, silentLog } from "../src/platform/index.ts";
import type { TaskContract } from "../src/tasks/index.ts";
import {
  createPipeline,
  defineTool,
  fileArtifacts,
  gitWorkspaces,
  refusingSandbox,
} from "../src/tools/index.ts";
import { NOTHING } from "./bodies.ts";
import type { BenchHub } from "./hub.ts";

const INSTANCES_MAX = 1_000;

const nothing = defineTool({
  name: NOTHING,
  description: "Does nothing.",
  input: z.strictObject({}),
  kind: "internal",
  effect: "pure",
  timeoutMs: 60_000,
  run: () => Promise.resolve({ kind: "done", text: "z".repeat(200) }),
});

export const benchAgent: Agent = {
  name: "main",
  description: "Works.",
  type: "general",
  capabilities: [],
  roles: ["worker"],
  models: ["rehearsal/bench"],
  tools: [NOTHING],
  instancesMax: INSTANCES_MAX,
  limits: { stepsMax: 10_000, outputTokensMax: 1_000, wallMs: 3_600_000 },
  prompt: "You work.",
  version: "1",
  source: "bench",
};

export type Scripted = {
  /** Answers of a run; all but the last call the tool. */
  readonly answers: number;
  /** What the model takes for each. */
  readonly latencyMs?: number;
  /** Hears that the model is asked: the moment a step starts. */
  onAsked?(): void;
};

export function scriptedModel({ answers, latencyMs = 0, onAsked }: Scripted): Model {
  return {
    async answer({ model, messages }) {
      onAsked?.();
      if (latencyMs > 0) await new Promise((resolve) => setTimeout(resolve, latencyMs));
      const turn = messages.filter(({ role }) => role === "assistant").length;
      const isLast = turn >= answers - 1;
      return {
        model,
        text: "z".repeat(100),
        calls: isLast ? [] : [{ id: `call_${turn}`, tool: NOTHING, arguments: "{}" }],
        finish: isLast ? "stop" : "tool-calls",
        usage: { tokensIn: 1_000, tokensOut: 100, tokensCached: 0, costUsd: null },
        rehearsed: true,
        tookMs: latencyMs,
      };
    },
  };
}

/** Hears of an operation the worker called, once it is answered. */
export type Hear = (name: keyof TaskContract, output: unknown) => void;

export type BenchWorker = {
  /** Times by `performance.now()` at which tasks were completed. */
  readonly endedAt: readonly number[];
  /** Resolves when so many tasks were completed since the start. */
  ended(count: number): Promise<void>;
  stop(): Promise<void>;
};

/** Starts a worker with this many slots; resolves when it claims. */
export async function startWorker(
  hub: BenchHub,
  at: { readonly folder: string; readonly slots: number },
  model: Model,
  hear: Hear = () => undefined,
): Promise<BenchWorker> {
  const endedAt: number[] = [];
  let waiting: { readonly count: number; readonly resolve: () => void } | undefined;
  const client = heard(hub.client, (name, output) => {
    hear(name, output);
    if (name === "tasks.fail") throw new Error("A measured task failed.");
    if (name !== "tasks.complete") return;
    endedAt.push(performance.now());
    if (waiting !== undefined && endedAt.length >= waiting.count) waiting.resolve();
  });
  const home = join(at.folder, "home");
  mkdirSync(home, { recursive: true });
  const { world, bus } = hub;
  const worker = new Worker(
    {
      node: idMaker(world)("node"),
      client,
      model,
      pipeline: createPipeline({ tools: [nothing], world, log: silentLog }),
      workspaces: gitWorkspaces({ world, home, log: silentLog }),
      sandbox: refusingSandbox([]),
      artifacts: fileArtifacts(join(home, "artifacts")),
      world,
      log: silentLog,
      team: new Map([[benchAgent.name, benchAgent]]),
      defaultModel: undefined,
      wakes: (listener) => bus.subscribe(listener),
    },
    { slots: at.slots, leaseMs: 60_000 },
  );
  await worker.start();
  return {
    endedAt,
    ended: (count) =>
      new Promise((resolve) => {
        if (endedAt.length >= count) resolve();
        else waiting = { count, resolve };
      }),
    stop: () => worker.stop("graceful"),
  };
}

const heard = (client: Client<TaskContract>, hear: Hear): Client<TaskContract> => ({
  ...client,
  async call(name, input, options) {
    const output = await client.call(name, input, options);
    hear(name, output);
    return output;
  },
});

/** So many tasks for the worker, handed in at once. */
export async function submitMany({ client }: BenchHub, count: number): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, (_, index) =>
      client.call("tasks.submit", { title: `Loop ${index}`, agent: benchAgent.name }),
    ),
  );
}
