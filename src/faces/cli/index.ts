// cli: the command line: the same operations, for people who live in a terminal and for scripts.
//
// Owns no table. Imports platform, operations, and types of the rooms behind the contract.
// F1. Help with examples, `--json` everywhere, documented exit codes; errors say what to do next.
// F2. Every operation meant for people is a command, projected from its declaration.
// What a model or a tool wrote never reaches the terminal raw: see text.ts.
// Read in order: host.ts, command.ts, cli.ts, projection.ts, commands/run.ts, run/follow.ts.
export { runCli } from "./cli.ts";
export type {
  CliHost,
  DiffStat,
  Example,
  HostOptions,
  Hub,
  Integration,
  Settings,
  Unfinished,
  Where,
} from "./host.ts";
export {
  checkNode,
  checkPort,
  copyExample,
  hasCommit,
  makeHome,
  playedHomes,
  reportBug,
  repositoryOf,
  writeNew,
} from "./machine.ts";
export { processTerminal } from "./terminal.ts";
