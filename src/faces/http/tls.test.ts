// The face behind a certificate: the pair in test/support/tls, self-signed, good until 2120.
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { WebSocket } from "ws";
import { startHttpHub } from "../../../test/support/http-hub.ts";
import { CadreError } from "../../platform/index.ts";

const fileOf = (name: string) =>
  fileURLToPath(new URL(`../../../test/support/tls/${name}`, import.meta.url));
const cert = fileOf("cert.pem");
const key = fileOf("key.pem");
const ca = readFileSync(cert);

// Beyond loopback, and not a word about that being meant: the certificate is the word.
const config = { host: "0.0.0.0", port: 0, insecureRemote: false, tls: { cert, key } };

async function get(url: string, headers: Record<string, string> = {}): Promise<number> {
  const call = request(url, { ca, headers, agent: false });
  call.end();
  const [response] = (await once(call, "response")) as [IncomingMessage];
  response.resume();
  return response.statusCode ?? 0;
}

test("with a certificate the hub speaks TLS and nothing else, requests and sockets alike", async (t) => {
  const hub = await startHttpHub(t, { config });
  const authorization = `Bearer ${hub.token}`;
  const address = `127.0.0.1:${hub.port}`;

  assert.equal(hub.url, `https://${address}`);
  assert.equal(await get(`${hub.url}/api/v2/notes`, { authorization }), 200);
  assert.equal(await get(`${hub.url}/api/v2/notes`), 401);
  await assert.rejects(fetch(`http://${address}/health`));
  await assert.rejects(fetch(`https://${address}/health`), "its certificate is not trusted unseen");
  const socket = new WebSocket(`wss://${address}/api/v2/ws`, { ca, headers: { authorization } });
  t.after(() => socket.terminate());
  await once(socket, "open");
});

test("the same page in the clear is another site", async (t) => {
  const hub = await startHttpHub(t, { config });
  const from = (origin: string) => get(`${hub.url}/health`, { origin });

  assert.equal(await from(hub.url), 200);
  assert.equal(await from(hub.url.replace("https", "http")), 403);
});

test("a certificate that is none, or goes with another key, is refused before anything listens", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "cadre-tls-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const garbage = join(folder, "garbage.pem");
  await writeFile(garbage, "no certificate");
  const another = join(folder, "another.pem");
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  await writeFile(another, privateKey.export({ type: "pkcs8", format: "pem" }));

  for (const tls of [
    { cert: garbage, key },
    { cert, key: garbage },
    { cert, key: another },
  ]) {
    await assert.rejects(startHttpHub(t, { config: { ...config, tls } }), (error) => {
      assert.ok(error instanceof CadreError && error.code === "invalid_config", String(error));
      assert.match(
        error.message,
        /^listen\.tls: .+\.pem and .+\.pem are no certificate and its key/,
      );
      return true;
    });
  }
});
