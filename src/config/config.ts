// O1. The whole configuration, validated. Every field has a default: no file is needed.
import { z } from "zod";

const modelName = z.string().regex(/^[a-z0-9-]+\/.+$/, {
  error: "Write a model as provider/model, for example anthropic/claude-sonnet-4-5.",
});

const provider = z.strictObject({
  kind: z.enum(["anthropic", "openai", "openai-chat", "google", "openai-compatible"]),
  /** Default: the vendor's own address. */
  baseUrl: z.url().optional(),
  /** Name of the environment variable that holds the key. */
  keyEnv: z.string().optional(),
});

export const config = z.strictObject({
  /** Where state lives; `CADRE_HOME` wins. Relative to the folder of the file. */
  home: z.string().min(1).default(".cadre"),
  store: z
    .discriminatedUnion("engine", [
      z.strictObject({ engine: z.literal("sqlite") }),
      z.strictObject({
        engine: z.literal("postgres"),
        url: z.string().min(1),
        poolMax: z.int().min(1).max(200).default(10),
      }),
    ])
    .default({ engine: "sqlite" }),
  listen: z
    .strictObject({
      host: z.string().min(1).default("127.0.0.1"),
      port: z.int().min(0).max(65_535).default(4141),
      /** Needed, in so many words, to listen beyond loopback without TLS. */
      insecureRemote: z.boolean().default(false),
      tls: z.strictObject({ cert: z.string().min(1), key: z.string().min(1) }).optional(),
    })
    .prefault({}),
  agents: z
    .strictObject({
      /** Folder of agent files, relative to the configuration file. */
      folder: z.string().min(1).default("agents"),
      /** A ready team of the library, when there is no folder of one's own. */
      team: z.string().optional(),
      /** Inline definitions, checked like the files (A1). */
      list: z.array(z.record(z.string(), z.json())).default([]),
    })
    .prefault({}),
  models: z
    .strictObject({
      /** For agents that name none. Default: by which provider key is set. */
      default: modelName.optional(),
      providers: z
        .record(
          z.string().regex(/^[a-z0-9-]+$/, { error: "a provider's name has a-z, 0-9 and dash" }),
          provider,
        )
        .default({}),
      /** Folder of rehearsal scripts. Absent: `rehearsal/…` models are refused. */
      rehearsal: z.string().min(1).optional(),
      /** Silence of a model's stream after which the call has failed. */
      idleTimeoutMs: z.int().min(100).default(120_000),
      /** Own prices, by model name, in dollars for a million tokens. */
      prices: z
        .record(
          modelName,
          z.strictObject({
            input: z.number().min(0),
            output: z.number().min(0),
            cached: z.number().min(0).optional(),
          }),
        )
        .default({}),
    })
    .prefault({}),
  tools: z
    .strictObject({
      /** `none` accepts commands without walls; anything else is refused where no sandbox works. */
      sandbox: z.enum(["auto", "none"]).default("auto"),
      shellTimeoutMs: z.int().min(100).default(600_000),
    })
    .prefault({}),
  node: z
    .strictObject({
      /** Tasks worked on at once in this process. */
      slots: z.int().min(1).max(10_000).default(16),
      leaseMs: z.int().min(1_000).max(600_000).default(60_000),
    })
    .prefault({}),
});
export type Config = z.output<typeof config>;
