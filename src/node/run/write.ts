// The operations that end a claim, each with the steps that wait to be recorded.
import type { Failure, TaskContract, TaskResult } from "../../tasks/index.ts";
import type { RunContext } from "./context.ts";
import type { PlannedTasks } from "./internal-tools.ts";
import { patiently } from "./patience.ts";
import type { RunEnd } from "./ports.ts";

type Completing = Pick<RunContext, "ports" | "claim" | "control" | "record">;

const fenceOf = ({ claim }: Pick<RunContext, "claim">) => ({
  id: claim.task.id,
  epoch: claim.epoch,
});

export async function completeWith(run: Completing, result: TaskResult): Promise<RunEnd> {
  const closing = run.record.closing({ kind: "ended", how: "completed", text: result.text });
  const input = { ...fenceOf(run), ...closing, result } as TaskContract["tasks.complete"]["input"];
  await patiently(
    () => run.ports.client.call("tasks.complete", input),
    run.ports.world,
    run.control.signal,
  );
  return "completed";
}

/** `signal`: what stops the trying; not always the run's own, which a timeout has aborted. */
export async function failWith(
  run: Completing,
  failure: Failure,
  signal: AbortSignal = run.control.signal,
): Promise<RunEnd> {
  const closing = run.record.closing({
    kind: "ended",
    how: "failed",
    text: `${failure.code}: ${failure.message}`,
  });
  await patiently(
    () => run.ports.client.call("tasks.fail", { ...fenceOf(run), ...closing, failure }),
    run.ports.world,
    signal,
  );
  return "failed";
}

/** Names the wait on the tasks that were made for it, so that the run hears of these alone. */
export const WAIT_LABEL = "cadre.wait";
export const waitLabel = (run: string, wait: number): string => `${run}.${wait}`;

/** Creates the tasks, records the steps and parks the run, in one transaction. */
export async function delegate(run: RunContext, tasks: PlannedTasks): Promise<RunEnd> {
  const closing = run.record.closing({ kind: "waited", gate: "children" });
  const label = waitLabel(run.claim.run, run.record.facts.waits + 1);
  const labelled = tasks.map((task) => ({
    ...task,
    labels: { ...task.labels, [WAIT_LABEL]: label },
  }));
  await patiently(
    () => run.ports.client.call("tasks.delegate", { ...fenceOf(run), ...closing, tasks: labelled }),
    run.ports.world,
    run.control.signal,
  );
  return "parked";
}

/** Gives the task back unharmed, with what was done so far. */
export async function release(run: Completing): Promise<RunEnd> {
  await run.record.flush();
  await patiently(
    () => run.ports.client.call("tasks.release", fenceOf(run)),
    run.ports.world,
    run.control.signal,
  );
  return "released";
}
