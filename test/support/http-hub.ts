// A small real hub for tests of the HTTP face: real store, real pipeline, real sockets, few operations.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { z } from "zod";
import { createHttpFace, type HttpFaceOptions } from "../../src/faces/http/index.ts";
import { localIdentity } from "../../src/identity/index.ts";
import {
  createInvoker,
  eventOperations,
  eventStream,
  idempotencyMigration,
  type Operation,
  operation,
} from "../../src/operations/index.ts";
import {
  CadreError,
  idMaker,
  journalMigration,
  type Log,
  localBus,
  realWorld,
  silentLog,
  type World,
} from "../../src/platform/index.ts";
import { openTestStore } from "./store.ts";

const schema = {
  id: "0900-notes",
  up: [
    "CREATE TABLE notes (id TEXT PRIMARY KEY, text TEXT NOT NULL, version INTEGER NOT NULL, state TEXT NOT NULL)",
  ],
} as const;

const noteView = z.object({
  id: z.string(),
  text: z.string(),
  version: z.int(),
  state: z.string(),
});
const noteId = z.string().regex(/^(note|task)_[0-9a-z]+$/);

async function noteOf(tx: Parameters<Operation["handle"]>[0]["tx"], id: string) {
  const row = await tx.get("SELECT * FROM notes WHERE id = ?", id);
  if (row === undefined) throw new CadreError("not_found", `There is no note ${id}.`);
  return noteView.parse({ ...row });
}

const addNote = operation({
  name: "notes.add",
  summary: "Add a note.",
  effect: "write",
  permission: "operate",
  http: "POST /notes",
  input: z.strictObject({
    text: z.string().min(1),
    kind: z.enum(["note", "memo"]).default("note"),
    idempotencyKey: z.string().optional(),
  }),
  output: noteView,
  refusals: ["limit_exceeded"],
  async handle({ tx, newId, emit }, { text, kind }) {
    const id = newId("note");
    await tx.run("INSERT INTO notes (id, text, version, state) VALUES (?, ?, 1, 'new')", id, text);
    emit({ type: `${kind}.added`, root: `task_${kind}`, data: { id, text } });
    return noteOf(tx, id);
  },
});

const getNote = operation({
  name: "notes.get",
  summary: "Show one note.",
  effect: "read",
  permission: "read",
  http: "GET /notes/:id",
  input: z.strictObject({ id: noteId }),
  output: noteView,
  refusals: ["not_found"],
  handle: ({ tx }, { id }) => noteOf(tx, id),
});

const listNotes = operation({
  name: "notes.list",
  summary: "List notes.",
  effect: "read",
  permission: "read",
  http: "GET /notes",
  input: z.strictObject({
    limit: z.coerce.number().int().min(1).max(100).default(10),
    cursor: z.string().optional(),
    state: z.string().optional(),
  }),
  output: z.object({ items: z.array(noteView), next: z.string().nullable() }),
  refusals: [],
  async handle({ tx }, { limit, cursor }) {
    const rows = await tx.all(
      "SELECT * FROM notes WHERE id > ? ORDER BY id LIMIT ?",
      cursor ?? "",
      limit,
    );
    const items = rows.map((row) => noteView.parse({ ...row }));
    return { items, next: items.length === limit ? (items.at(-1)?.id ?? null) : null };
  },
});

const changeNote = operation({
  name: "notes.change",
  summary: "Change a note.",
  effect: "write",
  permission: "operate",
  http: "PATCH /notes/:id",
  input: z.strictObject({ id: noteId, version: z.int().optional(), text: z.string() }),
  output: noteView,
  refusals: ["not_found", "stale_write"],
  async handle({ tx }, { id, version, text }) {
    const note = await noteOf(tx, id);
    if (version !== undefined && version !== note.version) {
      throw new CadreError("stale_write", `${id} is at version ${note.version} by now.`);
    }
    await tx.run("UPDATE notes SET text = ?, version = version + 1 WHERE id = ?", text, id);
    return noteOf(tx, id);
  },
});

const breakNote = operation({
  name: "notes.break",
  summary: "Meet a bug.",
  effect: "read",
  permission: "read",
  http: "GET /notes/break",
  input: z.strictObject({}),
  output: z.object({}),
  refusals: [],
  handle: () => Promise.reject(new Error("secret inner words")),
});

const claimNote = operation({
  name: "notes.rule",
  summary: "Do what only an admin may.",
  effect: "write",
  permission: "administer",
  http: "PUT /notes/:id/rule",
  input: z.strictObject({ id: noteId, big: z.string().optional() }),
  output: z.object({}),
  refusals: [],
  inputBytesMax: 4 * 1024 * 1024,
  handle: () => Promise.resolve({}),
});

