// The command line over a real hub in a folder of its own: real store, real operations, no worker.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { type App, createApp } from "../../app.ts";
import { config } from "../../config/index.ts";
import type { HubState, Operation } from "../../operations/index.ts";
import { CadreError, realWorld, silentLog } from "../../platform/index.ts";
import { allOperations } from "../../registry.ts";
import { runCli } from "./cli.ts";
import type { CliHost, Hub, Unfinished } from "./host.ts";
import { type RecordingTerminal, recordingTerminal } from "./terminal.testing.ts";

export const REGISTRY: readonly Operation[] = allOperations();

export type Outcome = { readonly code: number; readonly out: string; readonly err: string };

export type CliBench = {
  readonly app: App;
  readonly host: CliHost;
  /** What was asked of the host beside the hub: `merge /repo task_…`. */
  readonly asked: readonly string[];
  /** The line to the hub falls, or is back. */
  tellState(state: HubState): void;
  run(...argv: readonly string[]): Promise<Outcome>;
  /** The same on a terminal the test holds in its hand. */
  on(terminal: RecordingTerminal, ...argv: readonly string[]): Promise<Outcome>;
};

/** `kind`: how the command line comes by the hub. */
export async function openCli(
  t: TestContext,
  options: {
    readonly kind?: Hub["kind"];
    readonly env?: { readonly [name: string]: string };
    readonly unfinished?: readonly Unfinished[];
  } = {},
): Promise<CliBench> {
  const kind = options.kind ?? "attached";
  const home = await mkdtemp(join(tmpdir(), "cadre-cli-"));
  const world = {
    ...realWorld(),
    env: (name: string) => ({ LANG: "C.UTF-8", ...options.env })[name],
  };
  const app = await createApp({
    config: config.parse({}),
    home,
    world,
    log: silentLog,
    listen: false,
    works: false,
  });
  t.after(async () => {
    await app.stop("now");
    await rm(home, { recursive: true, force: true });
  });
  const asked: string[] = [];
  const listeners = new Set<(state: HubState) => void>();
  // The hub outlives each command: the test goes on with it.
  const hub: Hub = {
    client: app.client,
    url: "http://127.0.0.1:4141",
    home,
    isDefaultHome: true,
    kind,
    onState(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async stop(how) {
      asked.push(`stop ${how}`);
    },
  };
  const host: CliHost = {
    world,
    version: "1.2.3",
    program: "cadre",
    cwd: home,
    operations: async () => REGISTRY,
    settings: async () => ({ home, port: 4141, files: [] }),
    attach: async () => (kind === "attached" ? hub : undefined),
    open: async () => hub,
    host: async () => hub,
    async requireModel() {
      if (options.env?.["NO_MODEL"] === undefined) return;
      throw new CadreError("no_model", "No model can be called.", {
        next: ["export ANTHROPIC_API_KEY=…"],
      });
    },
    checks: async () => [
      { name: "Node", level: "ok", found: "24.11 (24 or later)", mend: [] },
      { name: "Sandbox", level: "fail", found: "none works", mend: ["apt install bubblewrap"] },
    ],
    repositoryOf: async (path) => (path.endsWith("repo") ? path : undefined),
    hasCommit: async (repository) => !repository.includes("empty"),
    copyExample: async () => ({ home, project: join(home, "repo"), objective: "Play" }),
    unfinished: async () => options.unfinished ?? [],
    initialise: async () => ({ wrote: [join(home, "cadre.yaml")], kept: [] }),
    diffstat: async () => undefined,
    async merge({ repository, root }) {
      asked.push(`merge ${repository} ${root}`);
      return { sentence: "Merged.", next: [] };
    },
    async undo({ repository, root }) {
      asked.push(`undo ${repository} ${root}`);
      return { sentence: "Taken back.", next: [] };
    },
    async reportBug() {
      return "/tmp/report.txt";
    },
  };

  const on = async (terminal: RecordingTerminal, ...argv: readonly string[]): Promise<Outcome> => {
    const code = await runCli(argv, host, terminal);
    return { code, out: terminal.stdout, err: terminal.stderr };
  };
  const tellState = (state: HubState) => {
    for (const listener of listeners) listener(state);
  };
  return { app, host, asked, on, tellState, run: (...argv) => on(recordingTerminal(), ...argv) };
}
