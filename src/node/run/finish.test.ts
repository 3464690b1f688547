import assert from "node:assert/strict";
import { test } from "node:test";
import { notedWorkspaces, workerBench, workspace } from "../../../test/support/worker.ts";
import { CadreError } from "../../platform/index.ts";

const REPOSITORY = { kind: "worktree", repository: "/nowhere" } as const;

test("a merge conflict becomes a task in the same work tree, and the answer is not paid twice", async (t) => {
  const asked: string[] = [];
  let isResolved = false;
  const workspaces = notedWorkspaces(() =>
    workspace({
      path: "/nowhere",
      commit: async () => ({ branch: "b", commit: "c", files: 1, insertions: 1, deletions: 0 }),
      merge: async () =>
        isResolved ? { kind: "merged", commit: "m" } : { kind: "conflict", files: ["a.ts"] },
      beginResolution: async () => {
        isResolved = true;
        return ["a.ts"];
      },
    }),
  );
  const bench = await workerBench(t, {
    workspaces,
    answer: ({ messages }) => {
      const words = messages.flatMap((it) => (it.role === "user" ? [it.text] : [])).join("\n");
      asked.push(words);
      return { text: "Done." };
    },
  });
  await bench.start();
  const { id } = await bench.client.call("tasks.submit", { title: "Mine", workspace: REPOSITORY });

  const task = await bench.ended(id);
  const [child] = (await bench.client.call("tasks.list", { parent: id })).items;

  assert.equal(task.state, "completed");
  assert.equal(child?.type, "conflict");
  assert.equal(child?.state, "completed");
  assert.equal(asked.length, 2, "each model was asked once");
  assert.match(asked[1] ?? "", /carry conflict marks:\n- a\.ts/);
  assert.ok(
    workspaces.notes.every((note) => note.endsWith(id)),
    "only one work tree was used",
  );
});

test("a conflict nobody resolves fails the task after a bounded number of rounds", async (t) => {
  const workspaces = notedWorkspaces(() =>
    workspace({ path: "/nowhere", merge: async () => ({ kind: "conflict", files: ["a.ts"] }) }),
  );
  const bench = await workerBench(t, { workspaces, answer: () => ({ text: "Done." }) });
  await bench.start();
  const { id } = await bench.client.call("tasks.submit", { title: "Mine", workspace: REPOSITORY });

  const task = await bench.ended(id);

  assert.equal(task.failure?.code, "workspace_failed");
});

test("conflict marks left in the files are told to the agent, not taken for a fault", async (t) => {
  const asked: string[] = [];
  let begun = 0;
  const marks = new CadreError("workspace_failed", "Marks.", { details: { files: ["a.ts"] } });
  const workspaces = notedWorkspaces(() =>
    workspace({
      path: "/nowhere",
      // The resolver's first try leaves the marks in place; its second one is clean.
      commit: () => (begun === 1 ? Promise.reject(marks) : Promise.resolve(undefined)),
      merge: async () =>
        begun === 0 ? { kind: "conflict", files: ["a.ts"] } : { kind: "merged", commit: "m" },
      beginResolution: async () => {
        begun += 1;
        return ["a.ts"];
      },
    }),
  );
  const bench = await workerBench(t, {
    workspaces,
    answer: ({ messages }) => {
      asked.push(JSON.stringify(messages.at(-1)));
      return { text: "Done." };
    },
  });
  await bench.start();
  const { id } = await bench.client.call("tasks.submit", { title: "Mine", workspace: REPOSITORY });

  const task = await bench.ended(id);

  assert.equal(task.state, "completed");
  assert.equal(asked.length, 3);
  assert.match(asked[2] ?? "", /carry conflict marks/);
});