const submit = operation({
  name: "tasks.submit",
  summary: "Queue something that ends.",
  effect: "write",
  permission: "operate",
  http: "POST /tasks",
  input: z.strictObject({ text: z.string() }),
  output: noteView,
  refusals: [],
  async handle({ tx, newId, emit }, { text }) {
    const id = newId("task");
    await tx.run(
      "INSERT INTO notes (id, text, version, state) VALUES (?, ?, 1, 'queued')",
      id,
      text,
    );
    emit({ type: "task.created", task: id, data: {} });
    return noteOf(tx, id);
  },
});

const getTask = operation({ ...getNote, name: "tasks.get", http: "GET /tasks/:id" });

const finish = operation({
  name: "tasks.finish",
  summary: "End it.",
  effect: "write",
  permission: "work",
  http: "POST /tasks/:id/finish",
  input: z.strictObject({ id: noteId }),
  output: noteView,
  refusals: [],
  async handle({ tx, emit }, { id }) {
    await tx.run("UPDATE notes SET state = 'completed', version = version + 1 WHERE id = ?", id);
    emit({ type: "task.completed", task: id, data: {} });
    return noteOf(tx, id);
  },
});

const noteOperations = [
  addNote,
  getNote,
  listNotes,
  changeNote,
  breakNote,
  claimNote,
  submit,
  getTask,
  finish,
  ...eventOperations,
] as const;

/** The real world, but for sleeps of ten seconds and more: those end when the test says so. */
export function patientWorld(): World & { passLongSleeps(): void } {
  const world = realWorld();
  let sleepers = new Set<() => void>();
  return {
    ...world,
    clock: {
      ...world.clock,
      sleep: (ms, signal) =>
        ms < 10_000
          ? world.clock.sleep(ms, signal)
          : new Promise((resolve, reject) => {
              const wake = () => resolve();
              sleepers.add(wake);
              const stop = () => {
                sleepers.delete(wake);
                reject(signal?.reason);
              };
              if (signal?.aborted === true) stop();
              else signal?.addEventListener("abort", stop, { once: true });
            }),
    },
    passLongSleeps() {
      const due = sleepers;
      sleepers = new Set();
      for (const wake of due) wake();
    },
  };
}

type Extra = Partial<Pick<HttpFaceOptions, "rate" | "config">> & {
  readonly world?: World;
  readonly log?: Log;
};

/** A hub that listens on a free port of 127.0.0.1, closed after the test. */
export async function startHttpHub(t: TestContext, extra: Extra = {}) {
  const world = extra.world ?? realWorld();
  const store = await openTestStore(t, [journalMigration, idempotencyMigration, schema]);
  const home = await mkdtemp(join(tmpdir(), "cadre-http-"));
  t.after(() => rm(home, { recursive: true, force: true }));
  const bus = localBus();
  const { authenticator, authorizer, token, tokenFile } = await localIdentity({
    folder: home,
    world,
  });
  const invoker = createInvoker(
    { store, bus, world, newId: idMaker(world), authenticator, authorizer },
    noteOperations,
  );
  const stream = eventStream({ store, bus, world });
  const config = extra.config ?? { host: "127.0.0.1", port: 0, insecureRemote: false };
  const options: HttpFaceOptions = {
    invoker,
    stream,
    world,
    log: extra.log ?? silentLog,
    config,
    facts: { version: "1.2.3" },
    ...(extra.rate === undefined ? {} : { rate: extra.rate }),
  };
  const face = await createHttpFace(options);
  t.after(() => face.close());
  const { url } = face;

  /** One REST call with the owner's token. */
  const rest = async (method: string, path: string, body?: unknown, headers: object = {}) => {
    const response = await fetch(`${url}/api/v2${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined
        ? {}
        : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, body: jsonOf(text) };
  };
  /**
   * The positions of all that is committed, read past the stream, as soon as the stream may tell the
   * last of them: on Postgres a neighbour's open transaction holds that up for a moment.
   */
  const journal = async (): Promise<readonly number[]> => {
    const rows = await store.read((tx) => tx.all("SELECT position FROM journal ORDER BY position"));
    const positions = rows.map((row) => Number(row["position"]));
    const last = positions.at(-1);
    if (last === undefined) return positions;
    for await (const _event of stream.follow({}, { after: last - 1 })) break;
    return positions;
  };
  return {
    url,
    port: Number(new URL(url).port),
    token,
    tokenFile,
    rest,
    journal,
    face,
    options,
    invoker,
    stream,
    store,
    bus,
    world,
  };
}

/** The answer's fields; none when it is no JSON object. */
function jsonOf(text: string): { readonly [field: string]: unknown } {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
