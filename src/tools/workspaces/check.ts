// Doctor's question to git: not whether it is there, but whether it does what Cadre needs.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Check, messageOf } from "../../platform/index.ts";
import { commitTree } from "./commit.ts";
import { CADRE, type GitWorld, gitAt, isGitNewEnough, parseGitVersion } from "./git.ts";

const NAME = "git";
const MEND = ["apt install git, or brew install git (2.38 or newer)"];

/** Makes a repository with a work tree in a temporary folder, and takes it away again. */
export async function checkGit(world: GitWorld, cwd: string): Promise<Check> {
  const scratch = await mkdtemp(join(tmpdir(), "cadre-git-"));
  try {
    const git = gitAt(world, { cwd: scratch });
    const text = (await git.run(["version"])).trim();
    const version = parseGitVersion(text);
    if (version === undefined || !isGitNewEnough(version)) {
      return { name: NAME, level: "fail", found: `${text}, and 2.38 is needed`, mend: MEND };
    }
    await git.run(["init", "--quiet"]);
    const tree = (await git.run(["write-tree"])).trim();
    const commit = await commitTree(git, tree, [], { message: "Check\n", author: CADRE });
    const joined = await git.run(["merge-tree", "--write-tree", commit, commit]);
    await git.run(["worktree", "add", "--quiet", "--detach", join(scratch, "tree"), commit]);
    await git.run(["worktree", "remove", join(scratch, "tree")]);
    const short = text.replace(/^git version /, "");
    if (joined.trim() !== tree) {
      return { name: NAME, level: "fail", found: `${short} merges trees wrongly`, mend: MEND };
    }
    return await checkFolder(world, cwd, `${short}; made, merged and removed a work tree`);
  } catch (error) {
    return { name: NAME, level: "fail", found: messageOf(error), mend: MEND };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function checkFolder(world: GitWorld, cwd: string, found: string): Promise<Check> {
  const inside = await gitAt(world, { cwd }).attempt(["rev-parse", "--verify", "HEAD^{commit}"]);
  if (inside.code === 0) return { name: NAME, level: "ok", found, mend: [] };
  return {
    name: NAME,
    level: "warn",
    found: `${found}; ${cwd} is no repository with a commit`,
    mend: ['git init && git add -A && git commit -m "First commit"'],
  };
}
