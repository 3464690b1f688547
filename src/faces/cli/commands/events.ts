// What happened: the journal, once or as it grows.
import type { EventFilter } from "../../../platform/index.ts";
import { iso } from "../../../platform/index.ts";
import { type CommandSpec, lastValue, numberOf, type Parsed } from "../command.ts";
import type { CadreClient } from "../host.ts";
import { printJson } from "../print.ts";
import { countInterrupts } from "../run/interrupts.ts";
import { eventLine } from "../views/lists.ts";
import { wholeRunId, wholeTaskId, withHub } from "./hub.ts";

async function filterOf(client: CadreClient, parsed: Parsed): Promise<EventFilter> {
  const root = lastValue(parsed, "root");
  const task = lastValue(parsed, "task");
  const run = lastValue(parsed, "run");
  const types = (parsed.values["types"] ?? [])
    .flatMap((text) => text.split(","))
    .filter((type) => type !== "");
  return {
    ...(root === undefined ? {} : { root: await wholeTaskId(client, root) }),
    ...(task === undefined ? {} : { task: await wholeTaskId(client, task) }),
    ...(run === undefined ? {} : { run: await wholeRunId(client, run) }),
    ...(types.length === 0 ? {} : { types }),
  };
}

const LIMIT = 100;

export const listEvents: CommandSpec = {
  path: ["events"],
  summary: "List what happened, newest last; --follow goes on until Ctrl C.",
  args: [],
  options: [
    { name: "follow", short: "f", summary: "go on with what happens from now" },
    { name: "root", value: "TASK", summary: "only one objective" },
    { name: "task", value: "TASK", summary: "only one task" },
    { name: "run", value: "RUN", summary: "only one run" },
    {
      name: "types",
      value: "TYPE",
      isRepeatable: true,
      summary: "as task.completed or task.*; several with commas",
    },
    { name: "after", value: "CURSOR", summary: "events after this position" },
    { name: "limit", value: "N", summary: `at most so many; default ${LIMIT}` },
  ],
  examples: [
    "cadre events --follow",
    "cadre events --task task_x7p2qa --types 'run.*'",
    "cadre events --json --after 4711",
  ],
  run: (context, parsed) =>
    withHub(context, async ({ client }) => {
      const filter = await filterOf(client, parsed);
      const limit = numberOf(parsed, "limit") ?? LIMIT;
      const given = lastValue(parsed, "after");
      const { position } = await client.call("system.status", {});
      // Nobody asks for the oldest ones: without a position the newest are shown.
      const after = given === undefined ? Math.max(0, position - limit) : Number(given);
      const { types, ...rest } = filter;
      const listed = await client.call("events.list", {
        ...rest,
        ...(types === undefined ? {} : { types: types.join(",") }),
        after: Object.keys(filter).length > 0 && given === undefined ? 0 : after,
        limit,
      });
      const isFollowing = parsed.switches.has("follow");
      if (context.isJson && !isFollowing) {
        printJson(context.terminal, { items: listed.items, next: String(listed.next) });
        return 0;
      }
      const print = context.isJson
        ? (event: (typeof listed.items)[number]) => {
            const { type, at, position: cursor, ...rest } = event;
            context.terminal.out(`${JSON.stringify({ event: type, at, cursor, data: rest })}\n`);
          }
        : (event: (typeof listed.items)[number]) => context.terminal.out(`${eventLine(event)}\n`);
      for (const event of listed.items) print(event);
      if (!isFollowing) return 0;

      const interrupts = countInterrupts(context.terminal);
      try {
        for await (const event of client.follow(filter, {
          after: listed.next,
          signal: interrupts.first,
        })) {
          print({ ...event, at: iso(event.at), data: { ...event.data } as never });
        }
      } finally {
        interrupts.close();
      }
      return 130;
    }),
};
