// Who may talk to this listener at all, told from the headers of the connection alone.
//
// DESIGN. A page of a foreign site can make a browser send requests to 127.0.0.1, directly or by
// giving its own name that address (DNS rebinding). Both show: the first by `Origin`, the second by
// `Host`, which is the name the browser believes it speaks to. Names are therefore listed. Addresses
// written as numbers can't be rebound, so a hub that listens everywhere answers to any of them.
import { isIP } from "node:net";

export type Listener = {
  /** As configured: a name or an address, possibly a wildcard. */
  readonly host: string;
  readonly port: number;
  readonly isTls: boolean;
};

/** Undefined when the request may go on, else what is wrong with it. */
export function refusedBecause(
  listener: Listener,
  headers: { readonly host?: string | undefined; readonly origin?: string | undefined },
): string | undefined {
  const { host, origin } = headers;
  if (host === undefined || !isOwnHost(listener, host)) {
    return `The Host header names "${host ?? ""}", which is not this hub.`;
  }
  const scheme = listener.isTls ? "https" : "http";
  // Both come from the browser about one request: the same origin means the same text.
  if (origin !== undefined && origin.toLowerCase() !== `${scheme}://${host.toLowerCase()}`) {
    return `The request comes from another site (${origin}).`;
  }
  return undefined;
}

function isOwnHost(listener: Listener, header: string): boolean {
  const parts = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(\d{1,5}))?$/i.exec(header);
  if (parts === null) return false;
  const name = unbracket((parts[1] ?? "").toLowerCase());
  const port = parts[2] === undefined ? defaultPort(listener) : Number(parts[2]);
  if (port !== listener.port) return false;
  if (name === "localhost" || isLoopbackAddress(name)) return true;
  if (isWildcard(listener.host)) return isIP(name) !== 0;
  return name === unbracket(listener.host.toLowerCase());
}

const unbracket = (host: string): string => host.replace(/^\[|\]$/g, "");
const defaultPort = (listener: Listener): number => (listener.isTls ? 443 : 80);
const isWildcard = (host: string): boolean => host === "0.0.0.0" || unbracket(host) === "::";
const isLoopbackAddress = (name: string): boolean =>
  name === "::1" || (isIP(name) === 4 && name.startsWith("127."));

/** Is a configured host reachable from this machine only? */
export const isLoopback = (host: string): boolean =>
  host.toLowerCase() === "localhost" || isLoopbackAddress(unbracket(host.toLowerCase()));
