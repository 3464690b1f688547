// M6's base: files named by their content, under one folder.
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, open, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { CadreError } from "../platform/index.ts";
import { codeOf } from "./paths.ts";
import type { Artifacts } from "./tool.ts";

const ID = /^sha256-[0-9a-f]{64}$/;

/** Artifacts as files only their owner can read. The folder is made when it is first needed. */
export function fileArtifacts(folder: string): Artifacts {
  const pathOf = (id: string): string => {
    if (!ID.test(id)) {
      throw new CadreError("invalid_input", `An artifact's id looks like sha256-…; this is ${id}.`);
    }
    // Two levels, for folders of a million files are slow to list.
    return join(folder, id.slice(7, 9), id.slice(9, 11), id);
  };
  return {
    pathOf,
    async put(bytes) {
      const id = `sha256-${createHash("sha256").update(bytes).digest("hex")}`;
      const path = pathOf(id);
      const known = await stat(path).catch(() => undefined);
      if (known?.size === bytes.length) return id;
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await writeWhole(path, bytes);
      return id;
    },
    async get(id) {
      try {
        return await readFile(pathOf(id));
      } catch (error) {
        if (codeOf(error) === "ENOENT") return undefined;
        throw error;
      }
    },
  };
}

/** The file is there whole or not at all, also after a crash or with two writers at once. */
async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const folder = await mkdtemp(join(dirname(path), "writing-"));
  try {
    const file = await open(join(folder, "file"), "wx", 0o600);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(join(folder, "file"), path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
