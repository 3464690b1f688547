// WebSocket: who may open one, and how a refusal is told before there is one.
import { type Server as HttpServer, type IncomingMessage, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { INPUT_BYTES_MAX } from "../../operations/index.ts";
import { CadreError } from "../../platform/index.ts";
import { socketCredentials } from "./credentials.ts";
import { refusedBecause } from "./guard.ts";
import { API, type FaceParts } from "./parts.ts";
import { classify, problemOf } from "./problem.ts";
import { Session } from "./session.ts";

const SOCKET_PATH = `${API}/ws`;
/** The protocol a client should name beside the one that carries its token. */
const SUBPROTOCOL = "cadre.v2";
/** Room for what is around the input of a call. */
const ENVELOPE_BYTES = 64 * 1024;

export type Sockets = {
  /** Says goodbye to every session, then cuts those that do not answer. */
  close(): void;
};

/** Serves JSON-RPC sessions on upgrades to `/api/v2/ws`. */
export function serveSockets(server: HttpServer, parts: FaceParts): Sockets {
  const largest = [...parts.invoker.operations.values()].map((op) => op.inputBytesMax ?? 0);
  const sockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: Math.max(INPUT_BYTES_MAX, ...largest) + ENVELOPE_BYTES,
    handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
  });
  const sessions = new Set<Session>();

  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // Until ws has it, the socket's errors are nobody's; a reset by the peer is no fault of ours.
    const onError = () => socket.destroy();
    socket.on("error", onError);
    try {
      const credentials = admitUpgrade(request, parts);
      sockets.handleUpgrade(request, socket, head, (opened) => {
        socket.off("error", onError);
        const session = new Session(parts, opened, credentials);
        sessions.add(session);
        opened.once("close", () => sessions.delete(session));
      });
    } catch (error) {
      refuse(parts, request, socket, error);
    }
  });

  return {
    close: () => {
      for (const session of sessions) session.close();
    },
  };
}

function admitUpgrade(request: IncomingMessage, parts: FaceParts) {
  const { headers } = request;
  const refusal = refusedBecause(parts.listener(), headers);
  if (refusal !== undefined) throw new CadreError("forbidden", refusal);
  const path = (request.url ?? "").split("?", 1)[0];
  if (path !== SOCKET_PATH) {
    throw new CadreError(
      "not_found",
      `No WebSocket is served at ${path}; it is at ${SOCKET_PATH}.`,
    );
  }
  const { isAllowed, waitMs } = parts.limit(`address ${request.socket.remoteAddress ?? ""}`);
  if (!isAllowed) {
    throw new CadreError("rate_limited", "Too many requests from this address; slow down.", {
      details: { retryAfterMs: Math.ceil(waitMs) },
    });
  }
  const credentials = socketCredentials(headers);
  parts.invoker.admit(credentials, "read");
  return credentials;
}

/** There is no reply object yet: the answer is written to the socket by hand. */
function refuse(parts: FaceParts, request: IncomingMessage, socket: Duplex, error: unknown): void {
  const known = classify(error);
  const problem = problemOf(known, parts.newRequestId());
  if (problem.status >= 500) {
    parts.log.error({ err: known, url: request.url }, "A WebSocket could not be opened.");
  }
  const body = JSON.stringify(problem);
  const challenge = problem.status === 401 ? "WWW-Authenticate: Bearer\r\n" : "";
  socket.end(
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status] ?? ""}\r\n` +
      `Connection: close\r\nContent-Type: application/problem+json; charset=utf-8\r\n${challenge}` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
