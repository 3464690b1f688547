// tools: what an agent can do, and the pipeline every call walks.
//
// Owns no table yet. Imports platform, operations, tasks.
// G2. Every call walks one list of stages, whoever calls.
// G3. Paths are checked as real paths: no `..`, no symlink leads out of the workspace.
// G10. Commands run in a sandbox, or are refused loudly.
// A12. The user's branch, index and work tree are never touched unless asked.
// Read in order: tool.ts, pipeline.ts, sandbox/sandbox.ts, workspaces/workspace.ts, builtin/.
export { fileArtifacts } from "./artifacts.ts";
export { builtinTools } from "./builtin/index.ts";
export { checkSandbox } from "./check.ts";
export { createPipeline, type PipelineSetting } from "./pipeline.ts";
export {
  chooseSandbox,
  refusingSandbox,
  type SandboxChoice,
  type SandboxWish,
  type Tried,
} from "./sandbox/choose.ts";
export type { Sandbox, SandboxedCommand, SandboxProfile } from "./sandbox/sandbox.ts";
export {
  type Artifacts,
  type CallRecorder,
  defineTool,
  type RequestedCall,
  type Tool,
  type ToolContext,
  type ToolPipeline,
  type ToolPlace,
} from "./tool.ts";
export { checkGit } from "./workspaces/check.ts";
export { gitWorkspaces } from "./workspaces/git-workspaces.ts";
export {
  type Diffstat,
  diffstat,
  type Integration,
  integrate,
  type Undoing,
  undo,
} from "./workspaces/integration.ts";
export type {
  MergeOutcome,
  Workspace,
  WorkspaceRequest,
  Workspaces,
} from "./workspaces/workspace.ts";
