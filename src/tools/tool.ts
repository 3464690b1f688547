// The tool port: what an agent can do, one call at a time.
import type { z } from "zod";
import type { Json, Log, Millis, World } from "../platform/index.ts";
import type { EffectClass, Outcome } from "../tasks/index.ts";
import type { Sandbox, SandboxProfile } from "./sandbox/sandbox.ts";

export type ToolKind = "file" | "shell" | "internal";

/** What a call may touch, given by the node for one run. */
export type ToolPlace = {
  /** Absolute real path of the workspace; null when the task has none. */
  readonly workspace: string | null;
  /** Paths outside it that may be read: git's common folder, the program's own runtime. */
  readonly readable: readonly string[];
  readonly sandbox: Sandbox;
  readonly profile: SandboxProfile;
  readonly artifacts: Artifacts;
  /** Owner of what is stored. */
  readonly task: string;
  readonly run: string;
};

export type ToolContext = ToolPlace & {
  readonly world: Pick<World, "clock" | "processes" | "env">;
  readonly log: Log;
  /** Real paths no agent may touch though its workspace may hold them: Cadre's own state. */
  readonly hidden: readonly string[];
  readonly signal: AbortSignal;
  readonly timeoutMs: Millis;
  /** The call was begun before and its outcome is not known: ask the world first. */
  readonly isRepeat: boolean;
};

export type Tool<I extends z.ZodType = z.ZodType> = {
  readonly name: string;
  /** For the model: what it does, when to use it, what comes back. */
  readonly description: string;
  readonly input: I;
  readonly kind: ToolKind;
  readonly effect: EffectClass;
  readonly timeoutMs: Millis;
  /** Paths in the arguments, for the authorise stage; each with what is done to it. */
  paths?(
    input: z.output<I>,
  ): readonly { readonly path: string; readonly access: "read" | "write" }[];
  /** Runs it. Throws only for faults of the world; what the model did wrong is an outcome. */
  run(context: ToolContext, input: z.output<I>): Promise<Outcome>;
};

export function defineTool<I extends z.ZodType>(tool: Tool<I>): Tool<I> {
  return tool;
}

/** M6's base: files by content, for outputs too large for a transcript. */
export interface Artifacts {
  /** Stores the bytes and answers `sha256-…`; the same bytes are stored once. */
  put(
    bytes: Uint8Array,
    owner: { readonly task: string; readonly mediaType: string },
  ): Promise<string>;
  get(id: string): Promise<Uint8Array | undefined>;
  /** Where the file lies, for people to open. */
  pathOf(id: string): string;
}

export type RequestedCall = {
  readonly id: string;
  readonly tool: string;
  /** As the model wrote it. */
  readonly arguments: string;
};

/** What the run loop records around an effect. `began` resolves once the intent is durable. */
export type CallRecorder = {
  began(intent: {
    readonly call: string;
    readonly tool: string;
    readonly effect: EffectClass;
    readonly arguments: Json;
    readonly sandbox?: string;
  }): Promise<void>;
};

export interface ToolPipeline {
  /** JSON Schemas of these tools (all when undefined), for the model. */
  describe(names: readonly string[] | undefined): readonly {
    readonly name: string;
    readonly description: string;
    readonly input: { readonly [key: string]: Json };
  }[];
  /** Walks the stages. Never throws for what a model did; always gives an outcome. */
  call(
    call: RequestedCall,
    allowed: readonly string[] | undefined,
    place: ToolPlace,
    recorder: CallRecorder,
    signal: AbortSignal,
    options?: { readonly isRepeat?: boolean },
  ): Promise<Outcome>;
}
