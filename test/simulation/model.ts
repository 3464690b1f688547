// A model that plays the script of its task: a function of the conversation, so that it goes on
// after every restart. It fails, and falls silent, as real ones do.
import type { Model, ModelAnswer, ModelCall, ModelRequest } from "../../src/models/index.ts";
import { CadreError } from "../../src/platform/index.ts";
import type { Life } from "./life.ts";
import { instructionsOf, pick, type Script, scriptIn } from "./script.ts";

export type ModelFaults = {
  /** Chance that a call fails, and may succeed another time. */
  readonly fails: number;
  /** Chance that nothing comes for two minutes, and then a failure. */
  readonly silent: number;
};

const SILENCE_MS = 40_000;
const LATENCY_MS_MAX = 3_000;

export function scriptedModel(
  life: Life,
  random: () => number,
  faults: () => ModelFaults,
  onCall: () => void,
): Model {
  return {
    answer: (request) =>
      life.through("the model", async () => {
        onCall();
        const startedAt = random() * LATENCY_MS_MAX;
        await life.sleep(startedAt, request.signal);
        if (random() < faults().silent) {
          await life.sleep(SILENCE_MS, request.signal);
          throw failure("The model fell silent.", "timeout");
        }
        if (random() < faults().fails) throw failure("The model is overloaded.", "overloaded");
        return answerTo(request, random);
      }),
  };
}

const failure = (message: string, kind: string): CadreError =>
  new CadreError("model_failed", message, { details: { class: kind, retry: "later" } });

function answerTo(request: ModelRequest, random: () => number): ModelAnswer {
  const first = request.messages[0];
  const script = scriptIn(first?.role === "user" ? first.text : "");
  const turn = request.messages.filter(({ role }) => role === "assistant").length;
  const last = request.messages.at(-1);
  const wasToldEmpty = last?.role === "user" && last.text.startsWith("Your last answer was empty");
  const { text, calls } =
    script.kind === "plan" ? planTurn(script, turn) : workTurn(script, turn, { wasToldEmpty });
  return {
    model: request.model,
    text,
    calls: calls.map((call, index) => ({ ...call, id: `call_${turn}_${index}` })),
    finish: calls.length > 0 ? "tool-calls" : pick(random, ["stop", "other"] as const),
    usage: { tokensIn: 100 + turn, tokensOut: 10, tokensCached: 50, costUsd: 0.001 },
    rehearsed: true,
    tookMs: 1,
  };
}

type Said = { readonly text: string; readonly calls: readonly Omit<ModelCall, "id">[] };

function workTurn(
  script: Extract<Script, { kind: "work" }>,
  turn: number,
  { wasToldEmpty }: { readonly wasToldEmpty: boolean },
): Said {
  const tools = script.turns[turn];
  if (tools !== undefined) {
    const calls = tools.map((tool, index) => ({
      tool,
      arguments: JSON.stringify({ turn, index }),
    }));
    return { text: "", calls };
  }
  if (script.end === "give_up") {
    return {
      text: "",
      calls: [{ tool: "give_up", arguments: '{"reason":"It can not be done."}' }],
    };
  }
  // An empty answer first: the loop must tell it so and hear it out.
  const isEmpty = script.end === "babble" && !wasToldEmpty;
  return { text: isEmpty ? "" : "It is done.", calls: [] };
}

function planTurn(script: Extract<Script, { kind: "plan" }>, turn: number): Said {
  if (turn > script.invalidFirst) return { text: "All of it is done.", calls: [] };
  const isInvalid = turn < script.invalidFirst;
  const tasks = script.tasks.map(({ key, after, onFailure, script: work }) => ({
    key,
    title: `Part ${key}`,
    instructions: instructionsOf(work),
    after,
    onFailure,
    ...(isInvalid ? { agent: "nobody" } : { capabilities: ["work"] }),
  }));
  const plan = JSON.stringify({ summary: "In parts.", tasks });
  return { text: "", calls: [{ tool: "plan", arguments: plan }] };
}
