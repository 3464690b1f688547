// What outsiders may ask of the team.
import { z } from "zod";
import { type ContractOf, operation } from "../operations/index.ts";
import { CadreError, nearest } from "../platform/index.ts";
import { type Agent, agentDefinition } from "./agent.ts";
import {
  type KnownAgent,
  readAgent,
  readAgents,
  readKnown,
  removeAgent,
  writeAgent,
} from "./store.ts";

export const agentView = agentDefinition.extend({
  /** Hash of all the definition says. */
  version: z.string(),
  /** File, or `built in`. */
  source: z.string(),
});

export const listAgents = operation({
  name: "agents.list",
  summary: "List the agents of the team and what each can do.",
  effect: "read",
  permission: "read",
  http: "GET /agents",
  input: z.strictObject({}),
  output: z.object({ items: z.array(agentView) }),
  refusals: [],
  async handle({ tx }) {
    return { items: await readAgents(tx) };
  },
});

export const getAgent = operation({
  name: "agents.get",
  summary: "Show one agent.",
  effect: "read",
  permission: "read",
  http: "GET /agents/:name",
  input: z.strictObject({ name: z.string() }),
  output: agentView,
  refusals: ["not_found"],
  command: { args: ["name"] },
  async handle({ tx }, { name }) {
    const agent = await readAgent(tx, name);
    if (agent !== undefined) return agent;
    const names = (await readKnown(tx)).map((known) => known.name);
    const meant = nearest(name, names);
    const others = names.filter((other) => other !== meant).slice(0, 20);
    throw new CadreError(
      "not_found",
      `There is no agent "${name}".${meant === undefined ? "" : ` Nearest: ${meant}.`} ${meant === undefined ? "Agents" : "Others"}: ${others.join(", ") || "none"}.`,
      { next: [meant === undefined ? "cadre agents" : `cadre agents show ${meant}`] },
    );
  },
});

export const syncAgents = operation({
  name: "agents.sync",
  summary: "Make these definitions the whole team.",
  effect: "write",
  permission: "administer",
  http: "PUT /agents",
  input: z.strictObject({
    agents: z
      .array(agentView)
      .max(10_000)
      .refine((agents) => new Set(agents.map(({ name }) => name)).size === agents.length, {
        error: "Each agent's name may stand in the team once.",
      }),
  }),
  output: z.object({
    added: z.array(z.string()),
    changed: z.array(z.string()),
    removed: z.array(z.string()),
  }),
  refusals: [],
  command: null,
  inputBytesMax: 16 * 1024 * 1024,
  async handle({ tx, now, emit }, { agents }) {
    const sync = planSync(await readKnown(tx), agents);
    for (const agent of sync.write) await writeAgent(tx, agent, now);
    for (const name of sync.removed) await removeAgent(tx, name);
    const versions = new Map(agents.map(({ name, version }) => [name, version]));
    const tell = (type: string, names: readonly string[]) => {
      for (const name of names) {
        const version = versions.get(name);
        emit({ type, data: { name, ...(version === undefined ? {} : { version }) } });
      }
    };
    tell("agent.added", sync.added);
    tell("agent.changed", sync.changed);
    tell("agent.removed", sync.removed);
    return { added: sync.added, changed: sync.changed, removed: sync.removed };
  },
});

type Sync = {
  readonly write: readonly Agent[];
  readonly added: string[];
  readonly changed: string[];
  readonly removed: string[];
};

/** What makes the known team the wanted one. A file that only moved is written, but no news. */
export function planSync(known: readonly KnownAgent[], wanted: readonly Agent[]): Sync {
  const before = new Map(known.map((agent) => [agent.name, agent]));
  const names = new Set(wanted.map(({ name }) => name));
  const isOther = (agent: Agent) => before.get(agent.name)?.version !== agent.version;
  return {
    write: wanted.filter((a) => isOther(a) || before.get(a.name)?.source !== a.source),
    added: wanted.filter((a) => !before.has(a.name)).map((a) => a.name),
    changed: wanted.filter((a) => before.has(a.name) && isOther(a)).map((a) => a.name),
    removed: known.filter((a) => !names.has(a.name)).map((a) => a.name),
  };
}

export const agentOperations = [listAgents, getAgent, syncAgents] as const;
export type AgentContract = ContractOf<typeof agentOperations>;
