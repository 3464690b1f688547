// The local owner's secret: one file, made once, readable by the owner only.
//
// DESIGN. The secret is written to a file of its own name first and then linked to its place.
// A link is atomic and fails where something stands already, so of two processes that start at once
// both read the same, whole token. Its chance is the kernel's, never a seed's: a secret that a
// simulation could repeat would be none.
import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { link, mkdir, open, unlink } from "node:fs/promises";
import { join } from "node:path";
import { CadreError, messageOf, type World } from "../platform/index.ts";

const TOKEN_BYTES = 32;
const TOKEN_SHAPE = /^[A-Za-z0-9_-]{43}$/;
const READABLE_BY_OTHERS = 0o077;

/**
 * The token in `file`, made when there is none.
 * Errors: `invalid_config` when others can read it or it is no token; `store_read_only` when it
 * can't be made or read.
 */
export async function loadToken(
  folder: string,
  world: Pick<World, "random">,
): Promise<{ token: string; file: string }> {
  const file = join(folder, "token");
  try {
    const found = await readToken(file);
    if (found !== undefined) return { token: found, file };
    await makeToken(folder, file, world);
    const made = await readToken(file);
    if (made === undefined) throw new Error(`${file} was removed while it was made`);
    return { token: made, file };
  } catch (error) {
    if (error instanceof CadreError) throw error;
    throw new CadreError(
      "store_read_only",
      `The token file ${file} can't be made or read: ${messageOf(error)}.`,
      { next: [`ls -ld ${folder}`], cause: error },
    );
  }
}

async function makeToken(
  folder: string,
  file: string,
  world: Pick<World, "random">,
): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const draft = `${file}.${Math.floor(world.random() * 2 ** 48).toString(36)}.new`;
  const handle = await open(draft, "wx", 0o600);
  try {
    await handle.writeFile(`${randomBytes(TOKEN_BYTES).toString("base64url")}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  try {
    await link(draft, file);
  } catch (error) {
    // Another process was first: its token is the one.
    if (codeOf(error) !== "EEXIST") throw error;
  } finally {
    await unlink(draft);
  }
}

async function readToken(file: string): Promise<string | undefined> {
  let handle: Awaited<ReturnType<typeof open>>;
  try {
    // Never through a link: its target could be anyone's.
    handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    if (codeOf(error) !== "ELOOP") throw error;
    throw refused(file, "is a symbolic link");
  }
  try {
    const { mode, uid } = await handle.stat();
    const self = process.getuid?.();
    // Windows has neither owners nor modes of this kind; the folder's own rights hold there.
    if (self !== undefined) {
      if ((mode & READABLE_BY_OTHERS) !== 0)
        throw refused(file, "can be read by others", [`chmod 600 ${file}`]);
      if (uid !== self && self !== 0 && uid !== 0) throw refused(file, "belongs to another user");
    }
    const token = (await handle.readFile("utf8")).trim();
    if (!TOKEN_SHAPE.test(token)) throw refused(file, "holds no token");
    return token;
  } finally {
    await handle.close();
  }
}

function refused(file: string, why: string, mend: readonly string[] = []): CadreError {
  return new CadreError(
    "invalid_config",
    `The token file ${file} ${why}. Whoever holds the token may do everything here; remove the file and the next start makes a new one.`,
    { details: { file }, next: [...mend, `rm ${file}`] },
  );
}

const codeOf = (error: unknown): string | undefined =>
  (error as NodeJS.ErrnoException | null)?.code;
