// Two faults every walled backend tells in the same way.
import { CadreError, type Exit } from "../../platform/index.ts";
import type { SandboxedCommand } from "./sandbox.ts";

/** Refuses the profile without walls: only the configuration may choose that. */
export function needsWalls(name: string, command: SandboxedCommand): void {
  if (command.profile !== "none") return;
  throw new CadreError(
    "sandbox_unavailable",
    `The sandbox ${name} runs nothing without walls. Set tools.sandbox to none to accept that.`,
  );
}

/** The command's exit, or the fault of a box that could not be built: then nothing ran in it. */
export function orBoxFault(name: string, exit: Exit, isFault: boolean): Exit {
  if (!isFault || exit.ended !== "exited") return exit;
  throw new CadreError(
    "sandbox_unavailable",
    `The sandbox ${name} could not be built: ${exit.stderr.trim().slice(0, 500)}. Nothing was run.`,
    { next: ["cadre doctor"] },
  );
}
