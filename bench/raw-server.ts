// The floor of HTTP: bare node:http with answers as long as ours; a POST is one durable row.
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { childArgument, tellParent } from "./child.ts";
import { groupCommits } from "./floors.ts";

export type RawServer = { readonly folder: string; readonly answerBytes: number };

const { folder, answerBytes } = childArgument<RawServer>();
const db = new DatabaseSync(join(folder, "raw.db"));
db.exec(
  "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE rows (id INTEGER PRIMARY KEY, text TEXT)",
);
const insert = db.prepare("INSERT INTO rows (text) VALUES (?)");
const write = groupCommits(db);
const answer = JSON.stringify({ text: "x".repeat(Math.max(0, answerBytes - 11)) });

async function read(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}

const server = createServer((request, response) => {
  response.setHeader("content-type", "application/json");
  if (request.method !== "POST") {
    response.end(answer);
    return;
  }
  void read(request)
    .then((text) => write(() => insert.run(JSON.stringify(JSON.parse(text)))))
    .then(() => response.end(answer));
});

server.listen(0, "127.0.0.1", () => {
  tellParent({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` });
});
