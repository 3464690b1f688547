// What an operation is: one capability, declared once. REST, the typed client, the command line
// and the OpenAPI document are all projected from this declaration.
import type { z } from "zod";
import type { ErrorCode, Json, Millis, NewEvent, NewId, Tx } from "../platform/index.ts";
import type { Permission, Principal } from "./principal.ts";

export type Context = {
  readonly tx: Tx;
  readonly now: Millis;
  readonly principal: Principal;
  readonly newId: NewId;
  /** Chance from the world, for jitter. */
  random(): number;
  /** Tells the journal, in this transaction; wakes whoever waits for the type after commit. */
  emit(event: NewEvent): void;
};

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** What the authorizer sees of the thing acted on. */
export type Resource = {
  readonly kind: string;
  readonly id?: string;
  readonly [attribute: string]: Json | undefined;
};

/** Hints for the projected command: everything else follows from the schema. */
export type CommandHints = {
  /** Input fields given by position, in order: `cadre tasks why ID`. */
  readonly args?: readonly string[];
  readonly examples?: readonly string[];
};

export type Operation<
  N extends string = string,
  I extends z.ZodType = z.ZodType,
  O extends z.ZodType = z.ZodType,
> = {
  /** `room.verb`, in camel case. */
  readonly name: N;
  /** One sentence, with a full stop. */
  readonly summary: string;
  readonly effect: "read" | "write";
  readonly permission: Permission;
  /** Route under `/api/v2`; `:id` segments are fields of the input. */
  readonly http: `${Method} /${string}`;
  readonly input: I;
  readonly output: O;
  /** The codes a caller must expect beyond those of the pipeline itself. */
  readonly refusals: readonly ErrorCode[];
  /** Null: for programs only (workers), no command is projected. */
  readonly command?: CommandHints | null;
  /** Largest input in bytes of JSON, when it differs from `INPUT_BYTES_MAX`. */
  readonly inputBytesMax?: number;
  /** What is acted on, for the authorizer. */
  resource?(input: z.output<I>): Resource;
  /** One short transaction: nothing but `tx` is awaited. */
  handle(context: Context, input: z.output<I>): Promise<z.input<O>>;
};

/** T1: inputs past this are refused; larger things go by artifact. */
export const INPUT_BYTES_MAX = 1024 * 1024;

export function operation<const N extends string, I extends z.ZodType, O extends z.ZodType>(
  spec: Operation<N, I, O>,
): Operation<N, I, O> {
  return spec;
}

/** The types of a list of operations, by name: what a client is typed from. */
export type ContractOf<Operations extends readonly Operation[]> = {
  readonly [Op in Operations[number] as Op["name"]]: {
    readonly input: z.input<Op["input"]>;
    readonly output: z.output<Op["output"]>;
  };
};
