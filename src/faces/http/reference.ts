// Where the reference is served. It says what every copy of this program says: no token is asked.
import { createHash } from "node:crypto";
import type { FastifyInstance } from "fastify";
import { openApiDocument } from "./openapi.ts";
import { API, type FaceParts } from "./parts.ts";
import { REFERENCE_STYLE, referencePage } from "./reference-page.ts";

const styleHash = createHash("sha256").update(REFERENCE_STYLE).digest("base64");
// Nothing may be loaded, run, framed or sent from the page.
const POLICY = `default-src 'none'; style-src 'sha256-${styleHash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

export function registerReference(app: FastifyInstance, parts: FaceParts): void {
  // Made when first asked for: a start is not slowed by it.
  let made: { readonly json: string; readonly page: string } | undefined;
  const reference = () => {
    if (made === undefined) {
      const document = openApiDocument(parts.invoker.operations.values(), parts.facts);
      made = { json: JSON.stringify(document), page: referencePage(document) };
    }
    return made;
  };

  app.get(`${API}/openapi.json`, (_request, reply) =>
    reply.type("application/json; charset=utf-8").send(reference().json),
  );
  app.get(`${API}/docs`, (_request, reply) =>
    reply
      .header("content-security-policy", POLICY)
      .header("referrer-policy", "no-referrer")
      .type("text/html; charset=utf-8")
      .send(reference().page),
  );
  // A problem's `type` leads here.
  app.get<{ Params: { code: string } }>("/errors/:code", (request, reply) =>
    reply.redirect(`${API}/docs#error-${encodeURIComponent(request.params.code)}`),
  );
}
