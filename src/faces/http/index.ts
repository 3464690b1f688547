// http: operations as REST, the journal as SSE and WebSocket, the reference as a page.
//
// Owns no table and no rule. Imports platform, operations.
// F2. Every operation has its route; every error is a problem document (RFC 9457).
// F3. Streams resume from a cursor; a slow reader never grows the hub's memory.
// F8. Loopback unless told otherwise; Host and Origin are checked before anything else.
// Read in order: guard.ts, problem.ts, routes.ts, face.ts, frames.ts, sse.ts, socket.ts, session.ts,
// openapi.ts, reference-page.ts.
export { createHttpFace, type HttpFace, type HttpFaceOptions } from "./face.ts";
export { openApiDocument } from "./openapi.ts";
