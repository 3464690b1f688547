// Lists of tasks, runs, agents and events, and one thing in full.
import type { EventView } from "../../../operations/index.ts";
import type { Json, Millis } from "../../../platform/index.ts";
import type { RunView, TaskView } from "../../../tasks/index.ts";
import type { CadreContract } from "../../contract.ts";
import {
  age,
  amount,
  counted,
  ellipsis,
  type Look,
  lackText,
  mark,
  markOfTask,
  money,
  paint,
  shortId,
  span,
} from "../look.ts";
import { clean, cleanLines, cut, padEnd, padStart, reflow, widthOf, wrap } from "../text.ts";

const ID_WIDTH = 11;
const STATE_WIDTH = 9;
const AGENT_WIDTH = 12;

const msBetween = (from: string, to: Millis): Millis => to - Date.parse(from);

const head = (look: Look, line: string): string => paint(look, "dim", line.trimEnd());

// ---- Tasks --------------------------------------------------------------------------------

/** `state id title agent age`; the order is the hub's own. */
export function taskTable(look: Look, tasks: readonly TaskView[], now: Millis): string[] {
  const fixed = 4 + STATE_WIDTH + 2 + ID_WIDTH + 2 + 2 + AGENT_WIDTH + 2 + 4;
  const titleWidth = look.columns - fixed;
  const line = (...cells: readonly [string, string, string, string, string]): string =>
    [
      padEnd(cells[0], STATE_WIDTH),
      padEnd(cells[1], ID_WIDTH),
      padEnd(cells[2], titleWidth),
      padEnd(cells[3], AGENT_WIDTH),
      padStart(cells[4], 4),
    ]
      .join("  ")
      .trimEnd();
  return [
    head(look, `    ${line("STATE", "ID", "TITLE", "AGENT", "AGE")}`),
    ...tasks.map((task) => {
      const name = markOfTask(task);
      const title = cut(clean(task.title), titleWidth, ellipsis(look));
      const agent = cut(clean(task.lease?.agent ?? task.agent ?? ""), AGENT_WIDTH, ellipsis(look));
      const since = task.endedAt ?? task.startedAt ?? task.createdAt;
      const cells = line(name, shortId(task.id), title, agent, age(msBetween(since, now)));
      return `  ${mark(look, name)} ${cells}`;
    }),
  ];
}

type Counts = CadreContract["tasks.counts"]["output"];

/** `11 open, 3 done today.` */
export function countsLine(counts: Counts): string {
  const sum = (numbers: Counts["open"]) =>
    Object.values(numbers).reduce((all, one) => all + (one ?? 0), 0);
  const ended = counts.endedToday;
  const failed =
    ended.failed === undefined || ended.failed === 0 ? "" : `, ${ended.failed} failed today`;
  return `${sum(counts.open)} open, ${ended.completed ?? 0} done today${failed}.`;
}

type Fact = readonly [string, string | undefined];

/** `Name   value` rows; long values go on below, set in. */
export function factLines(look: Look, facts: readonly Fact[]): string[] {
  const present = facts.filter((fact): fact is readonly [string, string] => (fact[1] ?? "") !== "");
  const width = Math.max(...present.map(([name]) => widthOf(name)), 0) + 2;
  return present.flatMap(([name, value]) =>
    wrap(cleanLines(value), look.columns - width - 2).map((line, i) =>
      `  ${padEnd(i === 0 ? name : "", width)}${line}`.trimEnd(),
    ),
  );
}

export function taskPage(look: Look, task: TaskView, now: Millis): string[] {
  const name = markOfTask(task);
  const took =
    task.startedAt === undefined
      ? undefined
      : span(msBetween(task.startedAt, Date.parse(task.endedAt ?? "") || now));
  const title = cut(clean(task.title), look.columns - 2 - task.id.length - 2, ellipsis(look));
  return [
    `${mark(look, name)} ${padEnd(title, look.columns - 2 - task.id.length)}${task.id}`,
    "",
    ...factLines(look, [
      [
        "State",
        [
          task.state,
          ...(task.paused ? ["paused"] : []),
          ...(task.degraded ? ["degraded"] : []),
        ].join(", "),
      ],
      ["Agent", task.lease?.agent ?? task.agent],
      [
        "Held by",
        task.lease === undefined ? undefined : `${task.lease.node}, until ${task.lease.expiresAt}`,
      ],
      ["Needs", task.capabilities.join(", ")],
      ["Waits", task.unroutable === undefined ? undefined : lackText(task.unroutable)],
      ["After", task.after.map(shortId).join(", ")],
      ["Parent", task.parent === undefined ? undefined : shortId(task.parent)],
      ["Root", task.root === task.id ? undefined : shortId(task.root)],
      ["Attempts", `${task.attempts} of ${task.attemptsMax}`],
      ["Progress", progressOf(task)],
      ["Took", took],
      ["Usage", usageLine(task.usage)],
      ["Change", changeLine(task)],
      ["Created", task.createdAt],
      ["Deadline", task.deadline],
      ["Why", task.reason],
      [
        "Failure",
        task.failure === undefined ? undefined : `${task.failure.code}: ${task.failure.message}`,
      ],
    ]),
    ...section(look, "Instructions", task.instructions),
    ...section(look, "Result", task.result?.text ?? ""),
    ...(task.notices.length > 0
      ? ["", ...task.notices.map((notice) => `  ${mark(look, "warning")} ${clean(notice)}`)]
      : []),
  ];
}

