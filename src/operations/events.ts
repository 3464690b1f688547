// The journal as an operation: for faces that ask once rather than follow.
import { z } from "zod";
import { iso, type JournalEvent, journalHead, readEvents } from "../platform/index.ts";
import { type ContractOf, operation } from "./operation.ts";

export const eventView = z.object({
  position: z.int(),
  type: z.string(),
  at: z.iso.datetime(),
  actor: z.string(),
  root: z.string().optional(),
  task: z.string().optional(),
  run: z.string().optional(),
  correlation: z.string().optional(),
  data: z.record(z.string(), z.json()),
});
export type EventView = z.output<typeof eventView>;

/** An event as faces show it: the same, its time written out. */
export const viewOf = (event: JournalEvent): EventView => ({
  ...event,
  at: iso(event.at),
  data: { ...event.data } as EventView["data"],
});

const encoded = new WeakMap<JournalEvent, string>();

/** An event's view as JSON, written out once however many viewers it goes to. */
export function encodeEvent(event: JournalEvent): string {
  let text = encoded.get(event);
  if (text === undefined) {
    text = JSON.stringify(viewOf(event));
    encoded.set(event, text);
  }
  return text;
}

/** What to hear of: the same filter for a list and for a stream. */
export const eventFilter = {
  root: z.string().optional(),
  task: z.string().optional(),
  run: z.string().optional(),
  /** Exact types, or whole nouns as `task.*`; several separated by commas. */
  types: z
    .union([z.string().transform((text) => text.split(",").filter(Boolean)), z.array(z.string())])
    .optional(),
};

export const listEvents = operation({
  name: "events.list",
  summary: "List events after a position, in order.",
  effect: "read",
  permission: "read",
  http: "GET /events",
  input: z.strictObject({
    ...eventFilter,
    after: z.coerce.number().int().min(0).default(0),
    limit: z.coerce.number().int().min(1).max(1_000).default(100),
  }),
  output: z.object({
    items: z.array(eventView),
    /** Ask again after this position; the newest one there is when the list came to its end. */
    next: z.int(),
  }),
  refusals: [],
  command: null,
  async handle({ tx }, { after, limit, ...given }) {
    const { types, ...rest } = given;
    const filter = Object.fromEntries(
      Object.entries(rest).filter(([, value]) => value !== undefined),
    );
    const events = await readEvents(
      tx,
      types === undefined ? filter : { ...filter, types },
      after,
      limit,
    );
    const last = events.at(-1);
    const next =
      events.length === limit && last !== undefined
        ? last.position
        : Math.max(after, await journalHead(tx));
    return { items: events.map(viewOf), next };
  },
});

export const eventOperations = [listEvents] as const;
export type EventContract = ContractOf<typeof eventOperations>;
