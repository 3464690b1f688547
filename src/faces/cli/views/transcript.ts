// A run's transcript for people: who said what, which tools were called, what came of it.
import type { Json } from "../../../platform/index.ts";
import type { Outcome, RecordedStep, RunView, TaskView } from "../../../tasks/index.ts";
import { ellipsis, type Look, mark, money, paint, shortId, span } from "../look.ts";
import { clean, cleanLines, cut, cutMiddle, padEnd, wrap } from "../text.ts";
import { RUN_MARKS, usageLine } from "./lists.ts";

/** Lines of one output shown; `--full` shows all. */
const OUTPUT_LINES = 12;

export type TranscriptOptions = { readonly isFull: boolean };

export function transcriptPage(
  look: Look,
  run: RunView,
  task: Pick<TaskView, "title">,
  steps: readonly RecordedStep[],
  options: TranscriptOptions,
): string[] {
  const symbol = RUN_MARKS[run.state];
  const title = cut(clean(task.title), look.columns - run.id.length - 4, ellipsis(look));
  const took =
    run.endedAt === undefined
      ? ""
      : `, ${span(Date.parse(run.endedAt) - Date.parse(run.startedAt))}`;
  return [
    `${mark(look, symbol)} ${padEnd(title, look.columns - 2 - run.id.length)}${run.id}`,
    `  ${clean(run.agent)} on ${shortId(run.task)}, attempt ${run.attempt}, ${run.state}${took}`,
    ...(run.usage.rehearsed
      ? [`  ${paint(look, "yellow", "rehearsal: no model was called")}`]
      : []),
    ...steps.flatMap((recorded) => stepLines(look, recorded, options)),
    ...(usageLine(run.usage) === ""
      ? []
      : ["", ...wrap(`  ${usageLine(run.usage)}`, look.columns)]),
  ];
}

export function stepLines(
  look: Look,
  recorded: RecordedStep,
  options: TranscriptOptions,
): string[] {
  const { step } = recorded;
  const time = look.timeOfDay(Date.parse(recorded.at));
  const at = (text: string): string => `${paint(look, "dim", time)}  ${text}`;
  switch (step.kind) {
    case "started":
      return [
        "",
        at(
          `started by ${clean(step.agent)} (${step.agentVersion.slice(0, 12)}), sandbox ${clean(step.sandbox)}`,
        ),
      ];
    case "resumed":
      return ["", at(`taken up again on ${clean(step.node)}`)];
    case "told":
      return [
        "",
        at(`${mark(look, "told")} ${clean(step.from)} says`),
        ...body(look, step.text, options),
      ];
    case "model_asked":
      return [];
    case "model_answered": {
      const price = step.usage.rehearsed ? "rehearsal" : money(step.usage.costUsd);
      const first = at(`${paint(look, "bold", clean(step.model))}  ${span(step.tookMs)}, ${price}`);
      return ["", first, ...body(look, step.text, { isFull: true })];
    }
    case "model_failed":
      return ["", at(`${mark(look, "failed")} ${clean(step.model)}: ${clean(step.message)}`)];
    case "tool_began":
      return [
        at(
          `${mark(look, "executing")} ${paint(look, "cyan", clean(step.tool))} ${callSummary(look, step.arguments)}`,
        ),
      ];
    case "tool_settled":
      return [
        at(`${outcomeMark(look, step.outcome)} ${outcomeSummary(step.outcome, step.tookMs)}`),
        ...outcomeBody(look, step.outcome, options),
      ];
    case "waited":
      return ["", at(`${mark(look, "waiting")} waits for its tasks`)];
    case "ended":
      return [
        "",
        at(`${mark(look, step.how)} ${step.how}`),
        ...body(look, step.text, { isFull: true }),
      ];
  }
}

const indent = "          ";

/** Text set in under its line; cut in the middle unless all of it is wanted. */
function body(look: Look, text: string, options: TranscriptOptions): string[] {
  const clear = cleanLines(text).trim();
  if (clear === "") return [];
  const lines = clear.split("\n").flatMap((line) => wrap(line, look.columns - indent.length));
  return shortened(look, lines, options).map((line) => `${indent}${line}`.trimEnd());
}

function shortened(
  look: Look,
  lines: readonly string[],
  options: TranscriptOptions,
): readonly string[] {
  if (options.isFull || lines.length <= OUTPUT_LINES) return lines;
  const half = OUTPUT_LINES / 2;
  const left = lines.length - OUTPUT_LINES;
  return [
    ...lines.slice(0, half),
    paint(look, "dim", `${ellipsis(look)} ${left} lines more: --full`),
    ...lines.slice(-half),
  ];
}

/** The argument that says most: a path, a command, a pattern; else the JSON. */
function callSummary(look: Look, args: Json): string {
  const width = look.columns - indent.length - 14;
  if (typeof args === "object" && args !== null && !Array.isArray(args)) {
    const fields = args as { readonly [name: string]: Json };
    for (const name of ["command", "pattern", "path", "reason", "summary"]) {
      const value = fields[name];
      if (typeof value === "string") {
        const text = clean(value);
        return name === "path"
          ? cutMiddle(text, width, ellipsis(look))
          : cut(text, width, ellipsis(look));
      }
    }
  }
  return cut(clean(JSON.stringify(args)), width, ellipsis(look));
}

function outcomeMark(look: Look, outcome: Outcome): string {
  switch (outcome.kind) {
    case "done":
      return mark(
        look,
        exitCodeOf(outcome) === undefined || exitCodeOf(outcome) === 0 ? "completed" : "failed",
      );
    case "refused":
    case "failed":
      return mark(look, "failed");
    case "unknown":
      return mark(look, "unknown");
  }
}

export function exitCodeOf(outcome: Outcome): number | undefined {
  const code = outcome.facts?.["exitCode"];
  return typeof code === "number" ? code : undefined;
}

function outcomeSummary(outcome: Outcome, tookMs: number): string {
  const code = exitCodeOf(outcome);
  return [outcome.kind, ...(code === undefined ? [] : [`exit ${code}`]), span(tookMs)].join(", ");
}

/** A diff says more than the sentence about it. */
function outcomeBody(look: Look, outcome: Outcome, options: TranscriptOptions): string[] {
  const diff = outcome.facts?.["diff"];
  if (typeof diff !== "string" || diff === "") return body(look, outcome.text, options);
  const lines = cleanLines(diff).trimEnd().split("\n");
  return shortened(look, lines, options).map(
    (line) => indent + diffLine(look, cut(line, look.columns - indent.length, ellipsis(look))),
  );
}

function diffLine(look: Look, line: string): string {
  if (line.startsWith("+")) return paint(look, "green", line);
  if (line.startsWith("-")) return paint(look, "red", line);
  return line;
}
