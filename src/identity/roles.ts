// What each role may ask for at all. Finer rules (which task, which node) are policies, not roles.
import type { Authorizer, Permission, Role } from "../operations/index.ts";

const TABLE: { readonly [R in Role]: readonly Permission[] } = {
  // An admin may also work: until nodes have credentials of their own, a node that joins from
  // another process shows the owner's.
  admin: ["read", "operate", "administer", "work"],
  operator: ["read", "operate"],
  viewer: ["read"],
  node: ["read", "work"],
};

const GRANTED: ReadonlySet<string> = new Set(
  Object.entries(TABLE).flatMap(([role, permissions]) => permissions.map((p) => `${role} ${p}`)),
);

/** Answers from the role table alone. */
export const roleAuthorizer: Authorizer = {
  mayCall: (principal, permission) =>
    principal.roles.some((role) => GRANTED.has(`${role} ${permission}`)),
  // The role was asked before the input was parsed; no resource is closed to a role yet.
  mayAct: () => true,
};
