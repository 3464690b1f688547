// A known tool, allowed for this agent, with arguments that fit. What is wrong is told to the model
// with what would be right: its next try should need no guessing.
import { z } from "zod";
import { type Json, messageOf, nearest } from "../../platform/index.ts";
import { STEP_BYTES_MAX } from "../../tasks/index.ts";
import type { Tool } from "../tool.ts";
import { refused, type Stage, type StageSetting } from "./stage.ts";

/** Leaves room in one recorded step for what stands around the arguments. */
export const ARGUMENTS_BYTES_MAX = STEP_BYTES_MAX - 16 * 1024;

export function validate({ tools }: Pick<StageSetting, "tools">): Stage {
  return {
    name: "validate",
    async walk(call, next) {
      const { tool: name, arguments: text } = call.requested;
      const usable = tools.filter(
        (it) => call.allowed === undefined || call.allowed.includes(it.name),
      );
      const tool = usable.find((it) => it.name === name);
      if (tool === undefined) return refused(unknownTool(name, usable, tools));
      const bytes = Buffer.byteLength(text);
      if (bytes > ARGUMENTS_BYTES_MAX) {
        return refused(
          `The arguments of \`${name}\` are ${bytes} bytes; at most ${ARGUMENTS_BYTES_MAX} are ` +
            "taken. Do it in smaller parts.",
        );
      }
      const parsed = parseJson(text);
      if (parsed.kind === "malformed") {
        return refused(
          `The arguments of \`${name}\` are not valid JSON: ${parsed.why}. Nothing was done. ` +
            `Send one JSON object like ${shapeOf(tool)}.`,
        );
      }
      const checked = tool.input.safeParse(parsed.value);
      if (!checked.success) {
        return refused(
          `The arguments of \`${name}\` do not fit. Nothing was done.\n` +
            `${checked.error.issues.slice(0, 10).map(issueLine).join("\n")}\n` +
            `It takes ${shapeOf(tool)}.`,
        );
      }
      // What is recorded is what will be used, so it is taken from the parsed value.
      const recorded = JSON.parse(JSON.stringify(checked.data)) as Json;
      return next({ ...call, checked: { tool, input: checked.data, arguments: recorded } });
    },
  };
}

function unknownTool(name: string, usable: readonly Tool[], tools: readonly Tool[]): string {
  const shown = name.slice(0, 80);
  const names = usable.map((it) => it.name);
  const list = names.length === 0 ? "You have no tools." : `You have: ${names.join(", ")}.`;
  if (tools.some((it) => it.name === name)) {
    return `The tool \`${shown}\` is not among yours. Nothing was done. ${list}`;
  }
  const near = nearest(name, names);
  const hint = near === undefined ? "" : ` Did you mean \`${near}\`?`;
  return `There is no tool \`${shown}\`. Nothing was done.${hint} ${list}`;
}

type Parsed =
  | { readonly kind: "parsed"; readonly value: unknown }
  | { readonly kind: "malformed"; readonly why: string };

function parseJson(text: string): Parsed {
  // Providers send nothing at all for a call without arguments.
  if (text.trim() === "") return { kind: "parsed", value: {} };
  try {
    return { kind: "parsed", value: JSON.parse(text) };
  } catch (error) {
    return { kind: "malformed", why: messageOf(error) };
  }
}

function issueLine(issue: z.core.$ZodIssue): string {
  const at = issue.path.length === 0 ? "" : `\`${issue.path.join(".")}\`: `;
  if (issue.code === "unrecognized_keys") {
    return `- ${at}there is no ${issue.keys.map((key) => `\`${key}\``).join(", ")}`;
  }
  return `- ${at}${issue.message}`;
}

/** `{ "path": string, "limit"?: integer }`: enough for a model to write the call anew. */
function shapeOf(tool: Tool): string {
  const schema = z.toJSONSchema(tool.input, { io: "input" });
  const required = new Set(schema.required ?? []);
  const fields = Object.entries(schema.properties ?? {}).map(([name, field]) => {
    const type = typeof field === "object" ? (field.type ?? "value") : "value";
    return `"${name}"${required.has(name) ? "" : "?"}: ${type}`;
  });
  return fields.length === 0 ? "{}" : `{ ${fields.join(", ")} }`;
}
