// All that is at hand while one claim is worked on.
import type { Agent } from "../../agents/index.ts";
import type { Place } from "./place.ts";
import type { RunControl, RunPorts } from "./ports.ts";
import type { Claim, RunRecord } from "./record.ts";

export type RunContext = {
  readonly ports: RunPorts;
  readonly claim: Claim;
  readonly agent: Agent;
  readonly control: RunControl;
  readonly record: RunRecord;
  readonly place: Place;
};
