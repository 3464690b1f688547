// Reads that take more than one page.
import type { RecordedStep, TaskView } from "../../tasks/index.ts";
import type { CadreClient } from "./host.ts";

const TASKS_PAGE = 500;
/** A view shows a few; totals past this many pages are those of the first ones. */
const TASK_PAGES_MAX = 20;
const STEPS_PAGE = 1_000;

/** Every task of one tree. */
export async function treeOf(
  client: CadreClient,
  root: TaskView["id"],
): Promise<readonly TaskView[]> {
  const tasks: TaskView[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < TASK_PAGES_MAX; page++) {
    const answer = await client.call("tasks.list", {
      root,
      limit: TASKS_PAGE,
      ...(cursor === undefined ? {} : { cursor }),
    });
    tasks.push(...answer.items);
    if (answer.next === null) break;
    cursor = answer.next;
  }
  return tasks;
}

/** A run's whole transcript. */
export async function stepsOf(
  client: CadreClient,
  id: `run_${string}`,
): Promise<readonly RecordedStep[]> {
  const steps: RecordedStep[] = [];
  let after: number | null = -1;
  while (after !== null) {
    const page: { items: RecordedStep[]; next: number | null } = await client.call("runs.steps", {
      id,
      after,
      limit: STEPS_PAGE,
    });
    steps.push(...page.items);
    after = page.next;
  }
  return steps;
}
