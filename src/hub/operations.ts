// What outsiders may ask of the hub itself.
import { z } from "zod";
import { type ContractOf, operation } from "../operations/index.ts";
import { journalHead } from "../platform/index.ts";

/** What the composition root knows and the store does not. */
export type SystemFacts = {
  readonly version: string;
  readonly engine: "sqlite" | "postgres";
  readonly startedAt: string;
  readonly home: string;
  /** Name of the sandbox backend in use, or `refused`. */
  readonly sandbox: string;
  readonly pid: number;
};

/** The operations of the hub, which say what this process is. */
export function systemOperations(facts: SystemFacts) {
  return [
    operation({
      name: "system.status",
      summary: "Say what this hub is and how it is.",
      effect: "read",
      permission: "read",
      http: "GET /system/status",
      input: z.strictObject({}),
      output: z.object({
        version: z.string(),
        engine: z.enum(["sqlite", "postgres"]),
        startedAt: z.iso.datetime(),
        home: z.string(),
        sandbox: z.string(),
        pid: z.int(),
        /** The newest event. */
        position: z.int(),
      }),
      refusals: [],
      command: null,
      async handle({ tx }) {
        return { ...facts, position: await journalHead(tx) };
      },
    }),
  ] as const;
}

export type SystemContract = ContractOf<ReturnType<typeof systemOperations>>;
