// Two questions a supervisor asks: is the process alive, and is the hub fit for work?
import type { FastifyInstance } from "fastify";
import { CadreError, messageOf } from "../../platform/index.ts";
import type { FaceParts } from "./parts.ts";

export function registerHealth(app: FastifyInstance, parts: FaceParts): void {
  const { facts, stream, closing } = parts;

  // No auth and nothing behind it: it says only that the loop turns.
  app.get("/health", (_request, reply) =>
    reply
      .header("cache-control", "no-store")
      .send({ status: "ok", name: "cadre", version: facts.version }),
  );

  // A store that opened has every migration of this program, or it would have been refused.
  app.get("/ready", async (_request, reply) => {
    if (closing.aborted) throw new CadreError("not_ready", "The hub is stopping.");
    try {
      await stream.head();
    } catch (error) {
      throw new CadreError("not_ready", `The store does not answer a read: ${messageOf(error)}`, {
        cause: error,
      });
    }
    return reply.header("cache-control", "no-store").send({ status: "ready" });
  });
}
