// `cadre tasks --watch`: the list, redrawn as it changes.
import type { TaskView } from "../../../tasks/index.ts";
import { badUsage, type CommandContext } from "../command.ts";
import type { Hub } from "../host.ts";
import { ellipsis, paint } from "../look.ts";
import { awayLines } from "../run/frame.ts";
import { countInterrupts } from "../run/interrupts.ts";
import { redraw } from "../run/redraw.ts";
import { countsLine, taskTable } from "../views/lists.ts";

type Listing = {
  readonly tasks: readonly TaskView[];
  /** `11 open, 3 done today.` */
  readonly counts: string;
};

/** Shows what `tasks.list` answers until `q` (exit 0) or Ctrl C (exit 130). */
export async function watchList(
  context: CommandContext,
  hub: Hub,
  input: Readonly<Record<string, unknown>>,
): Promise<number> {
  const { terminal, look, host } = context;
  if (!terminal.isInteractive || context.isPlain || context.isJson) {
    throw badUsage("--watch redraws a list, and this is no terminal to draw on.", [
      "cadre events --follow --types 'task.*'     one line for each change",
    ]);
  }
  const over = new AbortController();
  const interrupts = countInterrupts(terminal);
  const leave = () => over.abort();
  interrupts.first.addEventListener("abort", leave, { once: true });
  const offKey = terminal.onKey((key) => key === "q" && leave());
  let listing: Listing = { tasks: [], counts: "" };

  const screen = redraw(context, hub, over.signal, {
    async list() {
      // What was typed: the hub parses it.
      const { items } = await hub.client.call("tasks.list", input as never);
      const counts = countsLine(await hub.client.call("tasks.counts", {}));
      listing = { tasks: items, counts };
    },
    render: (now, rows, dataOf) => [
      ...tableWithin(
        rows - awayLines(now, dataOf).length,
        taskTable(now, listing.tasks, host.world.clock.now()),
        now,
      ),
      "",
      ...awayLines(now, dataOf),
      listing.counts,
      paint(now, "dim", "q leave"),
    ],
  });
  const offState = hub.onState(screen.onState);
  const showing = screen.done.finally(leave);
  try {
    const { signal } = over;
    for await (const _ of hub.client.follow({ types: ["task.*"] }, { signal }))
      screen.heard("stale");
    await showing;
  } finally {
    leave();
    offState();
    offKey();
    interrupts.close();
    screen.close();
  }
  const left = tableWithin(
    Number.POSITIVE_INFINITY,
    taskTable(look, listing.tasks, host.world.clock.now()),
    look,
  );
  terminal.out(`${[...left, "", listing.counts].join("\n")}\n`);
  return interrupts.first.aborted ? 130 : 0;
}

/** Lines below the table, and one free for the cursor. */
const LINES_BELOW = 4;

function tableWithin(
  rows: number,
  table: readonly string[],
  look: Parameters<typeof ellipsis>[0],
): readonly string[] {
  if (table.length === 1) return ["No tasks match."];
  const room = Math.max(2, rows - LINES_BELOW);
  if (table.length <= room) return table;
  const shown = table.slice(0, room - 1);
  return [...shown, `    ${ellipsis(look)} ${table.length - shown.length} more`];
}
