// The loop of one claim: transcript, next step, perform, record.
//
// Keeps A3 and T3: the intent is durable before its effect, every write carries the claim's epoch,
// and once the signal aborts there are no more effects and no more records.
import type { Agent } from "../../agents/index.ts";
import type { ModelAnswer, ModelName } from "../../models/index.ts";
import { CadreError, type Json, type Millis, unreachable } from "../../platform/index.ts";
import {
  backoffMs,
  type Outcome,
  type TaskContract,
  type TaskView,
  type ToolCallView,
} from "../../tasks/index.ts";
import type { RunContext } from "./context.ts";
import { type ModelFailure, NOTHING_SPENT, type Spent } from "./facts.ts";
import { finish } from "./finish.ts";
import { INTERNAL_TOOLS } from "./internal-names.ts";
import { decideInternal, internalTools, mayPlan } from "./internal-tools.ts";
import { type Asking, type Candidates, type Move, nextStep, type RunLimits } from "./next-step.ts";
import { patiently } from "./patience.ts";
import { openPlace } from "./place.ts";
import type { RunControl, RunEnd, RunPorts } from "./ports.ts";
import { promptOf } from "./prompt.ts";
import { type Claim, openRecord, type RunRecord } from "./record.ts";
import { childrenTold, dependenciesTold, resolutionTold } from "./told.ts";
import { TELLERS, withUniqueIds } from "./transcript.ts";
import { delegate, failWith, release, WAIT_LABEL, waitLabel } from "./write.ts";

/**
 * Works on a claim until its task has ended, is parked or is given back. Throws the signal's
 * reason when it was aborted, `lease_lost` when a write came too late, and whatever the world did:
 * the worker decides what each means for the task.
 */
export async function performRun(
  ports: RunPorts,
  claim: Claim,
  agent: Agent,
  control: RunControl,
  record: RunRecord,
): Promise<RunEnd> {
  const earlier = await earlierRuns(ports, claim, control.signal);
  const place = await openPlace(ports, claim, agent.name, {
    fresh: claim.steps === 0 && earlier.count > 0,
  });
  const run: RunContext = { ports, claim, agent, control, record, place };
  const limits = limitsOf(run, earlier.spent);
  await begin(run);
  for (;;) {
    control.signal.throwIfAborted();
    if (control.isDraining()) return await release(run);
    const candidates = await candidatesOf(run, control.signal);
    const move = nextStep(record.facts, limits, ports.world.clock.now(), candidates);
    const end = await perform(run, move);
    if (end !== undefined) return end;
  }
}

/** The transcript of a claim's run, to be handed to `performRun`. */
export const openRun = (ports: RunPorts, claim: Claim, signal: AbortSignal): Promise<RunRecord> =>
  openRecord({ client: ports.client, world: ports.world, signal }, claim);

function limitsOf({ claim, agent }: RunContext, spentBefore: Spent): RunLimits {
  return {
    turnsMax: agent.limits.stepsMax,
    wallMsMax: agent.limits.wallMs,
    budget: claim.task.budget,
    spentBefore,
  };
}

/** The task's other runs: whether there were any, and what they spent of its budget. */
async function earlierRuns(
  ports: RunPorts,
  claim: Claim,
  signal: AbortSignal,
): Promise<{ readonly count: number; readonly spent: Spent }> {
  const hasBudget = Object.keys(claim.task.budget).length > 0;
  if (!hasBudget && claim.task.workspace.kind === "none") return { count: 0, spent: NOTHING_SPENT };
  const { items } = await patiently(
    () => ports.client.call("runs.list", { task: claim.task.id, limit: 500 }),
    ports.world,
    signal,
  );
  const others = items.filter(({ id }) => id !== claim.run);
  const spent = others.reduce<Spent>(
    (sum, { usage }) => ({
      turns: sum.turns + usage.modelCalls,
      tokens: sum.tokens + usage.tokensIn + usage.tokensOut,
      costUsd: sum.costUsd + (usage.costUsd ?? 0),
    }),
    NOTHING_SPENT,
  );
  return { count: others.length, spent };
}

/** The first steps of a run, or the mark that it was taken up again. */
async function begin(run: RunContext): Promise<void> {
  const { ports, claim, agent, record, place } = run;
  if (claim.steps > 0) {
    record.add({ kind: "resumed", node: ports.node, epoch: claim.epoch });
    return;
  }
  record.add({
    kind: "started",
    agent: agent.name,
    agentVersion: agent.version,
    node: ports.node,
    sandbox: ports.sandbox.name,
  });
  if (claim.task.after.length > 0) {
    const tasks = await Promise.all(claim.task.after.map((id) => getTask(run, id)));
    record.add({ kind: "told", from: TELLERS.dependencies, text: dependenciesTold(tasks) });
  }
  tellNotes(run);
  if (place.isResolution) {
    const files = await place.workspace.beginResolution();
    record.add({ kind: "told", from: TELLERS.workspace, text: resolutionTold(files) });
  }
}