function progressOf(task: TaskView): string | undefined {
  if (task.progress === undefined) return task.note;
  return [
    `${Math.round(task.progress * 100)} %`,
    ...(task.note === undefined ? [] : [task.note]),
  ].join(", ");
}

export function usageLine(usage: TaskView["usage"]): string {
  if (usage.modelCalls === 0) return "";
  const calls = `${counted(usage.modelCalls, "model call")}, ${counted(usage.toolCalls, "tool call")}`;
  const tokens = `${amount(usage.tokensIn)} tokens in, ${amount(usage.tokensOut)} out`;
  const what = usage.rehearsed ? " (rehearsal: no model was called)" : "";
  return `${calls}, ${tokens}, ${money(usage.costUsd)}${what}`;
}

function changeLine(task: TaskView): string | undefined {
  const change = task.result?.change;
  if (change === undefined) return undefined;
  return `${change.branch}: ${counted(change.files, "file")}, +${change.insertions} -${change.deletions}`;
}

function section(look: Look, title: string, text: string): string[] {
  if (text.trim() === "") return [];
  const lines = reflow(cleanLines(text).trim(), look.columns - 4);
  return ["", paint(look, "bold", title), ...lines.map((line) => `  ${line}`.trimEnd())];
}

type Why = CadreContract["tasks.why"]["output"];

export function whyPage(look: Look, task: TaskView, why: Why): string[] {
  const lines = [...wrap(clean(why.sentence), look.columns)];
  if (why.waitsFor.length > 0) {
    lines.push("", `  ${mark(look, markOfTask(task))} ${treeLine(look, task.id, task.title, 4)}`);
    for (const [i, other] of why.waitsFor.entries()) {
      const isLast = i === why.waitsFor.length - 1;
      const [last, more] = look.ascii ? ["`-", "|-"] : ["└─", "├─"];
      lines.push(
        `  ${isLast ? last : more} ${mark(look, other.state)} ${treeLine(look, other.id, other.title, 7)}`,
      );
    }
  }
  return [
    ...lines,
    ...nextLines(
      look,
      why.next.map((command) => [command, ""]),
    ),
  ];
}

const treeLine = (look: Look, id: string, title: string, used: number): string =>
  `${padEnd(shortId(id), ID_WIDTH)}  ${cut(clean(title), look.columns - used - ID_WIDTH - 2, ellipsis(look))}`;

/** The block that ends a page: what can be done now. A command is never cut, its remark may go. */
export function nextLines(look: Look, steps: readonly (readonly [string, string])[]): string[] {
  if (steps.length === 0) return [];
  const widths = steps.map(([command, says]) => (says === "" ? 0 : widthOf(command)));
  const width = Math.max(...widths);
  return [
    "",
    ...steps.map(([command, says], i) => {
      const line = `${i === 0 ? "Next  " : "      "}${command}`;
      const full = `${padEnd(line, width + 8)}${says}`;
      return says === "" || widthOf(full) > look.columns ? line : full;
    }),
  ];
}

type History = CadreContract["tasks.history"]["output"];

export function historyPage(look: Look, history: History): string[] {
  const times = Object.entries(history.durationsMs).map(
    ([state, ms]) => `${state} ${span(ms ?? 0)}`,
  );
  return [
    ...history.transitions.map(
      (step) =>
        `${step.at}  ${mark(look, step.to)} ${padEnd(step.to, 10)} ${padEnd(step.event, 18)} ${clean(step.actor)}`,
    ),
    ...(times.length > 0 ? ["", ...wrap(`Time: ${times.join(", ")}`, look.columns)] : []),
  ];
}

