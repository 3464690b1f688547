// What is written in every measurement of tasks and steps: the same texts for us and for the floor.
import type { Step } from "../src/tasks/index.ts";

/** Instructions and result of a task. */
export const TEXT = "x".repeat(500);
/** About what one journal entry of a task says. */
export const NEWS = JSON.stringify({ from: "created", to: "queued", title: "y".repeat(100) });
/** The tool of the measured loops: it does nothing. */
export const NOTHING = "nothing";

const MODEL = "rehearsal/bench";

/** What is recorded before the tool's effect: one commit. */
export const before = (call: string): Step[] => [
  {
    kind: "model_answered",
    model: MODEL,
    text: "z".repeat(100),
    calls: [{ id: call, tool: NOTHING, arguments: "{}" }],
    finish: "tool-calls",
    usage: {
      tokensIn: 1_000,
      tokensOut: 100,
      tokensCached: 0,
      costUsd: null,
      modelCalls: 1,
      toolCalls: 1,
      rehearsed: true,
    },
    tookMs: 1,
  },
  { kind: "tool_began", call, tool: NOTHING, effect: "pure", arguments: {} },
];

/** What is recorded after it, with the next question to the model: one more commit. */
export const after = (call: string): Step[] => [
  { kind: "tool_settled", call, outcome: { kind: "done", text: "z".repeat(200) }, tookMs: 1 },
  { kind: "model_asked", model: MODEL },
];

export const STEP_BODIES: readonly (readonly string[])[] = [
  before("call_0_0"),
  after("call_0_0"),
].map((steps) => steps.map((step) => JSON.stringify(step)));
