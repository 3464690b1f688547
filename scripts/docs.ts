// Writes the parts of the docs that are drawn from the code: the states of a task, the operations,
// the error codes. `node scripts/docs.ts` writes them; a test says when they are stale.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ERROR_CODES } from "../src/platform/index.ts";
import { allOperations } from "../src/registry.ts";
import { TRANSITIONS } from "../src/tasks/index.ts";

type Drawn = { readonly file: string; readonly name: string; readonly text: string };

/** Every drawn block, as it should stand between its two marks. */
export function drawnBlocks(): readonly Drawn[] {
  return [
    { file: "ARCHITECTURE.md", name: "transitions", text: transitions() },
    { file: "docs/tasks.md", name: "transitions", text: transitions() },
    { file: "docs/api.md", name: "operations", text: operations() },
    { file: "docs/api.md", name: "errors", text: errors() },
  ];
}

/** The file with the block replaced. */
export function withBlock(text: string, { name, text: block, file }: Drawn): string {
  const [begin, end] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`];
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from === -1 || to === -1) throw new Error(`${file} lacks the marks ${begin} and ${end}.`);
  return `${text.slice(0, from + begin.length)}\n${block}\n${text.slice(to)}`;
}

export const pathOf = (file: string): string =>
  fileURLToPath(new URL(`../${file}`, import.meta.url));

function transitions(): string {
  const edges = new Map<string, string[]>();
  for (const [event, { from, to }] of Object.entries(TRANSITIONS)) {
    for (const source of from) {
      for (const target of to) {
        // A flag that is set or cleared leaves the state as it is.
        if (source === target) continue;
        if ((event === "pause" || event === "resume") && !isDrop(source, target)) continue;
        const key = `${source} --> ${target}`;
        edges.set(key, [...(edges.get(key) ?? []), event]);
      }
    }
  }
  const lines = [...edges].map(([edge, events]) => `  ${edge}: ${events.join(", ")}`);
  return ["```mermaid", "stateDiagram-v2", "  [*] --> created", ...lines, "```"].join("\n");
}

/** Pausing a leased task takes the lease away; any other pause only sets the flag. */
const isDrop = (source: string, target: string): boolean =>
  (source === "assigned" || source === "executing") && target === "queued";

function operations(): string {
  const rows = allOperations().map(
    ({ name, http, permission, summary }) =>
      `| \`${name}\` | \`${http}\` | ${permission} | ${summary} |`,
  );
  return [
    "| operation | route under `/api/v2` | permission | what it does |",
    "| --- | --- | --- | --- |",
    ...rows,
  ].join("\n");
}

function errors(): string {
  const rows = Object.entries(ERROR_CODES).map(
    ([code, { status, retry, exit, title }]) =>
      `| \`${code}\` | ${status} | ${retry} | ${exit} | ${title} |`,
  );
  return [
    "| code | HTTP | retry | exit code | meaning |",
    "| --- | --- | --- | --- | --- |",
    ...rows,
  ].join("\n");
}

if (import.meta.main) {
  for (const drawn of drawnBlocks()) {
    const path = pathOf(drawn.file);
    writeFileSync(path, withBlock(readFileSync(path, "utf8"), drawn));
  }
}
