// identity: who is calling, and what each role may do.
//
// Owns no table yet; one file, `<home>/token`. Imports platform, operations.
// F8. Local single-user mode: one secret that only the owner of the folder can read.
// A caller that shows nothing, or something wrong, is nobody: there is no anonymous reader.
// Read in order: roles.ts, token-file.ts, local-identity.ts.
export { type LocalIdentity, localIdentity } from "./local-identity.ts";
