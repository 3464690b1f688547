// Models as people ask for them: each agent's chain, and which of it may be asked now.
import type { Millis } from "../../../platform/index.ts";
import type { CadreContract } from "../../contract.ts";
import type { CommandSpec } from "../command.ts";
import { ellipsis, type Look, type MarkName, mark, paint } from "../look.ts";
import { printJson, printLines } from "../print.ts";
import { clean, cut, padEnd, widthOf } from "../text.ts";
import { nextLines } from "../views/lists.ts";
import { withHub } from "./hub.ts";

export const listModels: CommandSpec = {
  path: ["models", "list"],
  summary: "List each agent's chain of models, and which of them may be asked now.",
  args: [],
  options: [],
  examples: ["cadre models", "cadre models --json"],
  run: (context) =>
    withHub(context, async ({ client }) => {
      const known = await client.call("models.cooldowns", {});
      if (context.isJson) {
        printJson(context.terminal, known);
        return 0;
      }
      const { items } = await client.call("agents.list", {});
      const now = context.host.world.clock.now();
      const page = modelsPage(context.look, items, known, now).map((line) => line.trimEnd());
      printLines(context.terminal, [...page, ...hints(context.look, known, context.typed)]);
      return 0;
    }),
};

export const clearModel: CommandSpec = {
  path: ["models", "clear"],
  summary: "Let a model be asked again at once, after its key or its bill was mended.",
  args: [{ name: "model", isRequired: true }],
  options: [],
  examples: ["cadre models clear anthropic/claude-sonnet-4-5"],
  run: (context, parsed) =>
    withHub(context, async ({ client }) => {
      const output = await client.call("models.clear", { model: parsed.args["model"] ?? "" });
      if (context.isJson) printJson(context.terminal, output);
      else {
        const done = mark(context.look, "completed");
        printLines(context.terminal, [`${done} ${clean(output.model)} may be asked again.`]);
      }
      return 0;
    }),
};

type Known = CadreContract["models.cooldowns"]["output"];
type Cooldown = Known["cooldowns"][number];
type Agent = { readonly name: string; readonly models: readonly string[] };

/** Agents of one chain stand together: a team of fifty mostly shares a few. */
export function modelsPage(
  look: Look,
  agents: readonly Agent[],
  known: Known,
  now: Millis,
): string[] {
  if (agents.length === 0) return ["No agents. Write a team: cadre init"];
  const groups = new Map<string, { readonly names: string[]; readonly chain: readonly string[] }>();
  for (const { name, models } of agents) {
    const chain = models.length > 0 ? models : defaultChain(known);
    const group = groups.get(chain.join("\n")) ?? { names: [], chain };
    group.names.push(name);
    groups.set(chain.join("\n"), group);
  }
  const all = [...groups.values()].flatMap(({ chain }) => chain);
  const width = Math.min(Math.max(...all.map(widthOf), 0), Math.floor(look.columns / 2));
  return [...groups.values()].flatMap(({ names, chain }, index) => [
    ...(index === 0 ? [] : [""]),
    paint(look, "bold", cut(names.join(", "), look.columns, ellipsis(look))),
    ...(chain.length === 0
      ? [`  ${mark(look, "warning")} no model: set a provider's key, or models.default`]
      : chain.flatMap((model) => candidateLines(look, model, { known, now, width }))),
  ]);
}

const defaultChain = (known: Known): readonly string[] =>
  known.default === null ? [] : [known.default];

function candidateLines(
  look: Look,
  model: string,
  facts: { readonly known: Known; readonly now: Millis; readonly width: number },
): string[] {
  const { known, now, width } = facts;
  const cooldown = known.cooldowns.find((one) => one.model === model);
  const { name, says } = stateOf(look, model, known, cooldown, now);
  const shown = padEnd(cut(clean(model), width, ellipsis(look)), width);
  const line = `  ${mark(look, name)} ${shown}  ${says}`;
  if (cooldown === undefined) return [line];
  const words = cut(clean(cooldown.message), look.columns - 4, ellipsis(look));
  return [line, `    ${paint(look, "dim", words)}`];
}

type State = { readonly name: MarkName; readonly says: string };

function stateOf(
  look: Look,
  model: string,
  { providers }: Known,
  cooldown: Cooldown | undefined,
  now: Millis,
): State {
  const provider = model.split("/", 1)[0] ?? model;
  if (provider === "rehearsal") return { name: "completed", says: "a script; no model is called" };
  const found = providers.find(({ name }) => name === provider);
  if (found === undefined) return { name: "failed", says: "there is no provider of this name" };
  if (found.missingKey !== null) {
    return { name: "failed", says: `no key: ${found.missingKey} is not set` };
  }
  if (cooldown === undefined) return { name: "completed", says: "ready" };
  const why = WHY[cooldown.class];
  if (!cooldown.isCooling) return { name: "warning", says: `to be asked again after: ${why}` };
  return { name: "waiting", says: `cools down ${restText(look, cooldown, now)}, ${why}` };
}

const HOUR_MS: Millis = 3_600_000;

/** `0:41`, and from an hour on `until 14:05:10`. */
function restText(look: Look, { until }: Cooldown, now: Millis): string {
  const leftMs = Math.max(0, Date.parse(until) - now);
  if (leftMs >= HOUR_MS) return `until ${look.timeOfDay(Date.parse(until))}`;
  const seconds = Math.ceil(leftMs / 1_000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

const WHY: { readonly [C in Cooldown["class"]]: string } = {
  rate_limited: "rate limited",
  overloaded: "overloaded",
  timeout: "timed out",
  network: "not reached",
  server: "server error",
  protocol: "garbled answer",
  auth: "key refused",
  billing: "not paid",
  context_overflow: "conversation too long",
  bad_request: "request refused",
  content_filter: "content filter",
  unknown: "unknown error",
};

/** What a person has to mend does not pass by itself. */
function hints(look: Look, { cooldowns }: Known, typed: (command: string) => string): string[] {
  const waiting = cooldowns.filter(({ track, isCooling }) => track === "billing" && isCooling);
  return nextLines(
    look,
    waiting.map(({ model }) => [typed(`cadre models clear ${model}`), "once it is mended"]),
  );
}
