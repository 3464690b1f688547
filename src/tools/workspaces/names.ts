// Names in the user's repository: all of them below `cadre/` and `refs/cadre/`.
//
// Flat on purpose: git keeps refs as files, so `cadre/x` and `cadre/x/y` can't both exist.
import { assert } from "../../platform/index.ts";

/** Where the work of all tasks of one root comes together. */
export const rootBranch = (root: string): string => `cadre/${checked(root)}`;

/** The branch one task works on; the root's own can't be the one it merges into. */
export const taskBranch = (task: string, root: string): string =>
  task === root ? `cadre/${checked(root)}-root` : `cadre/${checked(task)}`;

export const branchRef = (branch: string): string => `refs/heads/${branch}`;

/** The user's commit that all work of a root started from. */
export const baseRef = (root: string): string => `refs/cadre/base/${checked(root)}`;

/** The user's branch before and after `cadre runs merge`: what `undo` goes by. */
export const beforeRef = (root: string): string => `refs/cadre/before/${checked(root)}`;
export const afterRef = (root: string): string => `refs/cadre/after/${checked(root)}`;

/** Ids become paths and refs: nothing else may come in by them. */
export function checked(id: string): string {
  assert(/^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$/.test(id), `"${id}" can't name a branch or a folder`);
  return id;
}
