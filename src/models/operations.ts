// What outsiders may ask of the models: who cools down, and how a call went.
import { z } from "zod";
import { type ContractOf, operation } from "../operations/index.ts";
import { CadreError, iso, type Millis, type World } from "../platform/index.ts";
import { cooldownAfter, isCooling, NO_COOLDOWN, trackOf } from "./chain.ts";
import { FAILURE_CLASSES } from "./classify.ts";
import { defaultModel, type ModelsConfig } from "./names.ts";
import { keysOf } from "./ready.ts";
import {
  clearCooldown,
  type Failed,
  lockModel,
  readFailed,
  readModel,
  writeCooldown,
} from "./store.ts";

const MESSAGE_CHARS_MAX = 1_000;

const modelName = z
  .string()
  .max(300)
  .regex(/^[^/\s]+\/\S+$/, { error: "Write a model as provider/model." });

const cooldownView = z.object({
  model: z.string(),
  class: z.enum(FAILURE_CLASSES),
  /** traffic passes by itself; billing, a bill or a key, waits for a person. */
  track: z.enum(["traffic", "billing"]),
  /** Failures in a row, without those that came while it was cooling. */
  failures: z.int(),
  since: z.iso.datetime(),
  until: z.iso.datetime(),
  /** False when the time is over: it is asked again, and only an answer takes it off this list. */
  isCooling: z.boolean(),
  /** What the provider said last. */
  message: z.string(),
});
export type CooldownView = z.output<typeof cooldownView>;

const viewOf = ({ model, cooldown, message }: Failed, now: Millis): CooldownView => ({
  model,
  class: cooldown.class,
  track: cooldown.track,
  failures: cooldown.failures,
  since: iso(cooldown.since),
  until: iso(cooldown.until),
  isCooling: isCooling(cooldown, now),
  message,
});

const settleModel = operation({
  name: "models.settle",
  summary: "Say how a call of a model went, so that all runs know.",
  effect: "write",
  permission: "work",
  http: "POST /models/settle",
  input: z.strictObject({
    model: modelName,
    outcome: z.discriminatedUnion("kind", [
      z.strictObject({ kind: z.literal("ok") }),
      z.strictObject({
        kind: z.literal("failed"),
        class: z.enum(FAILURE_CLASSES),
        message: z.string().transform((text) => text.slice(0, MESSAGE_CHARS_MAX)),
        retryAfterMs: z.int().nonnegative().optional(),
      }),
    ]),
  }),
  output: z.object({ cooldown: cooldownView.nullable() }),
  refusals: [],
  command: null,
  async handle({ tx, now, emit }, { model, outcome }) {
    if (outcome.kind === "ok") {
      const wasKnown = await clearCooldown(tx, model);
      if (wasKnown) emit({ type: "model.recovered", data: { model } });
      return { cooldown: null };
    }
    if (trackOf(outcome.class) === undefined) {
      const known = await readModel(tx, model);
      return { cooldown: known === undefined ? null : viewOf(known, now) };
    }
    const known = await lockModel(tx, model, now);
    const cooldown = cooldownAfter(known?.cooldown ?? NO_COOLDOWN, outcome, now);
    if (cooldown.kind === "none" || (known !== undefined && cooldown === known.cooldown)) {
      return { cooldown: known === undefined ? null : viewOf(known, now) };
    }
    const { message } = outcome;
    await writeCooldown(tx, { model, cooldown, message });
    const view = viewOf({ model, cooldown, message }, now);
    emit({
      type: "model.cooled",
      data: { model, class: view.class, until: view.until, failures: view.failures, message },
    });
    return { cooldown: view };
  },
});

const clearModel = operation({
  name: "models.clear",
  summary: "Let a model be asked again at once, after its key or its bill was mended.",
  effect: "write",
  permission: "operate",
  http: "POST /models/clear",
  input: z.strictObject({ model: modelName }),
  output: z.object({ model: z.string() }),
  refusals: ["not_found"],
  // The command line has its own, which needs no list of all operations.
  command: null,
  async handle({ tx, emit }, { model }) {
    if (await clearCooldown(tx, model)) {
      emit({ type: "model.recovered", data: { model } });
      return { model };
    }
    throw new CadreError("not_found", `${model} does not cool down: it may be asked.`, {
      next: ["cadre models"],
    });
  },
});

/** What the program's configuration and environment say of models, and the store does not. */
export type ModelFacts = {
  readonly config: Pick<ModelsConfig, "providers"> & { readonly default?: string | undefined };
  readonly env: World["env"];
};

/** The operations of models; what is said of keys is as this hub has them. */
export function modelOperations({ config, env }: ModelFacts) {
  return [
    operation({
      name: "models.cooldowns",
      summary:
        "List the models that failed and have not answered since, and until when each rests.",
      effect: "read",
      permission: "read",
      http: "GET /models",
      input: z.strictObject({}),
      output: z.object({
        cooldowns: z.array(cooldownView),
        /** For agents that name no model; null when no key is set either. */
        default: z.string().nullable(),
        /** Providers that are known here, and the variable that would open each that is closed. */
        providers: z.array(z.object({ name: z.string(), missingKey: z.string().nullable() })),
      }),
      refusals: [],
      command: null,
      async handle({ tx, now }) {
        return {
          cooldowns: (await readFailed(tx)).map((failed) => viewOf(failed, now)),
          default: config.default ?? defaultModel(env) ?? null,
          providers: keysOf(config.providers, env),
        };
      },
    }),
    settleModel,
    clearModel,
  ] as const;
}

export type ModelContract = ContractOf<ReturnType<typeof modelOperations>>;
