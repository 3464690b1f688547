// The transcript of a run: steps appended at their exact place, read back in order.
import { CadreError, iso, type Json, pageRows, type RunId, type Tx } from "../platform/index.ts";
import type { Work } from "./moves.ts";
import { type CoreRow, type RunRow, runRow } from "./rows.ts";
import { type RecordedStep, STEP_BYTES_MAX, type Step } from "./run.ts";
import { insertMany } from "./store.ts";

export type Appended = {
  readonly run: RunId;
  /** Index of the first step. */
  readonly at: number;
  readonly steps: readonly Step[];
};

type Place = Pick<CoreRow, "id" | "root">;
type Closing = "completed" | "failed";

/**
 * Appends steps, and closes the run when `closing` says how. Errors: `stale_write` when `at` is not
 * the transcript's end, `payload_too_large` for a step past its limit, `not_found` for a foreign run.
 */
export async function appendSteps(
  work: Work,
  row: Place,
  { run, at, steps }: Appended,
  closing?: Closing,
): Promise<void> {
  const bodies = steps.map((step, index) => bodyOf(step, at + index));
  const sum = countUsage(steps);
  const changed = await work.tx.run(
    `UPDATE runs SET steps = steps + ?, tokens_in = tokens_in + ?, tokens_out = tokens_out + ?,
      tokens_cached = tokens_cached + ?, cost_usd = cost_usd + ?, unpriced = unpriced + ?,
      model_calls = model_calls + ?, tool_calls = tool_calls + ?,
      rehearsed = CASE WHEN ? > rehearsed THEN 1 ELSE rehearsed END, state = ?, ended_at = ?
      WHERE id = ? AND task = ? AND state = 'open' AND steps = ?`,
    steps.length,
    sum.tokensIn,
    sum.tokensOut,
    sum.tokensCached,
    sum.costUsd,
    sum.unpriced,
    sum.modelCalls,
    sum.toolCalls,
    sum.rehearsed,
    closing ?? "open",
    closing === undefined ? null : work.now,
    run,
    row.id,
    at,
  );
  if (changed === 0) throw await refusedSteps(work.tx, row, run, at);
  if (bodies.length > 0) {
    const rows = bodies.map((body, index) => [run, at + index, work.now, body]);
    await insertMany(work.tx, "INSERT INTO run_steps (run, position, at, body)", rows);
  }
  for (const [index, step] of steps.entries())
    tellStep(work, row, { run, index: at + index, step });
}

function bodyOf(step: Step, index: number): string {
  const body = JSON.stringify(step);
  // A character is at most three bytes of UTF-8: most steps need not be measured.
  if (body.length * 3 <= STEP_BYTES_MAX || Buffer.byteLength(body) <= STEP_BYTES_MAX) return body;
  throw new CadreError(
    "payload_too_large",
    `Step ${index} (${step.kind}) is larger than ${STEP_BYTES_MAX} bytes. Store the large part as an artifact and name it in the step.`,
    { details: { bytesMax: STEP_BYTES_MAX, index } },
  );
}

async function refusedSteps(tx: Tx, row: Place, run: RunId, at: number): Promise<CadreError> {
  const found = await tx.get("SELECT * FROM runs WHERE id = ? AND task = ?", run, row.id);
  if (found === undefined) {
    return new CadreError("not_found", `Task ${row.id} has no run ${run}.`, { details: { run } });
  }
  const known = runRow(found);
  const why =
    known.state === "open"
      ? `its transcript goes on at ${known.steps}, not at ${at}`
      : `it is ${known.state}`;
  return new CadreError(
    "stale_write",
    `Run ${run} takes no step ${at}: ${why}. Read it again with runs.steps.`,
    {
      details: { run, next: known.steps, state: known.state },
    },
  );
}

function countUsage(steps: readonly Step[]) {
  const sum = {
    tokensIn: 0,
    tokensOut: 0,
    tokensCached: 0,
    costUsd: 0,
    unpriced: 0,
    modelCalls: 0,
    toolCalls: 0,
    rehearsed: 0,
  };
  for (const step of steps) {
    if (step.kind === "tool_settled") sum.toolCalls += 1;
    if (step.kind !== "model_answered") continue;
    const { usage } = step;
    sum.tokensIn += usage.tokensIn;
    sum.tokensOut += usage.tokensOut;
    sum.tokensCached += usage.tokensCached;
    sum.costUsd += usage.costUsd ?? 0;
    sum.unpriced += usage.costUsd === null ? 1 : 0;
    sum.modelCalls += 1;
    if (usage.rehearsed) sum.rehearsed = 1;
  }
  return sum;
}

/** An outcome that a crash right after it would not lose: T3 counts only attempts without one. */
export const isProgress = (step: Step): boolean =>
  step.kind === "model_answered" || step.kind === "tool_settled";

const HEAD_LENGTH_MAX = 200;
const head = (text: string): string =>
  text.length <= HEAD_LENGTH_MAX ? text : `${text.slice(0, HEAD_LENGTH_MAX - 1)}…`;

type Recorded = { readonly run: RunId; readonly index: number; readonly step: Step };

function tellStep(work: Work, row: Place, { run, index, step }: Recorded): void {
  work.emit({
    type: "run.step",
    root: row.root,
    task: row.id,
    run,
    data: { index, kind: step.kind, ...summary(step) },
  });
}

/** Enough for a line on a screen; the step itself is read with runs.steps. */
function summary(step: Step): { readonly [key: string]: Json } {
  switch (step.kind) {
    case "started":
      return { agent: step.agent, node: step.node };
    case "resumed":
      return { node: step.node };
    case "told":
      return { from: step.from, text: head(step.text) };
    case "model_asked":
      return { model: step.model };
    case "model_answered": {
      const { model, text, finish, usage } = step;
      const calls = step.calls.map((call) => call.tool);
      return {
        model,
        text: head(text),
        calls,
        finish,
        costUsd: usage.costUsd,
        tokensOut: usage.tokensOut,
      };
    }
    case "model_failed":
      return { model: step.model, code: step.code, text: head(step.message) };
    case "tool_began":
      return { tool: step.tool, call: step.call, text: head(JSON.stringify(step.arguments)) };
    case "tool_settled":
      return {
        call: step.call,
        outcome: step.outcome.kind,
        text: head(step.outcome.text),
        tookMs: step.tookMs,
      };
    case "waited":
      return { gate: step.gate };
    case "ended":
      return { how: step.how, text: head(step.text) };
  }
}

export async function readSteps(
  tx: Tx,
  run: RunId,
  after: number,
  limit: number,
): Promise<RecordedStep[]> {
  const rows = await tx.all(
    `SELECT position, at, body FROM run_steps WHERE run = ? AND position > ?
      ORDER BY position LIMIT ${pageRows(limit)}`,
    run,
    after,
  );
  return rows.slice(0, limit).map((row) => ({
    index: Number(row["position"]),
    at: iso(Number(row["at"])),
    step: JSON.parse(String(row["body"])) as Step,
  }));
}

export async function loadRun(tx: Tx, id: RunId): Promise<RunRow> {
  const row = await tx.get("SELECT * FROM runs WHERE id = ?", id);
  if (row !== undefined) return runRow(row);
  throw new CadreError("not_found", `There is no run ${id}. See which there are: cadre runs list`, {
    details: { run: id },
    next: ["cadre runs list"],
  });
}
