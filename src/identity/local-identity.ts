// F8, local single-user mode: whoever can read the token file is the owner.
import { createHash, timingSafeEqual } from "node:crypto";
import type { Authenticator, Authorizer, Principal } from "../operations/index.ts";
import { CadreError, type World } from "../platform/index.ts";
import { roleAuthorizer } from "./roles.ts";
import { loadToken } from "./token-file.ts";

export type LocalIdentity = {
  readonly authenticator: Authenticator;
  readonly authorizer: Authorizer;
  readonly token: string;
  readonly tokenFile: string;
};

const LOCAL_USER: Principal = { id: "user:local", kind: "user", roles: ["admin", "operator"] };

/**
 * The identity of a hub with one owner: the token of `folder` is `user:local`, made on first use.
 * Errors: `invalid_config` when the token file is open to others or broken, `store_read_only`.
 */
export async function localIdentity(options: {
  readonly folder: string;
  readonly world: Pick<World, "random">;
}): Promise<LocalIdentity> {
  const { token, file } = await loadToken(options.folder, options.world);
  return {
    authenticator: tokenAuthenticator(token, file),
    authorizer: roleAuthorizer,
    token,
    tokenFile: file,
  };
}

function tokenAuthenticator(token: string, file: string): Authenticator {
  const expected = digest(token);
  return {
    authenticate(credentials) {
      switch (credentials.kind) {
        case "internal":
          return credentials.principal;
        case "none":
          throw unauthenticated("No token was shown.", file);
        case "bearer":
          // Digests have one length, so the comparison tells nothing, not even how long the token is.
          if (timingSafeEqual(digest(credentials.token), expected)) return LOCAL_USER;
          throw unauthenticated("The token is not the one of this hub.", file);
      }
    },
  };
}

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

function unauthenticated(what: string, file: string): CadreError {
  return new CadreError("unauthenticated", `${what} Send "Authorization: Bearer TOKEN".`, {
    next: [`cat ${file}`],
  });
}
