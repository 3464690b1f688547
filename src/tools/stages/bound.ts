// M6. What a model reads is bounded; what is past the bound is kept whole in an artifact.
import type { Outcome } from "../../tasks/index.ts";
import type { ToolPlace } from "../tool.ts";
import type { Stage } from "./stage.ts";

/** Bytes of text one outcome may put into a transcript. */
export const OUTPUT_TEXT_MAX = 32 * 1024;
/** Bytes of facts, as JSON, beside it. */
export const OUTPUT_FACTS_MAX = 64 * 1024;

export function bound(): Stage {
  return {
    name: "bound",
    walk: async (call, next) =>
      boundFacts(await boundText(await next(call), call.place), call.place),
  };
}

async function boundText(outcome: Outcome, place: ToolPlace): Promise<Outcome> {
  const bytes = Buffer.from(outcome.text);
  if (bytes.length <= OUTPUT_TEXT_MAX) return outcome;
  const owner = { task: place.task, mediaType: "text/plain; charset=utf-8" };
  const id = await place.artifacts.put(bytes, owner);
  const path = place.artifacts.pathOf(id);
  const note = (cut: number) =>
    `\n[... ${cut} of ${bytes.length} bytes left out. The whole output is kept for people as ${id} ` +
    `in ${path}. To see more of it ask for less at a time: a range, a narrower pattern. ...]\n`;
  const room = OUTPUT_TEXT_MAX - Buffer.byteLength(note(bytes.length));
  const head = cutAtCharacter(bytes.subarray(0, Math.ceil(room / 2)), "end");
  const tail = cutAtCharacter(bytes.subarray(bytes.length - Math.floor(room / 2)), "start");
  const cut = bytes.length - Buffer.byteLength(head) - Buffer.byteLength(tail);
  const facts = { ...outcome.facts, outputBytes: bytes.length, artifact: id, artifactPath: path };
  return { ...outcome, text: head + note(cut) + tail, facts };
}

async function boundFacts(outcome: Outcome, place: ToolPlace): Promise<Outcome> {
  if (outcome.facts === undefined) return outcome;
  const json = JSON.stringify(outcome.facts);
  if (Buffer.byteLength(json) <= OUTPUT_FACTS_MAX) return outcome;
  const owner = { task: place.task, mediaType: "application/json" };
  const id = await place.artifacts.put(Buffer.from(json), owner);
  return {
    ...outcome,
    facts: { factsArtifact: id, factsArtifactPath: place.artifacts.pathOf(id) },
  };
}

/** Text of bytes whose cut may have gone through a character: that one is left out. */
function cutAtCharacter(bytes: Buffer, side: "start" | "end"): string {
  const text = bytes.toString("utf8");
  return side === "end" ? text.replace(/\uFFFD{1,3}$/, "") : text.replace(/^\uFFFD{1,3}/, "");
}
