// Who calls, and what callers may do at all. The rooms behind these ports come from app.ts.
import type { Resource } from "./operation.ts";

export const ROLES = ["admin", "operator", "viewer", "node"] as const;
export type Role = (typeof ROLES)[number];

/** What a role is asked for. `work` is what a node needs to claim tasks and record runs. */
export type Permission = "read" | "operate" | "administer" | "work";

export type Principal = {
  /** `user:local`, `node_…`, `agent:coder`. */
  readonly id: string;
  readonly kind: "user" | "node" | "agent" | "hub";
  readonly roles: readonly Role[];
};

/** What a face can show for a caller. `internal` is made only by code in this process. */
export type Credentials =
  | { readonly kind: "internal"; readonly principal: Principal }
  | { readonly kind: "bearer"; readonly token: string }
  | { readonly kind: "none" };

export interface Authenticator {
  /** The caller, or throws `unauthenticated`. Pure over its own state: no network, no store. */
  authenticate(credentials: Credentials): Principal;
}

export interface Authorizer {
  /** May this caller call operations of this permission at all? Asked before input is parsed. */
  mayCall(principal: Principal, permission: Permission): boolean;
  /** May it act on this resource? Asked with the parsed input's own words. */
  mayAct(principal: Principal, permission: Permission, resource: Resource): boolean;
}
