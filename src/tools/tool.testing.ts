// For tests of this room: a pipeline over a real folder, and what it recorded.
import { mkdir, mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { realWorld, silentLog } from "../platform/index.ts";
import type { Outcome } from "../tasks/index.ts";
import { fileArtifacts } from "./artifacts.ts";
import { builtinTools } from "./builtin/index.ts";
import { createPipeline, type PipelineSetting } from "./pipeline.ts";
import { noSandbox } from "./sandbox/none.ts";
import type { CallRecorder, ToolPlace } from "./tool.ts";

type Intent = Parameters<CallRecorder["began"]>[0];

export type Bench = {
  /** Holds the workspace and what lies beside it. */
  readonly ground: string;
  readonly workspace: string;
  readonly place: ToolPlace;
  readonly intents: readonly Intent[];
  /** Calls a tool with arguments as an object, or as the text a model wrote. */
  call(tool: string, args: object | string, options?: CallOptions): Promise<Outcome>;
};

export type CallOptions = {
  readonly allowed?: readonly string[];
  readonly place?: Partial<ToolPlace>;
  readonly signal?: AbortSignal;
  readonly isRepeat?: boolean;
  readonly recorder?: CallRecorder;
};

/** A fresh folder, removed when the test ends. */
export async function scratch(t: TestContext): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "cadre-tools-")));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export async function benchOf(
  t: TestContext,
  setting: Partial<PipelineSetting> = {},
): Promise<Bench> {
  const world = realWorld();
  const ground = await scratch(t);
  const workspace = join(ground, "workspace");
  await mkdir(workspace);
  const pipeline = createPipeline({ tools: builtinTools, world, log: silentLog, ...setting });
  const place: ToolPlace = {
    workspace,
    readable: [],
    sandbox: noSandbox(world),
    profile: "workspace",
    artifacts: fileArtifacts(join(ground, "artifacts")),
    task: "task_1",
    run: "run_1",
  };
  const intents: Intent[] = [];
  const recorder: CallRecorder = {
    began: async (intent) => {
      intents.push(intent);
    },
  };
  return {
    ground,
    workspace,
    place,
    intents,
    call: (tool, args, options = {}) =>
      pipeline.call(
        { id: "call_1", tool, arguments: typeof args === "string" ? args : JSON.stringify(args) },
        options.allowed,
        { ...place, ...options.place },
        options.recorder ?? recorder,
        options.signal ?? new AbortController().signal,
        { isRepeat: options.isRepeat ?? false },
      ),
  };
}
