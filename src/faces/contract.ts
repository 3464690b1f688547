// Every operation a face can call, as types: faces know no room behind it.
import type { AgentContract } from "../agents/index.ts";
import type { SystemContract } from "../hub/index.ts";
import type { ModelContract } from "../models/index.ts";
import type { EventContract, HousekeepingContract } from "../operations/index.ts";
import type { TaskContract } from "../tasks/index.ts";

export type CadreContract = TaskContract &
  AgentContract &
  ModelContract &
  SystemContract &
  EventContract &
  HousekeepingContract;
