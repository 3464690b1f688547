// A scripted model: no network, no chance, no cost.
//
// A5. What it says is labelled as rehearsed, and it is never chosen silently: only the name
// `rehearsal/<script>` plays it.
// DESIGN. The first turn whose `when` holds for the conversation answers. Nothing else decides, so
// a run that was killed and resumed hears the same. Only `fail.times` is counted in memory.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { CadreError, messageOf, parseYaml, type World } from "../platform/index.ts";
import { estimateTokens } from "./estimate.ts";
import { callStopped, modelFailed } from "./failure.ts";
import type { Model, ModelAnswer, ModelCall, ModelMessage, ModelRequest } from "./model.ts";
import { splitModel } from "./names.ts";
import { type Script, script as scriptSchema, type Turn } from "./script.ts";

export const REHEARSAL = "rehearsal";

const CHUNKS_MAX = 4;
/** Patterns look at no more of one text than this, its end. */
const SEARCHED_CHARS_MAX = 64 * 1024;
const COUNTED_FAILURES_MAX = 10_000;

type RehearsalWorld = Pick<World, "clock">;

/** Plays scripts from memory: for tests and the simulator. `rehearsal/<key of the map>`. */
export function rehearsalModel(options: {
  readonly scripts: ReadonlyMap<string, Script>;
  readonly world: RehearsalWorld;
}): Model {
  return player(options.world, async (name) => options.scripts.get(name));
}

/** Plays `<folder>/<script>.yaml`, each read once. */
export function rehearsalFolderModel(options: {
  readonly folder: string;
  readonly world: RehearsalWorld;
}): Model {
  const scripts = new Map<string, Promise<Script | undefined>>();
  return player(options.world, (name) => {
    let loading = scripts.get(name);
    if (loading === undefined) {
      loading = readScript(options.folder, name);
      scripts.set(name, loading);
      loading.catch(() => scripts.delete(name));
    }
    return loading;
  });
}

async function readScript(folder: string, name: string): Promise<Script | undefined> {
  // A name is no path: it never leads out of the folder.
  if (!/^[a-z0-9][a-z0-9._-]{0,63}$/i.test(name)) return undefined;
  const file = join(folder, `${name}.yaml`);
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new CadreError("no_model", `The script ${file} can't be read: ${messageOf(error)}.`, {
      cause: error,
    });
  }
  return parseYaml(text, scriptSchema, { source: file, code: "invalid_config" });
}

function player(world: RehearsalWorld, find: (name: string) => Promise<Script | undefined>): Model {
  const failures = new Map<string, number>();
  return {
    async answer(request) {
      const startedAt = world.clock.monotonic();
      const name = splitModel(request.model).model;
      const script = await find(name);
      if (script === undefined) {
        throw new CadreError("no_model", `There is no rehearsal script "${name}".`, {
          details: { model: request.model },
        });
      }
      const turn = nextTurn(script, request, failures);
      if (turn === undefined) throw lostThread(name, request);
      await perform(turn, request, world);
      const answer = answerOf(turn, request);
      return { ...answer, tookMs: Math.round(world.clock.monotonic() - startedAt) };
    },
  };
}

/** The turn to play. A turn that only fails, and has failed as often as it should, is passed. */
function nextTurn(
  script: Script,
  request: ModelRequest,
  failures: Map<string, number>,
): Turn | undefined {
  for (const [index, turn] of script.turns.entries()) {
    if (!matches(turn.when, request.messages)) continue;
    const times = turn.fail?.times;
    if (turn.fail === undefined || times === undefined) return turn;

    const place = `${request.model} ${index} ${stepOf(request.messages)} ${firstText(request.messages)}`;
    const failed = failures.get(place) ?? 0;
    if (failed < times) {
      if (failures.size >= COUNTED_FAILURES_MAX) failures.clear();
      failures.set(place, failed + 1);
      return turn;
    }
    const { fail: _, ...rest } = turn;
    if (rest.say !== undefined || rest.calls.length > 0) return rest;
  }
  return undefined;
}

