// What the command line needs from the program around it. The composition root gives it; the
// face itself knows no feature behind it.
import type { Client, HubState, Operation } from "../../operations/index.ts";
import type { Check, World } from "../../platform/index.ts";
import type { TaskView } from "../../tasks/index.ts";
import type { CadreContract } from "../contract.ts";

export type CadreClient = Client<CadreContract>;

/** Which hub is meant. Both absent: the one whose home follows from the working directory. */
export type Where = {
  /** Address of a hub: `http://127.0.0.1:4141`. */
  readonly url?: string;
  /** Folder of its state. */
  readonly home?: string;
};

/** A hub one can talk to. */
export type Hub = {
  readonly client: CadreClient;
  readonly url: string | undefined;
  /** Absolute; undefined when it is known by its address only. */
  readonly home: string | undefined;
  /** The home is found from the working directory: commands need not name it. */
  readonly isDefaultHome: boolean;
  /** hosted: lives in this process and works. store: opened for a look, nothing works. */
  readonly kind: "hosted" | "attached" | "store";
  /** Hears when the line to it falls and comes back, until the returned function is called. */
  onState(listener: (state: HubState) => void): () => void;
  /** Lets go of it; a hosted one stops first. Twice is fine. */
  stop(how: "graceful" | "now"): Promise<void>;
};

export type HostOptions = Where & {
  /** Overrides the configured port; 0: any free one. */
  readonly port?: number;
  readonly host?: string;
  readonly team?: string;
  readonly store?: string;
  /** Where the log goes: a file while a frame is on the screen. */
  readonly log: "stderr" | "file";
};

export type Settings = {
  /** Absolute path of the state's folder. */
  readonly home: string;
  readonly port: number;
  /** Configuration files that were read, in order. */
  readonly files: readonly string[];
};

/** A copied example: a home of its own, with its configuration, its team and its project. */
export type Example = {
  readonly home: string;
  readonly project: string;
  readonly objective: string;
};

/** An example that was started, has work left, and that nobody works on now. */
export type Unfinished = {
  /** Its own home. Absolute. */
  readonly home: string;
  readonly root: TaskView["id"];
  readonly title: string;
};

export type DiffStat = {
  readonly files: number;
  readonly insertions: number;
  readonly deletions: number;
  readonly commits: number;
  readonly paths: readonly {
    readonly path: string;
    readonly insertions: number;
    readonly deletions: number;
  }[];
};

/** What became of a merge or of taking one back. */
export type Integration = { readonly sentence: string; readonly next: readonly string[] };

export interface CliHost {
  readonly world: World;
  readonly version: string;
  /** How a person calls this program: `cadre`, or `npx cadre` in a checkout. */
  readonly program: string;
  /** Absolute. */
  readonly cwd: string;
  /** Every operation there is, for the projected commands. */
  operations(): Promise<readonly Operation[]>;
  settings(where: Where): Promise<Settings>;
  /** The hub that runs for this home or address; undefined when none runs for the home. */
  attach(where: Where): Promise<Hub | undefined>;
  /** The hub that runs, else its store opened for a short look: nothing is claimed. */
  open(where: Where): Promise<Hub>;
  /** Starts a hub in this process. */
  host(options: HostOptions): Promise<Hub>;
  /** Throws `no_model` when the team that would work here can't ask any model. */
  requireModel(options: Omit<HostOptions, "log">): Promise<void>;
  checks(where: Where): Promise<readonly Check[]>;
  /** Top folder of the git repository around a path; undefined when there is none. */
  repositoryOf(path: string): Promise<string | undefined>;
  /** Whether work trees of this repository have something to start from. */
  hasCommit(repository: string): Promise<boolean>;
  /** Copies a shipped example into the home, its project as a fresh git repository. */
  copyExample(name: string, home: string): Promise<Example>;
  /** Examples played below a home that were cut off, newest first. */
  unfinished(home: string): Promise<readonly Unfinished[]>;
  /** Writes `cadre.yaml` and a team's agent files into a folder; keeps what is there. */
  initialise(options: {
    readonly folder: string;
    readonly team: string;
  }): Promise<{ readonly wrote: readonly string[]; readonly kept: readonly string[] }>;
  diffstat(change: {
    readonly repository: string;
    readonly root: string;
  }): Promise<DiffStat | undefined>;
  merge(change: { readonly repository: string; readonly root: string }): Promise<Integration>;
  undo(change: { readonly repository: string; readonly root: string }): Promise<Integration>;
  /** Writes what is known of a bug of ours to a file and answers its path. */
  reportBug(error: Error): Promise<string | undefined>;
}
