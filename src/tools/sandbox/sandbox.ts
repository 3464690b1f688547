// The sandbox port: how a command of an agent is kept where it belongs.
import type { Exit, Millis } from "../../platform/index.ts";

/**
 * read-only: sees the workspace, writes nowhere but its own /tmp. workspace: writes there too.
 * Neither has a network. none: no walls at all, only when the configuration says so.
 */
export type SandboxProfile = "read-only" | "workspace" | "none";

export type SandboxedCommand = {
  readonly argv: readonly [string, ...string[]];
  readonly profile: SandboxProfile;
  /** Absolute real path: the working directory, and all that is writable. */
  readonly workspace: string;
  /** Absolute paths that stay readable although what is around them is hidden. */
  readonly readable: readonly string[];
  /** Added to a scrubbed environment (PATH, HOME, LANG, TERM). */
  readonly env?: { readonly [name: string]: string };
  readonly timeoutMs: Millis;
  readonly outputBytesMax: number;
  readonly signal?: AbortSignal;
};

export interface Sandbox {
  /** `bubblewrap`, `unshare`, `sandbox-exec`, `none`: stands on every step's record. */
  readonly name: string;
  /** Ends as `Processes.run` does: the whole group, grandchildren too. */
  run(command: SandboxedCommand): Promise<Exit>;
}
