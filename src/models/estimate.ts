// Tokens by rule of thumb, where nobody counted them.
import type { ModelAnswer, ModelRequest, ModelUsage } from "./model.ts";

const CHARS_PER_TOKEN = 4;

/** A guess good enough for limits, never for money. */
export function estimateTokens(
  request: Pick<ModelRequest, "system" | "messages">,
  answer: Pick<ModelAnswer, "text" | "calls">,
): Pick<ModelUsage, "tokensIn" | "tokensOut"> {
  let chars = request.system.length;
  for (const message of request.messages) {
    switch (message.role) {
      case "user":
        chars += message.text.length;
        break;
      case "assistant":
        chars += charsOf(message);
        break;
      case "tool":
        for (const result of message.results) chars += result.text.length;
    }
  }
  return {
    tokensIn: Math.ceil(chars / CHARS_PER_TOKEN),
    tokensOut: Math.ceil(charsOf(answer) / CHARS_PER_TOKEN),
  };
}

const charsOf = ({ text, calls }: Pick<ModelAnswer, "text" | "calls">): number =>
  calls.reduce((sum, call) => sum + call.tool.length + call.arguments.length, text.length);
