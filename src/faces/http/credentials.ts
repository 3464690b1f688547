// What a request shows about its caller.
import type { Credentials } from "../../operations/index.ts";

/** The subprotocol a browser's WebSocket carries its token in, as it can't set headers. */
const BEARER_PROTOCOL = "cadre.bearer.";

/** From the Authorization header. Another scheme than Bearer shows nothing we know. */
export function credentialsOf(authorization: string | undefined): Credentials {
  const token = /^bearer +(\S+)$/i.exec(authorization ?? "")?.[1];
  return token === undefined ? { kind: "none" } : { kind: "bearer", token };
}

/** From the header or, else, from the subprotocols a WebSocket offers. */
export function socketCredentials(headers: {
  readonly authorization?: string | undefined;
  readonly "sec-websocket-protocol"?: string | undefined;
}): Credentials {
  const shown = credentialsOf(headers.authorization);
  if (shown.kind !== "none") return shown;
  const offered = (headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim());
  const bearer = offered.find((name) => name.startsWith(BEARER_PROTOCOL));
  return bearer === undefined
    ? { kind: "none" }
    : { kind: "bearer", token: bearer.slice(BEARER_PROTOCOL.length) };
}
