// A1. From what people write to definitions: Markdown files with front matter, the library's
// teams, and lists inside the configuration.
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import canonicalize from "canonicalize";
import { z } from "zod";
import {
  CadreError,
  type Json,
  messageOf,
  nearest,
  parseYaml,
  pathText,
  readYaml,
  schemaProblems,
  type YamlProblem,
  yamlError,
} from "../platform/index.ts";
import { type Agent, type AgentDefinition, agentDefinition } from "./agent.ts";

// ---- What may be written --------------------------------------------------------------------

const { prompt, tools, models, ...fields } = agentDefinition.shape;

const modelName = z.string().regex(/^(inherit|[a-z0-9-]+\/.+)$/, {
  error: "Write a model as provider/model, for example anthropic/claude-sonnet-4-5.",
});

const listInText = z.string().transform((text) => text.split(",").map((word) => word.trim()));

/** The fields of a definition, and the spellings people bring along from coding agents. */
const written = {
  ...fields,
  models,
  /** One model; `inherit` is the configured default. */
  model: modelName.optional(),
  /** A list, or text as in `Read, Grep`. */
  tools: z.union([z.array(z.string().min(1)).max(128), listInText]).optional(),
  /** Known from coding agents' files; Cadre draws no agent in a colour of its own. */
  color: z.string().optional(),
};

type Written = z.output<z.ZodObject<typeof written>>;

const oneSpelling = {
  check: (agent: Pick<Written, "model" | "models">) =>
    agent.model === undefined || agent.models.length === 0,
  says: { error: 'Write either "model" or "models", not both.', path: ["model"] },
};

const frontMatter = z.strictObject(written).refine(oneSpelling.check, oneSpelling.says);

const inlineAgent = z
  .strictObject({ ...written, prompt: prompt.default("") })
  .refine(oneSpelling.check, oneSpelling.says);

/** Names of tools as other coding agents' files have them. */
const TOOL_NAMES: { readonly [name: string]: string } = { bash: "shell" };

function definitionOf(agent: Written, text: string): AgentDefinition {
  const { model, color: _, tools: named, ...rest } = agent;
  const own = named?.map((name) => name.toLowerCase()).map((name) => TOOL_NAMES[name] ?? name);
  return {
    ...rest,
    models: model === undefined || model === "inherit" ? rest.models : [model],
    ...(own === undefined ? {} : { tools: [...new Set(own)].filter((name) => name !== "") }),
    prompt: text,
  };
}

/** A definition with its version: the hash of its canonical form, wherever it was written. */
export function agentOf(definition: AgentDefinition, source: string): Agent {
  const canonical = canonicalize(definition) ?? "";
  return { ...definition, version: createHash("sha256").update(canonical).digest("hex"), source };
}

// ---- One file -------------------------------------------------------------------------------

const FRONT_MATTER = /^\uFEFF?---[ \t]*\r?\n([\s\S]*?)(?:^|\n)---[ \t]*(?:\r?\n|$)/;

/**
 * Reads one agent file. Errors: `invalid_agent` with every problem as `file:line: sentence` and
 * the nearest valid name for an unknown field.
 */
export function parseAgentFile(text: string, source: string): Agent {
  const match = FRONT_MATTER.exec(text);
  if (match === null) {
    throw yamlError("invalid_agent", source, [
      {
        source,
        line: 1,
        message:
          'An agent file starts with a line "---", then fields as "name: coder", then "---", then the prompt.',
      },
    ]);
  }
  const options = { source, code: "invalid_agent", lineOffset: 1 } as const;
  const yaml = readableYaml(match[1] ?? "", options);
  const front = parseYaml(yaml, frontMatter, options);
  const body = text.slice(match[0].length).trim();
  if (!prompt.safeParse(body).success) {
    const line = match[0].split("\n").length;
    const message = `The prompt has ${body.length} characters; 200,000 are allowed.`;
    throw yamlError("invalid_agent", source, [{ source, line, message }]);
  }
  return agentOf(definitionOf(front, body), source);
}

/**
 * Descriptions are prose, and prose has colons: `description: Use when: tests fail` is no YAML,
 * yet it is what people's files say. Such a line is read as the text it is meant to be.
 */
function readableYaml(text: string, options: Parameters<typeof readYaml>[1]): string {
  try {
    readYaml(text, options);
    return text;
  } catch (error) {
    const prose = /^(name|description):[ \t]+(?!["'|>[{&*!])(.*\S)[ \t]*$/gm;
    const quoted = text.replace(prose, (_, field, value) => `${field}: ${JSON.stringify(value)}`);
    if (quoted === text) throw error;
    return quoted;
  }
}

// ---- Folders, teams, lists --------------------------------------------------------------------

/**
 * All agents of a folder's `.md` files, sorted by name; `README.md` is not one. Errors:
 * `not_found` without the folder, `invalid_agent` with the problems of all files.
 */
export async function loadAgents(folder: string): Promise<Agent[]> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    throw new CadreError(
      "not_found",
      `The folder of agents ${folder} can't be read: ${messageOf(error)}`,
      { next: ["cadre init"], cause: error },
    );
  }
  const files = names.filter((name) => /\.md$/i.test(name) && !/^readme\.md$/i.test(name)).sort();
  const agents: Agent[] = [];
  const problems: YamlProblem[] = [];
  for (const name of files) {
    const source = join(folder, name);
    try {
      agents.push(parseAgentFile(await readFile(source, "utf8"), source));
    } catch (error) {
      problems.push(...problemsOf(error, source));
    }
  }
  if (problems.length > 0) throw yamlError("invalid_agent", folder, problems);
  return distinct(agents);
}