/** Pure: whether a turn is meant for this conversation. */
export function matches(when: Turn["when"], messages: readonly ModelMessage[]): boolean {
  const newest = messages.at(-1);
  return (
    (when.step === undefined || when.step === stepOf(messages)) &&
    isFound(when.task, firstText(messages)) &&
    isFound(when.last, newest === undefined ? "" : textOf(newest)) &&
    (when.lastTool === undefined ||
      (newest?.role === "tool" && newest.results.some(({ tool }) => tool === when.lastTool))) &&
    (when.seen === undefined || messages.some((message) => isFound(when.seen, textOf(message))))
  );
}

const isFound = (pattern: RegExp | undefined, text: string): boolean =>
  pattern === undefined || pattern.test(text.slice(-SEARCHED_CHARS_MAX));

const stepOf = (messages: readonly ModelMessage[]): number =>
  messages.reduce((count, { role }) => count + (role === "assistant" ? 1 : 0), 0);

function firstText(messages: readonly ModelMessage[]): string {
  const first = messages.find(({ role }) => role === "user");
  return first === undefined ? "" : textOf(first);
}

function textOf(message: ModelMessage): string {
  if (message.role === "tool") return message.results.map(({ text }) => text).join("\n");
  return message.text;
}

/** Waits, and speaks in a few pieces when somebody listens; throws when the turn fails. */
async function perform(turn: Turn, request: ModelRequest, world: RehearsalWorld): Promise<void> {
  const { model, signal } = request;
  const isHeard = request.onText !== undefined && turn.fail === undefined;
  const chunks = isHeard ? chunksOf(turn.say ?? "") : [];
  const waitMs = Math.floor(turn.latencyMs / Math.max(1, chunks.length));
  try {
    for (const chunk of chunks.length === 0 ? [""] : chunks) {
      signal.throwIfAborted();
      if (waitMs > 0) await world.clock.sleep(waitMs, signal);
      if (chunk !== "") request.onText?.(chunk);
    }
  } catch (error) {
    if (signal.aborted) throw callStopped(model, error);
    throw error;
  }
  if (turn.fail !== undefined) {
    throw modelFailed(model, { class: turn.fail.class, message: turn.fail.message });
  }
}

/** At most a few pieces of about the same length, cut before spaces. */
function chunksOf(text: string): string[] {
  const words = text.match(/\s*\S+\s*$|\s*\S+/g) ?? [];
  const size = Math.max(1, Math.ceil(words.length / CHUNKS_MAX));
  const chunks: string[] = [];
  for (let start = 0; start < words.length; start += size) {
    chunks.push(words.slice(start, start + size).join(""));
  }
  return chunks;
}

function answerOf(turn: Turn, request: ModelRequest): Omit<ModelAnswer, "tookMs"> {
  const text = turn.say ?? "";
  const step = stepOf(request.messages);
  const calls = turn.calls.map(
    (call, index): ModelCall => ({
      id: `call_${step}_${index}`,
      tool: call.tool,
      arguments:
        typeof call.arguments === "string" ? call.arguments : JSON.stringify(call.arguments),
    }),
  );
  const tokens = turn.usage ?? estimateTokens(request, { text, calls });
  return {
    model: request.model,
    text,
    calls,
    finish: calls.length > 0 ? "tool-calls" : "stop",
    usage: { ...tokens, tokensCached: 0, costUsd: 0 },
    rehearsed: true,
  };
}

function lostThread(name: string, request: ModelRequest): CadreError {
  const newest = request.messages.at(-1);
  const said = newest === undefined ? "nothing" : textOf(newest).replace(/\s+/g, " ").slice(0, 200);
  return modelFailed(request.model, {
    class: "bad_request",
    message: `the script "${name}" has no turn for step ${stepOf(request.messages)}; last was said: "${said}".`,
    next: [`Add a turn to ${name}.yaml whose \`when\` matches it.`],
  });
}
