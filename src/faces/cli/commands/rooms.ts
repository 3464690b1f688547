// The projected commands of each room, with the views made by hand for the common ones.
import type { Operation } from "../../../operations/index.ts";
import type { CadreContract } from "../../contract.ts";
import { type CommandContext, type CommandSpec, kebab, type Parsed } from "../command.ts";
import type { CadreClient, Hub } from "../host.ts";
import { lackText, mark, shortId } from "../look.ts";
import { note, printJson, printLines } from "../print.ts";
import { commandPath, fieldsOf, inputOf, isRequired, optionOf } from "../projection.ts";
import { clean } from "../text.ts";
import {
  agentPage,
  agentTable,
  countsLine,
  historyPage,
  plainPage,
  runTable,
  taskPage,
  taskTable,
  whyPage,
} from "../views/lists.ts";
import { wholeRunId, wholeTaskId, withHub } from "./hub.ts";
import { watchList } from "./live-list.ts";

type Name = keyof CadreContract & string;
type Input = Readonly<Record<string, unknown>>;

/** Shows an operation's output to a person, better than field by field. */
type Shower<O> = (
  context: CommandContext,
  client: CadreClient,
  output: O,
  input: Input,
) => Promise<readonly string[]> | readonly string[];

const now = (context: CommandContext): number => context.host.world.clock.now();

/** What became of a command that reached a whole subtree. */
const reached =
  (verb: string): Shower<CadreContract["tasks.pause"]["output"]> =>
  ({ look }, _, { task, reached: count }) => {
    const more = count > 1 ? ` and ${count - 1} more` : "";
    return [`${mark(look, "completed")} ${shortId(task.id)} ${clean(task.title)}: ${verb}${more}.`];
  };

const SHOWERS: { readonly [N in Name]?: Shower<CadreContract[N]["output"]> } = {
  "tasks.list": async (context, client, { items, next }, input) => {
    const counts = await client.call("tasks.counts", {});
    if (items.length === 0) {
      if (Object.keys(input).some((field) => field !== "open")) return ["No tasks match."];
      const which = input["open"] === true ? "No open tasks (ended ones: --all)." : "No tasks.";
      const { endedToday } = counts;
      const today = Object.values(endedToday).some((count) => (count ?? 0) > 0);
      const how = `${which} Start some: ${context.typed('cadre run "OBJECTIVE"')}`;
      return [how, ...(today ? ["", countsLine(counts)] : [])];
    }
    const more = next === null ? [] : [`More: --cursor ${next}`];
    return [...taskTable(context.look, items, now(context)), "", countsLine(counts), ...more];
  },
  "tasks.get": (context, _, task) => taskPage(context.look, task, now(context)),
  // The id alone is the answer, to be caught by a script.
  "tasks.submit": (context, _, task) => {
    const { look } = context;
    const lack = task.unroutable;
    if (lack !== undefined) note(context, `${mark(look, "warning")} It waits: ${lackText(lack)}.`);
    return [task.id];
  },
  "tasks.submitGraph": (_, __, { tasks }) => tasks.map(({ key, id }) => `${id}  ${key}`),
  "tasks.update": (context, _, task) => taskPage(context.look, task, now(context)),
  "tasks.assign": ({ look }, _, task) => [
    `${mark(look, "completed")} ${shortId(task.id)} ${clean(task.title)}: for ${task.agent ?? "any agent"}.`,
  ],
  "tasks.why": async (context, client, why, input) => {
    const task = await client.call("tasks.get", { id: input["id"] as `task_${string}` });
    return whyPage(context.look, task, { ...why, next: why.next.map(context.typed) });
  },
  "tasks.history": (context, _, history) => historyPage(context.look, history),
  "tasks.pause": reached("held"),
  "tasks.resume": reached("goes on"),
  "tasks.cancel": reached("cancelled"),
  "tasks.retry": reached("queued again"),
  "runs.list": (context, _, { items, next }) => {
    if (items.length === 0) return ['No runs. Start some: cadre run "OBJECTIVE"'];
    return [
      ...runTable(context.look, items, now(context)),
      ...(next === null ? [] : ["", `More: --cursor ${next}`]),
    ];
  },
  "agents.list": (context, _, { items }) =>
    items.length === 0 ? ["No agents. Write a team: cadre init"] : agentTable(context.look, items),
  "agents.get": (context, _, agent) => agentPage(context.look, agent),
};

/** Only open tasks, unless something else was asked for: what ended is history. */
function withDefaults(
  operation: Operation,
  input: Record<string, unknown>,
  parsed: Parsed,
): Record<string, unknown> {
  if (operation.name !== "tasks.list" || parsed.switches.has("all")) return input;
  const asked = ["state", "root", "parent", "label", "open"].some((field) => field in input);
  return asked ? input : { ...input, open: true };
}

/** Ids given in short are made whole before the hub sees them. */
async function withWholeIds(
  operation: Operation,
  input: Record<string, unknown>,
  client: CadreClient,
): Promise<Record<string, unknown>> {
  const whole = { ...input };
  for (const [name, field] of Object.entries(fieldsOf(operation))) {
    const value = whole[name];
    if (typeof value === "string" && field.pattern?.startsWith("^task_") === true) {
      whole[name] = await wholeTaskId(client, value);
    }
    if (typeof value === "string" && field.pattern?.startsWith("^run_") === true) {
      whole[name] = await wholeRunId(client, value);
    }
    if (operation.name === "tasks.submit" && name === "after" && Array.isArray(value)) {
      whole[name] = await Promise.all(value.map((id) => wholeTaskId(client, String(id))));
    }
  }
  return whole;
}

const LIST_OPTIONS = [
  { name: "all", summary: "ended ones too" },
  { name: "watch", summary: "redraw the list as it changes; q leaves" },
] as const;

/** One operation as a command. */
export function projected(operation: Operation): CommandSpec {
  const hints = operation.command ?? {};
  const args = hints.args ?? [];
  const fields = Object.entries(fieldsOf(operation)).filter(([name]) => !args.includes(name));
  const extra = operation.name === "tasks.list" ? LIST_OPTIONS : [];
  return {
    path: commandPath(operation),
    summary: operation.summary,
    args: args.map((name) => ({ name: kebab(name), isRequired: isRequired(operation, name) })),
    options: [...extra, ...fields.map(([name, field]) => optionOf(name, field))],
    examples: hints.examples ?? [],
    run: (context, parsed) => withHub(context, (hub) => call(operation, context, parsed, hub)),
  };
}

async function call(
  operation: Operation,
  context: CommandContext,
  parsed: Parsed,
  hub: Hub,
): Promise<number> {
  const { client } = hub;
  const written = withDefaults(operation, inputOf(operation, parsed), parsed);
  const input = await withWholeIds(operation, written, client);
  if (parsed.switches.has("watch")) return await watchList(context, hub, input);
  const name = operation.name as Name;
  // The hub parses it: a projected command knows the schema, not the type.
  const output = await client.call(name, input as never);
  if (context.isJson) {
    printJson(context.terminal, output);
    return 0;
  }
  // The contract ties each name to its output; the table is keyed by the same names.
  const shower = SHOWERS[name] as Shower<unknown> | undefined;
  const lines = shower?.(context, client, output, input) ?? plainPage(context.look, output);
  printLines(context.terminal, await lines);
  if (operation.effect === "write" && hub.kind === "store") {
    note(context, `Nothing moves until a hub runs: ${context.typed("cadre up")}`);
  }
  return 0;
}
