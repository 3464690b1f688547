// What the pieces of this face are handed.
import type { EventStream, Invoker } from "../../operations/index.ts";
import type { Log, World } from "../../platform/index.ts";
import type { Listener } from "./guard.ts";
import type { Verdict } from "./rate.ts";

/** Facts about this program, for `/health` and the OpenAPI document. */
export type Facts = { readonly version: string };

export type FaceParts = {
  readonly invoker: Invoker;
  readonly stream: EventStream;
  readonly world: Pick<World, "clock" | "random">;
  readonly log: Log;
  readonly facts: Facts;
  /** Known once the port is. */
  readonly listener: () => Listener;
  /** Takes one request from the caller's share. */
  readonly limit: (caller: string) => Verdict;
  /** All viewers wait for the same beat between two frames. */
  readonly beat: () => Promise<void>;
  readonly newRequestId: () => string;
  readonly viewers: Viewers;
  /** Aborts when the face closes: waits and streams end. */
  readonly closing: AbortSignal;
};

/** Open streams of all kinds, counted, so that they can be refused past a bound. */
export type Viewers = { open: number };
export const VIEWERS_MAX = 2_000;

export const API = "/api/v2";
