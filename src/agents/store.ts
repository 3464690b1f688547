// The team as rows: one for each agent, its whole definition as JSON.
import type { Migration, Millis, Tx } from "../platform/index.ts";
import { type Agent, agentDefinition } from "./agent.ts";

const table = (integer: string) => `CREATE TABLE agents (
  name TEXT PRIMARY KEY, version TEXT NOT NULL, source TEXT NOT NULL,
  definition TEXT NOT NULL, changed_at ${integer} NOT NULL
)`;

export const agentMigrations: readonly Migration[] = [
  { id: "0004-agents", up: { sqlite: [table("INTEGER")], postgres: [table("BIGINT")] } },
];

type AgentRow = { readonly [column: string]: unknown };

function agentOfRow(row: AgentRow): Agent {
  return {
    ...agentDefinition.parse(JSON.parse(String(row["definition"]))),
    version: String(row["version"]),
    source: String(row["source"]),
  };
}

/** Sorted by name. */
export async function readAgents(tx: Tx): Promise<Agent[]> {
  return (await tx.all("SELECT * FROM agents ORDER BY name")).map(agentOfRow);
}

export async function readAgent(tx: Tx, name: string): Promise<Agent | undefined> {
  const row = await tx.get("SELECT * FROM agents WHERE name = ?", name);
  return row === undefined ? undefined : agentOfRow(row);
}

export type KnownAgent = {
  readonly name: string;
  readonly version: string;
  readonly source: string;
};

/** Names, versions and sources, without the definitions. */
export async function readKnown(tx: Tx): Promise<KnownAgent[]> {
  const rows = await tx.all("SELECT name, version, source FROM agents ORDER BY name");
  return rows.map((row) => ({
    name: String(row["name"]),
    version: String(row["version"]),
    source: String(row["source"]),
  }));
}

export async function writeAgent(tx: Tx, agent: Agent, at: Millis): Promise<void> {
  const { version, source, ...definition } = agent;
  await tx.run(
    `INSERT INTO agents (name, version, source, definition, changed_at) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (name) DO UPDATE SET version = excluded.version, source = excluded.source,
       definition = excluded.definition, changed_at = excluded.changed_at`,
    agent.name,
    version,
    source,
    JSON.stringify(definition),
    at,
  );
}

export async function removeAgent(tx: Tx, name: string): Promise<void> {
  await tx.run("DELETE FROM agents WHERE name = ?", name);
}
