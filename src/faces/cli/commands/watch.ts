// `cadre tasks watch`: look at an objective that is being worked on.
import { type CommandSpec, durationOf } from "../command.ts";
import { countInterrupts } from "../run/interrupts.ts";
import { watch } from "../run/watch.ts";
import { wholeTaskId, withHub } from "./hub.ts";

export const watchTask: CommandSpec = {
  path: ["tasks", "watch"],
  summary: "Follow the objective a task belongs to live; leaving changes nothing.",
  args: [{ name: "id", isRequired: true }],
  options: [
    { name: "wait", value: "TIME", summary: "look on for at most 90s, 10m, 2h (exit 8)" },
    { name: "strict", summary: "exit 1 when something of it is missing (degraded)" },
  ],
  examples: ["cadre tasks watch task_x7p2qa"],
  run: (context, parsed) =>
    withHub(context, async (hub) => {
      const interrupts = countInterrupts(context.terminal);
      try {
        const id = await wholeTaskId(hub.client, parsed.args["id"] ?? "");
        const task = await hub.client.call("tasks.get", { id });
        // Of a part alone neither the branch nor the outcome says much.
        const root = await hub.client.call("tasks.get", { id: task.root });
        const { position } = await hub.client.call("system.status", {});
        return await watch(context, hub, interrupts, {
          root,
          after: position,
          budgetUsd: root.budget.costUsd,
          waitMs: durationOf(parsed, "wait"),
          isStrict: parsed.switches.has("strict"),
        });
      } finally {
        interrupts.close();
      }
    }),
};
