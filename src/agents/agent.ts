// A1. What an agent is: a definition with a name, what it can do, and its bounds.
import { z } from "zod";

export const agentName = z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/, {
  error: "An agent's name has 1 to 64 of a-z, 0-9 and dash, starting with a letter or digit.",
});

export const agentDefinition = z.strictObject({
  name: agentName,
  /** When to give this agent work: what a planner reads. */
  description: z.string().trim().min(1).max(1_024),
  /** Its group: development, quality, security, ... */
  type: z.string().max(64).default("general"),
  capabilities: z
    .array(z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/))
    .max(64)
    .default([]),
  /** What part it plays: `planner` plans objectives and may delegate. */
  roles: z.array(z.enum(["planner", "worker", "reviewer"])).default(["worker"]),
  /** In order of preference. Empty: the configured default model. */
  models: z
    .array(z.string().regex(/^[a-z0-9-]+\/.+$/, { error: "Write a model as provider/model." }))
    .max(16)
    .default([]),
  /** Names of tools; absent: all built-in ones. */
  tools: z.array(z.string()).max(128).optional(),
  /** How many tasks it works on at once, on one node. */
  instancesMax: z.int().min(1).max(1_000).default(4),
  limits: z
    .strictObject({
      stepsMax: z.int().min(1).max(10_000).default(100),
      outputTokensMax: z.int().min(1).max(1_000_000).default(16_384),
      wallMs: z.int().min(1_000).default(3_600_000),
    })
    .prefault({}),
  /** The text below the front matter: who it is and how it works. */
  prompt: z.string().max(200_000),
});
export type AgentDefinition = z.output<typeof agentDefinition>;

/** A definition with where it came from, and a hash of all it says: what a run is pinned to. */
export type Agent = AgentDefinition & { readonly version: string; readonly source: string };
