// How a command comes by a hub, and by the whole id of what was named in short.
import type { RunId, TaskId } from "../../../platform/index.ts";
import { CadreError } from "../../../platform/index.ts";
import type { CommandContext } from "../command.ts";
import type { CadreClient, Hub } from "../host.ts";
import { unfinishedSteps, whereOf } from "./where.ts";

/** Runs `body` with a hub to talk to, and lets go of it whatever happens. */
export async function withHub<T>(
  context: CommandContext,
  body: (hub: Hub) => Promise<T>,
): Promise<T> {
  const hub = await openHub(context);
  try {
    return await body(hub);
  } finally {
    await hub.stop("graceful");
  }
}

async function openHub(context: CommandContext): Promise<Hub> {
  try {
    return await context.host.open(whereOf(context));
  } catch (error) {
    if (!(error instanceof CadreError) || error.code !== "not_ready") throw error;
    // What one looks for may lie in the home of an example that was cut off.
    const next = [...(await unfinishedSteps(context)), ...error.next];
    throw new CadreError(error.code, error.message, { details: error.details, next, cause: error });
  }
}

/** Ids are made with this many characters; fewer name the one that ends so. */
const ID_CHARACTERS = 16;
const SUFFIX = /^[0-9a-z]{3,40}$/;

const afterKind = (id: string): string => id.slice(id.indexOf("_") + 1);

/** `task_01k9rzv3m4x7p2qa`, `task_x7p2qa` or `x7p2qa`. Throws `not_found`, `limit_exceeded`. */
export async function wholeTaskId(client: CadreClient, given: string): Promise<TaskId> {
  const suffix = afterKind(given.toLowerCase());
  if (given.startsWith("task_") && suffix.length >= ID_CHARACTERS) return given as TaskId;
  if (!SUFFIX.test(suffix) || /^(?!task_)[a-z]+_/.test(given)) {
    throw new CadreError(
      "invalid_input",
      `"${given}" is no task id. Give task_x7p2qa, or its last characters (at least 3).`,
      {
        next: ["cadre tasks"],
      },
    );
  }
  return (await client.call("tasks.find", { suffix })).id;
}

const RUNS_SEARCHED = 500;

/** A run by its id, by the end of it, or the newest run of a task. */
export async function wholeRunId(client: CadreClient, given: string): Promise<RunId> {
  const suffix = afterKind(given.toLowerCase());
  if (given.startsWith("run_") && suffix.length >= ID_CHARACTERS) return given as RunId;
  if (!given.startsWith("run_")) {
    const task = await wholeTaskId(client, given);
    const { items } = await client.call("runs.list", { task, limit: 1 });
    if (items[0] !== undefined) return items[0].id;
    throw new CadreError("not_found", `${task} has not run yet.`, {
      next: [`cadre tasks why ${task}`],
    });
  }
  const { items } = await client.call("runs.list", { limit: RUNS_SEARCHED });
  const matching = items.filter((run) => run.id.endsWith(suffix));
  const [only] = matching;
  if (only !== undefined && matching.length === 1) return only.id;
  if (only === undefined) {
    throw new CadreError(
      "not_found",
      `No run among the newest ${RUNS_SEARCHED} ends with "${suffix}".`,
      {
        next: ["cadre runs"],
      },
    );
  }
  throw new CadreError(
    "limit_exceeded",
    `${matching.length} runs end with "${suffix}". Give more of the id.`,
    {
      next: matching.slice(0, 5).map((run) => `cadre runs show ${run.id}`),
    },
  );
}
