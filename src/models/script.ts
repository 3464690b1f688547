// A rehearsal's script: what a scripted model says, and when.
import { z } from "zod";
import { FAILURE_CLASSES } from "./classify.ts";

const PATTERN_CHARS_MAX = 500;

/** `^` and `$` match at lines; `.` stops at them. */
const pattern = z
  .string()
  .min(1)
  .max(PATTERN_CHARS_MAX)
  .transform((source, context) => {
    try {
      return new RegExp(source, "m");
    } catch (error) {
      context.issues.push({ code: "custom", message: (error as Error).message, input: source });
      return z.NEVER;
    }
  });

const turn = z
  .strictObject({
    /** All that is given must hold; without it the turn always answers. */
    when: z
      .strictObject({
        /** How many answers the conversation holds so far: 0 for the first. */
        step: z.int().min(0).optional(),
        /** Found in the first user message. */
        task: pattern.optional(),
        /** Found in the newest message: a user's text, or the newest tool results. */
        last: pattern.optional(),
        /** The newest message holds a result of this tool. */
        lastTool: z.string().min(1).optional(),
        /** Found anywhere in the conversation. */
        seen: pattern.optional(),
      })
      .prefault({}),
    say: z.string().max(1_000_000).optional(),
    calls: z
      .array(
        z.strictObject({
          tool: z.string().min(1),
          /** Text is passed on as it is, so that malformed arguments can be rehearsed. */
          arguments: z.union([z.record(z.string(), z.json()), z.string()]).default({}),
        }),
      )
      .max(100)
      .default([]),
    latencyMs: z.int().min(0).max(3_600_000).default(0),
    /** Fails instead of answering; with `times`, only that often, then the turn goes on. */
    fail: z
      .strictObject({
        class: z.enum(FAILURE_CLASSES),
        message: z.string().min(1).default("as the script says."),
        times: z.int().min(1).optional(),
      })
      .optional(),
    usage: z.strictObject({ tokensIn: z.int().min(0), tokensOut: z.int().min(0) }).optional(),
  })
  .refine((it) => it.say !== undefined || it.calls.length > 0 || it.fail !== undefined, {
    error: "A turn needs `say`, `calls` or `fail`.",
  });

export const script = z.strictObject({
  /** For people: which agent it was written for. */
  agent: z.string().optional(),
  turns: z.array(turn).min(1).max(1_000),
});
export type Script = z.output<typeof script>;
export type Turn = Script["turns"][number];
