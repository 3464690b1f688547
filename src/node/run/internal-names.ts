// The tools that change the run itself rather than the world.

export const PLAN = "plan";
export const GIVE_UP = "give_up";
export const INTERNAL_TOOLS: ReadonlySet<string> = new Set([PLAN, GIVE_UP]);
