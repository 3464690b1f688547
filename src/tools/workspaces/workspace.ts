// The workspace port: where a task's files are, and how its work joins that of the others.
import type { Change, WorkspacePolicy } from "../../tasks/index.ts";

export type WorkspaceRequest = {
  readonly task: string;
  readonly title: string;
  readonly root: string;
  readonly run: string;
  readonly agent: string;
  readonly policy: WorkspacePolicy;
};

/** `conflict`: nothing was merged; these files need a decision. */
export type MergeOutcome =
  | { readonly kind: "merged"; readonly commit: string }
  | { readonly kind: "nothing" }
  | { readonly kind: "conflict"; readonly files: readonly string[] };

export interface Workspace {
  /** Absolute real path; null for the policy `none`. */
  readonly path: string | null;
  /** What a sandboxed command must still read: git's common folder. */
  readonly readable: readonly string[];
  /** What a person should know of where the work starts: uncommitted changes left out, ... */
  readonly notes?: readonly string[];
  /**
   * Commits all that changed, with trailers naming task, run and agent. Repeating it is harmless.
   * Throws `workspace_failed` with `details.files` while a begun resolution still has marks.
   */
  commit(): Promise<Change | undefined>;
  /** Merges the task's branch into `cadre/<root>`. Repeating it is harmless. */
  merge(): Promise<MergeOutcome>;
  /** Brings the other side into the work tree with conflict marks, for an agent to resolve. */
  beginResolution(): Promise<readonly string[]>;
}

export interface Workspaces {
  /** Opens the task's workspace, making it when it is not there; the same one after a crash. */
  open(request: WorkspaceRequest): Promise<Workspace>;
  /** Makes the next `open` of this task start from a clean tree of the root's branch. */
  reset(request: Pick<WorkspaceRequest, "task" | "policy">): Promise<void>;
  /** Removes work trees of ended tasks; branches stay. */
  collect(ended: readonly Pick<WorkspaceRequest, "task" | "policy">[]): Promise<void>;
  /** Tasks that have a work tree here, whatever became of them. */
  list(): Promise<readonly string[]>;
}
