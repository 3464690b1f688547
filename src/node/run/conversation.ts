// What was said so far, as messages a model takes.
//
// DESIGN. A transcript only grows, so the messages of its beginning never change: each reading adds
// those of the new steps alone, and a long run costs its length, not its square. Two things reach
// back. The outcome of a call belongs to the message right after its answer, wherever it stands in
// the transcript, so that message is made again when the outcome comes. And what a provider gave
// along with an answer goes back to that provider only, so a change of provider begins anew.
import type { ModelMessage, ModelName } from "../../models/index.ts";
import type { Json } from "../../platform/index.ts";
import type { Outcome } from "../../tasks/index.ts";
import type { Answer, Transcript } from "./transcript.ts";

export class Conversation {
  #provider = "";
  /** Steps read so far. */
  #read = 0;
  #messages: ModelMessage[] = [];
  readonly #outcomes = new Map<string, Outcome>();
  /** Where the results of a call stand, by its id. */
  readonly #places = new Map<string, { readonly answer: Answer; readonly index: number }>();

  /** The messages of a transcript that begins with what was read before. */
  messagesOf(transcript: Transcript, model: ModelName): readonly ModelMessage[] {
    const provider = providerOf(model);
    if (provider !== this.#provider) this.#beginAnew(provider);
    for (; this.#read < transcript.length; this.#read++) {
      const step = transcript[this.#read]?.step;
      if (step?.kind === "told") this.#messages.push({ role: "user", text: step.text });
      if (step?.kind === "model_answered") this.#hear(step);
      if (step?.kind === "tool_settled") this.#settle(step.call, step.outcome);
    }
    // A copy: what was handed out stays as it is when outcomes come.
    return this.#messages.slice();
  }

  #beginAnew(provider: string): void {
    this.#provider = provider;
    this.#read = 0;
    this.#messages = [];
    this.#outcomes.clear();
    this.#places.clear();
  }

  #hear(answer: Answer): void {
    // An answer that said nothing is no message: providers refuse an empty one.
    if (answer.text.trim() === "" && answer.calls.length === 0) return;
    this.#messages.push(assistantMessage(answer, this.#provider));
    if (answer.calls.length === 0) return;
    // All results follow their answer at once.
    const index = this.#messages.length;
    for (const call of answer.calls) this.#places.set(call.id, { answer, index });
    this.#messages.push(toolMessage(answer, this.#outcomes));
  }

  #settle(call: string, outcome: Outcome): void {
    this.#outcomes.set(call, outcome);
    const place = this.#places.get(call);
    if (place !== undefined) {
      this.#messages[place.index] = toolMessage(place.answer, this.#outcomes);
    }
  }
}

function assistantMessage(answer: Answer, provider: string): ModelMessage {
  const isSameProvider = providerOf(answer.model) === provider;
  return {
    role: "assistant",
    text: answer.text,
    calls: answer.calls.map(({ id, tool, arguments: text, metadata }) => ({
      id,
      tool,
      arguments: text,
      ...(isSameProvider && metadata !== undefined ? { metadata: metadata as Json } : {}),
    })),
    ...(isSameProvider && answer.metadata !== undefined
      ? { metadata: answer.metadata as Json }
      : {}),
  };
}

function toolMessage(answer: Answer, outcomes: ReadonlyMap<string, Outcome>): ModelMessage {
  return {
    role: "tool",
    results: answer.calls.map((call) => {
      const outcome = outcomes.get(call.id);
      return {
        call: call.id,
        tool: call.tool,
        text: outcome === undefined ? "This call was not made." : resultText(outcome),
        isError: outcome?.kind !== "done",
      };
    }),
  };
}

function resultText({ kind, text }: Outcome): string {
  const body = text.trim() === "" ? "(no output)" : text;
  return kind === "unknown" ? `UNKNOWN: ${body}` : body;
}

const providerOf = (model: string): string => model.split("/", 1)[0] ?? model;
