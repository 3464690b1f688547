// How a call that gave no answer is told to the caller.
import { CadreError, type Millis } from "../platform/index.ts";
import { type FailureClass, retryOf } from "./classify.ts";
import type { ModelName } from "./model.ts";

export type Failure = {
  readonly class: FailureClass;
  /** Without its subject: the model's name is put in front. */
  readonly message: string;
  /** Default: by the class. */
  readonly retry?: "never" | "later";
  readonly retryAfterMs?: Millis;
  readonly next?: readonly string[];
  readonly cause?: unknown;
};

/** `model_failed`, with `details.class`, `details.retry` and, when asked to wait, `retryAfterMs`. */
export function modelFailed(model: ModelName, failure: Failure): CadreError {
  return new CadreError("model_failed", `${model} could not answer: ${failure.message}`, {
    details: {
      model,
      class: failure.class,
      retry: failure.retry ?? retryOf(failure.class),
      ...(failure.retryAfterMs === undefined ? {} : { retryAfterMs: failure.retryAfterMs }),
    },
    ...(failure.next === undefined ? {} : { next: failure.next }),
    cause: failure.cause,
  });
}

export const callStopped = (model: ModelName, cause: unknown): CadreError =>
  new CadreError("stopped", `The call of ${model} was stopped.`, { cause });
