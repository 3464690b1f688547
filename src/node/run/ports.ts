// What a run needs of the rest of the house, handed in by app.ts.
import type { Agent } from "../../agents/index.ts";
import type { Model, ModelName } from "../../models/index.ts";
import type { Client } from "../../operations/index.ts";
import type { Log, NodeId, World } from "../../platform/index.ts";
import type { TaskContract } from "../../tasks/index.ts";
import type { Artifacts, Sandbox, ToolPipeline, Workspaces } from "../../tools/index.ts";
import type { Fallback } from "../fallback.ts";

export type RunPorts = {
  readonly node: NodeId;
  readonly client: Client<TaskContract>;
  readonly model: Model;
  /** A4. Absent: only the first model of a chain is asked, and no cooldown is known. */
  readonly fallback?: Fallback;
  readonly pipeline: ToolPipeline;
  readonly workspaces: Workspaces;
  readonly sandbox: Sandbox;
  readonly artifacts: Artifacts;
  readonly world: World;
  readonly log: Log;
  /** Everyone a planner can give work to, by name. */
  readonly team: ReadonlyMap<string, Agent>;
  /** For agents that name no model. */
  readonly defaultModel: ModelName | undefined;
};

/** How a run is told to stop from outside. */
export type RunControl = {
  /** Aborted: no more effects, no more records. The reason tells a lost lease from a timeout. */
  readonly signal: AbortSignal;
  /** True once the run should give its task back at the next boundary between steps. */
  isDraining(): boolean;
  /**
   * Throws `lease_lost` when the lease may have run out by this machine's own clock: a process that
   * was stopped for a while must not start an effect on waking, before any heartbeat has told it.
   */
  assertHeld(): void;
};

export type RunEnd = "completed" | "failed" | "parked" | "released";
