// Where the hub listens: loopback, unless the configuration says in so many words how else.
import { readFile } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import { CadreError, type ErrorCode, messageOf, type World } from "../../platform/index.ts";
import { isLoopback } from "./guard.ts";
import { type Holder, holderOf } from "./port-holder.ts";

/** The `listen` part of the configuration. */
export type ListenConfig = {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly insecureRemote: boolean;
  /** Paths of the certificate and its key. */
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
};

const PROBE_MS = 1_000;

/** Refuses to be reachable from elsewhere by accident. Errors: `invalid_config`. */
export function checkListen(config: ListenConfig): void {
  if (isLoopback(config.host) || config.tls !== undefined || config.insecureRemote) return;
  throw new CadreError(
    "invalid_config",
    `Listening on ${config.host} would let other machines talk to this hub in the clear. Give it a certificate, or say that this is meant.`,
    {
      details: { host: config.host },
      next: [
        "listen.tls: { cert: FILE, key: FILE }",
        "listen.insecureRemote: true",
        "listen.host: 127.0.0.1",
      ],
    },
  );
}

/** The certificate and its key. Errors: `invalid_config` when they can't be read or used. */
export async function readTls(
  tls: NonNullable<ListenConfig["tls"]>,
): Promise<{ cert: Buffer; key: Buffer }> {
  const read = async (field: "cert" | "key") => {
    try {
      return await readFile(tls[field]);
    } catch (error) {
      throw new CadreError(
        "invalid_config",
        `listen.tls.${field}: ${tls[field]} can't be read: ${messageOf(error)}.`,
        { details: { file: tls[field] }, cause: error },
      );
    }
  };
  const pair = { cert: await read("cert"), key: await read("key") };
  try {
    createSecureContext(pair);
  } catch (error) {
    throw new CadreError(
      "invalid_config",
      `listen.tls: ${tls.cert} and ${tls.key} are no certificate and its key in PEM: ${messageOf(error)}.`,
      { details: { files: [tls.cert, tls.key] }, cause: error },
    );
  }
  return pair;
}

/** What a failed `listen` means, after a look at who answers there. */
export async function listenFailure(
  error: unknown,
  config: ListenConfig,
  world: Pick<World, "fetch" | "clock">,
): Promise<CadreError> {
  const reason = (error as NodeJS.ErrnoException | null)?.code;
  const details = { host: config.host, port: config.port };
  if (reason === "EADDRINUSE") {
    const holder = await holderOf(config.port);
    const found = await whoAnswers(config, world, holder);
    return new CadreError("port_taken", `Port ${config.port} is taken by ${found.what}`, {
      details: {
        ...details,
        isCadre: found.isCadre,
        ...(holder === undefined ? {} : { pid: holder.pid }),
      },
      next: [
        ...(found.isCadre ? ["cadre status"] : []),
        `cadre up --port ${nextPort(config.port)}`,
      ],
      cause: error,
    });
  }
  const code: ErrorCode = "invalid_config";
  if (reason === "EACCES") {
    return new CadreError(
      code,
      `Port ${config.port} on ${config.host} is not allowed to this user; use one above 1023.`,
      { details, next: ["cadre up --port 4141"], cause: error },
    );
  }
  return new CadreError(
    code,
    `Can't listen on ${config.host}:${config.port}: ${messageOf(error)}. Use an address of this machine.`,
    { details, cause: error },
  );
}

const nextPort = (port: number): number => (port < 65_535 ? port + 1 : port - 1);

type Found = { readonly isCadre: boolean; readonly what: string };

async function whoAnswers(
  config: ListenConfig,
  world: Pick<World, "fetch" | "clock">,
  holder: Holder | undefined,
): Promise<Found> {
  const pid = holder === undefined ? "" : `, pid ${holder.pid}`;
  const other = `another program${holder === undefined ? "" : ` (pid ${holder.pid}, ${holder.name})`}`;
  const scheme = config.tls === undefined ? "http" : "https";
  const timeout = new AbortController();
  const bounded = new AbortController();
  const timer = world.clock.sleep(PROBE_MS, timeout.signal).then(
    () => bounded.abort(new Error(`no answer within ${PROBE_MS} ms`)),
    () => undefined,
  );
  try {
    const response = await world.fetch(`${scheme}://${authority(config)}/health`, {
      signal: bounded.signal,
      redirect: "manual",
    });
    const text = await response.text();
    const version = cadreVersion(text);
    if (version !== undefined) {
      return {
        isCadre: true,
        what: `another Cadre hub (version ${version}${pid}): it answers there.`,
      };
    }
    return {
      isCadre: false,
      what: `${other}. It isn't a Cadre hub: GET /health answered ${response.status}.`,
    };
  } catch (error) {
    return {
      isCadre: false,
      what: `${other}. It doesn't answer as a Cadre hub: GET /health failed (${messageOf(error)}).`,
    };
  } finally {
    timeout.abort();
    await timer;
  }
}

function cadreVersion(text: string): string | undefined {
  try {
    const health = JSON.parse(text) as { name?: unknown; version?: unknown } | null;
    return health?.name === "cadre" ? String(health.version) : undefined;
  } catch {
    // Not JSON: not ours.
    return undefined;
  }
}

/** `127.0.0.1:4141`, `[::1]:4141`; a wildcard is reached over loopback. */
export function authority(address: { readonly host: string; readonly port: number }): string {
  const host = { "0.0.0.0": "127.0.0.1", "::": "::1", "[::]": "::1" }[address.host] ?? address.host;
  return `${host.includes(":") && !host.startsWith("[") ? `[${host}]` : host}:${address.port}`;
}
