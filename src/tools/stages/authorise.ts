// G3. Every path of the call is a real path inside the workspace, or readable beside it.
import { locate } from "../paths.ts";
import { checkedOf, refused, type Stage, type StageSetting } from "./stage.ts";

export function authorise({ hidden }: Pick<StageSetting, "hidden">): Stage {
  return {
    name: "authorise",
    async walk(call, next) {
      const { tool, input } = checkedOf(call);
      if (tool.kind !== "internal" && call.place.workspace === null) {
        return refused(
          `\`${tool.name}\` needs a workspace, and this task has none. Do without it.`,
        );
      }
      const place = { ...call.place, hidden };
      for (const { path, access } of tool.paths?.(input) ?? []) {
        const located = await locate(place, path, access);
        if (located.kind === "not-allowed") return refused(`${located.why} Nothing was done.`);
      }
      return next(call);
    },
  };
}
