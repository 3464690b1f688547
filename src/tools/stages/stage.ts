// What a stage of the pipeline is: it looks at a call, and passes it on or answers it.
import type { Json, Log, Millis, World } from "../../platform/index.ts";
import type { Outcome } from "../../tasks/index.ts";
import type { CallRecorder, RequestedCall, Tool, ToolPlace } from "../tool.ts";

export type Call = {
  readonly requested: RequestedCall;
  /** Names of tools this agent may use; all when undefined. */
  readonly allowed: readonly string[] | undefined;
  readonly place: ToolPlace;
  readonly recorder: CallRecorder;
  readonly signal: AbortSignal;
  /** Begun before, outcome not known: its intent is recorded already. */
  readonly isRepeat: boolean;
  /** What `validate` made of the request; undefined before it. */
  readonly checked?: Checked;
};

export type Checked = {
  readonly tool: Tool;
  /** As the tool's schema gives it: defaults filled in. */
  readonly input: unknown;
  /** The same as JSON, for the record. */
  readonly arguments: Json;
};

export type Next = (call: Call) => Promise<Outcome>;

export type Stage = {
  readonly name: string;
  walk(call: Call, next: Next): Promise<Outcome>;
};

export type StageSetting = {
  readonly tools: readonly Tool[];
  readonly world: Pick<World, "clock" | "processes" | "env">;
  readonly log: Log;
  /** Paths no agent may touch though its workspace may hold them: Cadre's own state. */
  readonly hidden: readonly string[];
  /** Bound of a shell command; each other tool names its own. */
  readonly shellTimeoutMs: Millis;
};

/** What `validate` put into the call. A stage before it has no business asking. */
export function checkedOf(call: Call): Checked {
  if (call.checked === undefined) throw new Error("Broken belief: validate is the first stage");
  return call.checked;
}

export const refused = (text: string): Outcome => ({ kind: "refused", text });