/** What is not as one may expect where the work starts: for the model, and for people to see. */
function tellNotes({ record, place }: RunContext): void {
  const [first, ...more] = place.workspace.notes ?? [];
  if (first === undefined) return;
  record.add({ kind: "told", from: TELLERS.workspace, text: [first, ...more].join("\n") });
  record.remark(first);
}

const getTask = (run: RunContext, id: TaskView["id"]): Promise<TaskView> =>
  patiently(() => run.ports.client.call("tasks.get", { id }), run.ports.world, run.control.signal);

/** Undefined when the run goes on. */
async function perform(run: RunContext, move: Move): Promise<RunEnd | undefined> {
  switch (move.kind) {
    case "ask_model":
      await askModel(run, move);
      return undefined;
    case "wait_for_model":
      await waitForModel(run, move);
      return undefined;
    case "call_tool":
      return await callTool(run, move);
    case "hear_children":
      await hearChildren(run, move);
      return undefined;
    case "tell":
      run.record.add({ kind: "told", from: TELLERS.loop, text: move.text });
      return undefined;
    case "finish":
      return await finish(run, move.text);
    case "fail":
      return await failWith(run, move.failure);
    default:
      return unreachable(move);
  }
}

// ---- The model --------------------------------------------------------------------------------

async function candidatesOf(
  { ports, agent }: RunContext,
  signal: AbortSignal,
): Promise<Candidates> {
  const named = agent.models.length > 0 ? agent.models : [ports.defaultModel];
  const chain = [...new Set(named)].filter((model) => model !== undefined) as ModelName[];
  if (ports.fallback !== undefined) return await ports.fallback.candidates(chain, signal);
  const [first] = chain;
  return {
    chain: chain.slice(0, 1),
    choose: () => (first === undefined ? { kind: "exhausted" } : { kind: "ask", model: first }),
    wordsOf: () => undefined,
  };
}

/** A provider that names a longer pause than this may name any: it is asked again all the same. */
const RETRY_AFTER_MS_MAX: Millis = 60_000;

/** T6, and what the provider asked for: the longer of the two. */
async function pauseBeforeTry({ ports, control }: RunContext, move: Asking): Promise<void> {
  if (move.tries === 0) return;
  const { clock, random } = ports.world;
  const wantedMs = Math.min(move.retryAfterMs ?? 0, RETRY_AFTER_MS_MAX);
  await clock.sleep(Math.max(backoffMs(move.tries, random), wantedMs), control.signal);
}

/** In short naps: it may answer another run before its time, and this one may be told to stop. */
const NAP_MS_MAX: Millis = 1_000;

async function waitForModel(
  { ports, control }: RunContext,
  { until }: Extract<Move, { kind: "wait_for_model" }>,
): Promise<void> {
  const { clock } = ports.world;
  const leftMs = Math.max(1, until - clock.now());
  await clock.sleep(Math.min(leftMs, NAP_MS_MAX), control.signal);
}

async function askModel(run: RunContext, move: Asking): Promise<void> {
  const { ports, agent, record, control } = run;
  const { model } = move;
  await pauseBeforeTry(run, move);
  if (!move.isAsked) {
    record.add({ kind: "model_asked", model });
    await record.flush();
  }
  control.assertHeld();
  const hasPlan = mayPlan(agent, run.claim.task);
  try {
    const answer = await ports.model.answer({
      model,
      agent: agent.name,
      ...promptOf(
        {
          task: run.claim.task,
          agent,
          team: [...ports.team.values()].filter(({ name }) => name !== agent.name),
          hasPlan,
          workspace: run.place.workspace.path,
          sandbox: ports.sandbox.name,
          model,
        },
        record.transcript,
        record.conversation,
      ),
      tools: [...ports.pipeline.describe(worldTools(agent)), ...internalTools({ hasPlan })],
      outputTokensMax: agent.limits.outputTokensMax,
      signal: control.signal,
    });
    record.add(answered(answer, record));
  } catch (error) {
    control.signal.throwIfAborted();
    if (!(error instanceof CadreError)) throw error;
    const failed = failedStep(model, error);
    record.add(failed);
    await ports.fallback?.failed(failed, control.signal);
    return;
  }
  await ports.fallback?.answered(model, control.signal);
}

const failedStep = (model: ModelName, error: CadreError): ModelFailure => ({
  kind: "model_failed",
  model,
  code: error.code,
  message: error.message,
  retry: retryOf(error),
  ...classOf(error),
  ...retryAfterOf(error),
});

/** The adapter knows best whether its provider may answer another time. */
function retryOf(error: CadreError): "never" | "later" {
  const told = error.details["retry"];
  if (told === "never" || told === "later") return told;
  return error.code === "no_model" ? "never" : "later";
}

