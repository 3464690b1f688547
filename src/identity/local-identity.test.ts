import assert from "node:assert/strict";
import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type Permission, ROLES, type Role } from "../operations/index.ts";
import { CadreError, type ErrorCode, realWorld } from "../platform/index.ts";
import { localIdentity } from "./index.ts";

const world = realWorld();

async function freshFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "cadre-identity-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return join(folder, "home");
}

const withCode = (code: ErrorCode) => (error: unknown) =>
  error instanceof CadreError && error.code === code;

test("the token is 256 bits, readable by the owner only, and the same at every start", async (t) => {
  const folder = await freshFolder(t);

  const first = await localIdentity({ folder, world });
  const second = await localIdentity({ folder, world });

  assert.equal(Buffer.from(first.token, "base64url").length, 32);
  assert.equal(second.token, first.token);
  assert.equal((await stat(first.tokenFile)).mode & 0o777, 0o600);
  assert.equal((await readFile(first.tokenFile, "utf8")).trim(), first.token);
});

test("many that start at once get one token, and leave no draft behind", async (t) => {
  const folder = await freshFolder(t);

  const all = await Promise.all(Array.from({ length: 20 }, () => localIdentity({ folder, world })));

  assert.equal(new Set(all.map((one) => one.token)).size, 1);
  assert.deepEqual(await readdir(folder), ["token"]);
});

test("a token file that others can read is refused, and the error says how to mend it", async (t) => {
  const folder = await freshFolder(t);
  const { tokenFile } = await localIdentity({ folder, world });
  await chmod(tokenFile, 0o640);

  await assert.rejects(localIdentity({ folder, world }), (error: CadreError) => {
    assert.equal(error.code, "invalid_config");
    assert.ok(error.next.includes(`chmod 600 ${tokenFile}`));
    return true;
  });
});

test("a token file that is a link, empty or garbage is refused", async (t) => {
  const folder = await freshFolder(t);
  const { tokenFile, token } = await localIdentity({ folder, world });
  const refused = () =>
    assert.rejects(localIdentity({ folder, world }), withCode("invalid_config"));

  await writeFile(tokenFile, "");
  await refused();
  await writeFile(tokenFile, "x".repeat(43).concat("/"));
  await refused();
  await rm(tokenFile);
  await writeFile(join(folder, "other"), token, { mode: 0o600 });
  await symlink(join(folder, "other"), tokenFile);
  await refused();
});

test("a folder that can't be made is said, not thrown raw", async (t) => {
  const folder = await freshFolder(t);
  await writeFile(folder, "a file in the way");

  await assert.rejects(localIdentity({ folder, world }), withCode("store_read_only"));
});

test("only the whole token is the local user; nothing and anything else is nobody", async (t) => {
  const { authenticator, token } = await localIdentity({ folder: await freshFolder(t), world });
  const bearer = (text: string) => authenticator.authenticate({ kind: "bearer", token: text });

  assert.deepEqual(bearer(token), { id: "user:local", kind: "user", roles: ["admin", "operator"] });
  for (const wrong of ["", token.slice(0, -1), `${token}x`, token.toLowerCase()]) {
    assert.throws(() => bearer(wrong), withCode("unauthenticated"));
  }
  assert.throws(() => authenticator.authenticate({ kind: "none" }), withCode("unauthenticated"));
});

test("code in this process is who it says it is", async (t) => {
  const { authenticator } = await localIdentity({ folder: await freshFolder(t), world });
  const node = { id: "node_1", kind: "node", roles: ["node"] } as const;

  assert.equal(authenticator.authenticate({ kind: "internal", principal: node }), node);
});

test("each role may do what its row says, and nothing else", async (t) => {
  const { authorizer } = await localIdentity({ folder: await freshFolder(t), world });
  const asked: readonly Permission[] = ["read", "operate", "administer", "work"];
  const granted = (roles: readonly Role[]) =>
    asked.filter((one) => authorizer.mayCall({ id: "user:x", kind: "user", roles }, one)).join(" ");

  assert.deepEqual(
    ROLES.map((role) => `${role}: ${granted([role])}`),
    [
      "admin: read operate administer work",
      "operator: read operate",
      "viewer: read",
      "node: read work",
    ],
  );
  assert.equal(granted([]), "");
  assert.equal(granted(["viewer", "node"]), "read work");
});
