// The typed client: the same calls in process and from afar.
import type { EventFilter, JournalEvent } from "../platform/index.ts";
import type { Invoker } from "./invoke.ts";
import type { Credentials } from "./principal.ts";
import type { EventStream } from "./stream.ts";

export type Contract = {
  readonly [name: string]: { readonly input: unknown; readonly output: unknown };
};

export type CallOptions = { readonly idempotencyKey?: string; readonly correlation?: string };

export type FollowOptions = {
  /** Events after this position; absent: from now on. */
  readonly after?: number;
  readonly signal?: AbortSignal;
};

export interface Client<C extends Contract> {
  /** The operation's output, or a `CadreError` with the code the hub gave. */
  call<N extends keyof C & string>(
    name: N,
    input: C[N]["input"],
    options?: CallOptions,
  ): Promise<C[N]["output"]>;
  /** Every event that matches, once, in order, until the signal aborts. Survives reconnects. */
  follow(filter: EventFilter, options?: FollowOptions): AsyncIterable<JournalEvent>;
  close(): Promise<void>;
}

/** Calls without a network: the same pipeline, the same refusals. */
export function localClient<C extends Contract>(
  parts: { readonly invoker: Invoker; readonly stream: EventStream },
  credentials: Credentials,
): Client<C> {
  return {
    async call(name, input, options) {
      const output = await parts.invoker.invoke({
        operation: name,
        input,
        credentials,
        ...options,
      });
      // The handler's type is the schema's; where the invoker checks outputs, it is held to it.
      return output as never;
    },
    follow(filter, options = {}) {
      parts.invoker.admit(credentials, "read");
      return parts.stream.follow(filter, options);
    },
    close: () => Promise.resolve(),
  };
}
