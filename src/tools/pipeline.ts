// G2. The one way of every tool call: a list of stages, each around the next.
import { realpathSync } from "node:fs";
import { z } from "zod";
import type { Json, Log, Millis, World } from "../platform/index.ts";
import type { Outcome } from "../tasks/index.ts";
import { authorise } from "./stages/authorise.ts";
import { bound } from "./stages/bound.ts";
import { execute } from "./stages/execute.ts";
import { record } from "./stages/record.ts";
import type { Call, Stage, StageSetting } from "./stages/stage.ts";
import { validate } from "./stages/validate.ts";
import type { Tool, ToolPipeline } from "./tool.ts";

export type PipelineSetting = {
  readonly tools: readonly Tool[];
  readonly world: Pick<World, "clock" | "processes" | "env">;
  readonly log: Log;
  /** Existing folders no agent may touch though its workspace may hold them: Cadre's own state. */
  readonly hidden?: readonly string[];
  /** Longest time of a shell command. */
  readonly shellTimeoutMs?: Millis;
};

const SHELL_TIMEOUT_MS: Millis = 600_000;

/** In the order a call meets them; each sees the outcome of those after it. */
const stagesOf = (setting: StageSetting): readonly Stage[] => [
  validate(setting),
  authorise(setting),
  record(),
  bound(),
  execute(setting),
];

/** Throws what `recorder.began` throws (a lost lease); all else becomes an outcome. */
export function createPipeline(given: PipelineSetting): ToolPipeline {
  const setting: StageSetting = {
    ...given,
    hidden: (given.hidden ?? []).map((folder) => realpathSync(folder)),
    shellTimeoutMs: given.shellTimeoutMs ?? SHELL_TIMEOUT_MS,
  };
  const stages = stagesOf(setting);
  const described = new Map(given.tools.map((tool) => [tool.name, describe(tool)]));
  return {
    describe: (names) =>
      [...described.values()].filter((it) => names === undefined || names.includes(it.name)),
    call: (requested, allowed, place, recorder, signal, options = {}) => {
      const isRepeat = options.isRepeat ?? false;
      return walk(stages, { requested, allowed, place, recorder, signal, isRepeat });
    },
  };
}

function walk(stages: readonly Stage[], call: Call): Promise<Outcome> {
  const [stage, ...rest] = stages;
  if (stage === undefined) throw new Error("Broken belief: the last stage answers");
  return stage.walk(call, (onward) => walk(rest, onward));
}

function describe(tool: Tool) {
  const { $schema: _, ...schema } = z.toJSONSchema(tool.input, { io: "input" });
  const input = schema as { readonly [key: string]: Json };
  return { name: tool.name, description: tool.description, input };
}