function problemsOf(error: unknown, source: string): YamlProblem[] {
  if (error instanceof CadreError && error.code === "invalid_agent") {
    return error.details["problems"] as unknown as YamlProblem[];
  }
  return [{ source, message: messageOf(error) }];
}

/** Sorted by name. A name that stands twice is refused, naming both places. */
function distinct(agents: readonly Agent[]): Agent[] {
  const byName = new Map<string, Agent>();
  for (const agent of agents) {
    const other = byName.get(agent.name);
    if (other !== undefined) {
      throw new CadreError(
        "invalid_agent",
        `Two agents are called "${agent.name}": ${other.source} and ${agent.source}. Rename one of them.`,
        { details: { name: agent.name, sources: [other.source, agent.source] } },
      );
    }
    byName.set(agent.name, agent);
  }
  return [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** A ready team: `<library>/teams/<team>/*.md`. Errors: `not_found` with the nearest team. */
export async function loadTeam(libraryFolder: string, team: string): Promise<Agent[]> {
  const teams = await teamsOf(libraryFolder);
  if (teams.includes(team)) return await loadAgents(join(libraryFolder, "teams", team));
  const meant = nearest(team, teams);
  const hint = meant === undefined ? "" : ` Did you mean "${meant}"?`;
  throw new CadreError(
    "not_found",
    `The library has no team "${team}".${hint} It has: ${teams.join(", ") || "none"}.`,
    { details: { team, teams } },
  );
}

/** Names of the teams that ship, sorted. */
export async function teamsOf(libraryFolder: string): Promise<string[]> {
  const entries = await readdir(join(libraryFolder, "teams"), { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => basename(entry.name))
    .sort();
}

/** Agents written inside the configuration. Errors name the path, as `agents.list[0].name`. */
export function agentsOfList(
  list: readonly { readonly [field: string]: Json }[],
  source: string,
): Agent[] {
  const schema = z.strictObject({
    agents: z.strictObject({ list: z.array(inlineAgent).max(10_000) }),
  });
  const value = { agents: { list } };
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const problems = schemaProblems(schema, value, parsed.error.issues);
    throw yamlError(
      "invalid_agent",
      source,
      problems.map((problem) => ({
        source,
        path: pathText(problem.path),
        message: `${pathText(problem.path)}: ${problem.message}`,
      })),
    );
  }
  return parsed.data.agents.list.map(({ prompt: text, ...agent }, index) =>
    agentOf(definitionOf(agent, text), `${source}: agents.list[${index}]`),
  );
}

/** Who works when nobody is named: one agent that does everything itself. */
export function implicitAgent(): Agent {
  const definition = agentDefinition.parse({
    name: "main",
    description: "Does what is asked, alone.",
    prompt: [
      "You do the task you are given, alone, in the folder you are given.",
      "Look before you change anything: find the files that matter and read them.",
      "Make the smallest change that does what was asked, then check it by running what the project itself offers (tests, type check).",
      "End with a short summary: what you changed, how you checked it, what is left open.",
      "If the task can't be done, call give_up with the reason instead of claiming that it is done.",
    ].join("\n"),
  });
  return agentOf(definition, "built in");
}

export type TeamSources = {
  /** Absolute path of the folder of one's own agents; it need not exist. */
  readonly folder: string;
  /** Absolute path of the library that ships. */
  readonly libraryFolder: string;
  /** A ready team, taken when the folder has no agent. */
  readonly team?: string | undefined;
  readonly list: readonly { readonly [field: string]: Json }[];
  /** What errors in the list are told under: the configuration's file. */
  readonly listSource: string;
};

/** The whole team: the folder's agents (else the library's team) and the list; else `main` alone. */
export async function assembleTeam(sources: TeamSources): Promise<Agent[]> {
  const own = (await hasFolder(sources.folder)) ? await loadAgents(sources.folder) : [];
  const isReady = own.length === 0 && sources.team !== undefined;
  const ready = isReady ? await loadTeam(sources.libraryFolder, sources.team ?? "") : [];
  const team = [...own, ...ready, ...agentsOfList(sources.list, sources.listSource)];
  return team.length === 0 ? [implicitAgent()] : distinct(team);
}

async function hasFolder(folder: string): Promise<boolean> {
  try {
    await readdir(folder);
    return true;
  } catch (error) {
    // Anything but its absence (a file, no rights) is told by whoever reads it next.
    return (error as NodeJS.ErrnoException).code !== "ENOENT";
  }
}