/** Nothing is held against a model that was not asked: its key is not set here. */
function classOf({ code, details }: CadreError): { class?: string } {
  if (code !== "model_failed") return {};
  const told = details["class"];
  return { class: typeof told === "string" ? told : "unknown" };
}

function retryAfterOf({ details }: CadreError): { retryAfterMs?: Millis } {
  const told = details["retryAfterMs"];
  return typeof told === "number" && told > 0 ? { retryAfterMs: Math.ceil(told) } : {};
}

const worldTools = (agent: Agent): string[] | undefined =>
  agent.tools?.filter((tool) => !INTERNAL_TOOLS.has(tool));

function answered(answer: ModelAnswer, record: RunRecord) {
  const calls = withUniqueIds(
    answer.calls.map(({ id, tool, arguments: text, metadata }) => ({
      id,
      tool,
      arguments: text,
      ...(metadata === undefined ? {} : { metadata: jsonOf(metadata) }),
    })),
    record.callIds,
  );
  return {
    kind: "model_answered" as const,
    model: answer.model,
    text: answer.text,
    calls,
    finish: answer.finish,
    ...(answer.metadata === undefined ? {} : { metadata: jsonOf(answer.metadata) }),
    usage: {
      tokensIn: Math.round(answer.usage.tokensIn),
      tokensOut: Math.round(answer.usage.tokensOut),
      tokensCached: Math.round(answer.usage.tokensCached),
      costUsd: answer.usage.costUsd,
      modelCalls: 1,
      toolCalls: calls.length,
      rehearsed: answer.rehearsed,
    },
    tookMs: answer.tookMs,
  };
}

/** The step's schema wants mutable JSON; it is written out at once and never changed. */
const jsonOf = (value: Json): NonNullable<ToolCallView["metadata"]> => value as never;

// ---- Tools ------------------------------------------------------------------------------------

async function callTool(
  run: RunContext,
  move: Extract<Move, { kind: "call_tool" }>,
): Promise<RunEnd | undefined> {
  const { call } = move;
  if (INTERNAL_TOOLS.has(call.tool)) return await callInternal(run, call);
  const { world } = run.ports;
  const startedAt = world.clock.monotonic();
  run.control.assertHeld();
  const outcome = await run.ports.pipeline.call(
    call,
    worldTools(run.agent),
    run.place.tools,
    {
      async began(intent) {
        run.control.signal.throwIfAborted();
        // A repetition's intent stands already, and its outcome is what is missing.
        if (run.record.facts.begun.has(intent.call)) return;
        run.record.add({
          kind: "tool_began",
          call: intent.call,
          tool: intent.tool,
          effect: intent.effect,
          arguments: jsonOf(intent.arguments),
          ...(intent.sandbox === undefined ? {} : { sandbox: intent.sandbox }),
        });
        await run.record.flush();
        run.control.assertHeld();
      },
    },
    run.control.signal,
    { isRepeat: move.isRepeat },
  );
  // An outcome cut short by the stop says nothing of the effect: it stays open.
  run.control.signal.throwIfAborted();
  settle(run, call, outcome, world.clock.monotonic() - startedAt);
  return undefined;
}

function settle(run: RunContext, call: ToolCallView, outcome: Outcome, tookMs: number): void {
  run.record.add({ kind: "tool_settled", call: call.id, outcome, tookMs });
}

async function callInternal(run: RunContext, call: ToolCallView): Promise<RunEnd | undefined> {
  const decision = decideInternal(call, {
    agent: run.agent,
    task: run.claim.task,
    team: [...run.ports.team.values()],
    waits: run.record.facts.waits,
  });
  settle(run, call, decision.outcome, 0);
  return decision.kind === "delegate" ? await delegate(run, decision.tasks) : undefined;
}

// ---- Children ---------------------------------------------------------------------------------

async function hearChildren(
  run: RunContext,
  move: Extract<Move, { kind: "hear_children" }>,
): Promise<void> {
  const label = `${WAIT_LABEL}=${waitLabel(run.claim.run, move.wait)}`;
  const children: TaskView[] = [];
  for (let cursor: string | undefined, more = true; more; ) {
    const page: TaskContract["tasks.list"]["output"] = await patiently(
      () =>
        run.ports.client.call("tasks.list", {
          parent: run.claim.task.id,
          label,
          limit: 500,
          ...(cursor === undefined ? {} : { cursor }),
        }),
      run.ports.world,
      run.control.signal,
    );
    children.push(...page.items);
    cursor = page.next ?? undefined;
    more = cursor !== undefined;
  }
  // As the plan had them: ids sort by the time they were made.
  children.sort((a, b) => (a.id < b.id ? -1 : 1));
  run.record.add({
    kind: "told",
    from: move.forConflict ? TELLERS.resolution : TELLERS.children,
    text: childrenTold(children),
  });
}