// ---- Runs and agents ----------------------------------------------------------------------

export const RUN_MARKS = {
  open: "executing",
  completed: "completed",
  failed: "failed",
  lost: "unknown",
  cancelled: "cancelled",
} as const;

export function runTable(look: Look, runs: readonly RunView[], now: Millis): string[] {
  const line = (...cells: readonly string[]): string =>
    `${padEnd(cells[0] ?? "", STATE_WIDTH)}  ${padEnd(cells[1] ?? "", ID_WIDTH)}  ${padEnd(cells[2] ?? "", ID_WIDTH)}  ${padEnd(cells[3] ?? "", AGENT_WIDTH + 4)}${padStart(cells[4] ?? "", 6)}${padStart(cells[5] ?? "", 10)}${padStart(cells[6] ?? "", 6)}`.trimEnd();
  return [
    head(look, `    ${line("STATE", "ID", "TASK", "AGENT", "STEPS", "COST", "AGE")}`),
    ...runs.map((run) => {
      const agent = cut(clean(run.agent), AGENT_WIDTH + 3, ellipsis(look));
      const cells = line(
        run.state,
        shortId(run.id),
        shortId(run.task),
        agent,
        String(run.steps),
        money(run.usage.costUsd),
        age(msBetween(run.startedAt, now)),
      );
      return `  ${mark(look, RUN_MARKS[run.state])} ${cells}`;
    }),
  ];
}

type Agent = CadreContract["agents.get"]["output"];

export function agentTable(look: Look, agents: readonly Agent[]): string[] {
  const nameWidth = 18;
  const rest = look.columns - 2 - nameWidth - 2;
  const says = (agent: Agent): string => cut(clean(agent.description), rest, ellipsis(look));
  return [
    head(look, `  ${padEnd("NAME", nameWidth)}  WHAT IT DOES`),
    ...agents.map(
      (agent) =>
        `  ${padEnd(cut(agent.name, nameWidth, ellipsis(look)), nameWidth)}  ${says(agent)}`,
    ),
  ];
}

export function agentPage(look: Look, agent: Agent): string[] {
  return [
    paint(look, "bold", agent.name),
    "",
    ...factLines(look, [
      ["Does", agent.description],
      ["Type", agent.type],
      ["Roles", agent.roles.join(", ")],
      ["Can", agent.capabilities.join(", ")],
      ["Models", agent.models.length === 0 ? "the configured default" : agent.models.join(", ")],
      ["Tools", agent.tools?.join(", ") ?? "all built-in ones"],
      ["At once", counted(agent.instancesMax, "task")],
      ["Limits", `${agent.limits.stepsMax} steps, ${span(agent.limits.wallMs)}`],
      ["From", `${agent.source}, ${agent.version.slice(0, 12)}`],
    ]),
    ...section(look, "Prompt", agent.prompt),
  ];
}

// ---- Events -------------------------------------------------------------------------------

const FACTS_SHOWN = 6;

/** `time id event key=value …`: what grep and people both read. */
export function eventLine(event: EventView): string {
  const facts = Object.entries(event.data)
    .filter(([, value]) => value !== null && typeof value !== "object")
    .slice(0, FACTS_SHOWN)
    .map(([key, value]) => `${key}=${factText(value)}`);
  const about =
    event.run !== undefined && event.type.startsWith("run.")
      ? event.run
      : (event.task ?? event.root);
  return [event.at, about ?? "-", event.type, ...facts].join(" ");
}

/** A value in a plain line: quoted as soon as it could be read as more than one. */
export function factText(value: Json): string {
  const text = clean(typeof value === "string" ? value : JSON.stringify(value));
  return /^[^\s"=]+$/.test(text) ? text : JSON.stringify(text);
}

// ---- Anything else ------------------------------------------------------------------------

/** An output no view was made for, readable all the same. */
export function plainPage(look: Look, output: unknown): string[] {
  if (typeof output !== "object" || output === null) return [clean(String(output))];
  if (Array.isArray(output)) return output.flatMap((one: unknown) => [...plainPage(look, one), ""]);
  const entries = Object.entries(output as { readonly [name: string]: unknown });
  const items = entries.find(([name]) => name === "items")?.[1];
  if (Array.isArray(items)) return plainPage(look, items);
  return factLines(
    look,
    entries.map(([name, value]) => [name, textOf(value)] as const),
  );
}

const textOf = (value: unknown): string | undefined =>
  typeof value === "string" ? value : JSON.stringify(value);
