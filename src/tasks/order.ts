// T4. Who is next: by priority, then by turn, so that nobody is locked out and nobody starves.
//
// DESIGN. Start-time fair queueing (Goyal, Vin and Cheng, 1996) between roots. A task that joins
// the queue gets a turn: the smallest turn still queued at its urgency (the virtual time), or one
// more than the largest turn its own root has queued there, whichever is later. A root with 10,000
// tasks thus holds the turns 1 to 10,000, and one that comes later with three starts at today's
// turn, not behind them. Tasks of one turn go by age (ids grow with time).
// Urgency starts as the priority and is lifted by one for every AGE_STEP_MS of waiting. At the top
// a lift gives today's turn instead. Limits: fair between roots, not between agents or nodes.
import type { Millis } from "../platform/index.ts";
import { canServe, type NodeOffer, type Offer, parseRoute } from "./route.ts";

export const URGENCY_MAX = 9;
/** A queued task that waited this long rises by one urgency. */
export const AGE_STEP_MS: Millis = 300_000;

/** The turn of a task that joins, from the turns that are queued at its urgency. */
export function nextTurn(smallestQueued: number | null, largestOfRoot: number | null): number {
  return Math.max(smallestQueued ?? 1, largestOfRoot === null ? 1 : largestOfRoot + 1);
}

export type Head = {
  readonly id: string;
  readonly route: string;
  readonly urgency: number;
  readonly turn: number;
  readonly preferred: readonly string[];
};

/** Negative when `a` goes first. */
export function byOrder(a: Head, b: Head): number {
  return b.urgency - a.urgency || a.turn - b.turn || (a.id < b.id ? -1 : 1);
}

export type Chosen<H extends Head> = { readonly head: H; readonly agent: string };

/** Lines this node can serve now, each with the offers that can. */
export function servable(
  routes: readonly string[],
  node: NodeOffer,
  free: { readonly [agent: string]: number },
): Map<string, Offer[]> {
  const open = node.offers.filter((offer) => (free[offer.agent] ?? 0) > 0);
  const lines = new Map<string, Offer[]>();
  for (const text of routes) {
    const route = parseRoute(text);
    const able = open.filter((offer) => canServe(route, offer, node));
    if (able.length > 0) lines.set(text, able);
  }
  return lines;
}

/** Gives the heads of several lines to agents with free slots, best first, at most `limit`. */
export function assignHeads<H extends Head>(
  heads: readonly H[],
  lines: ReadonlyMap<string, readonly Offer[]>,
  free: { readonly [agent: string]: number },
  limit: number,
): Chosen<H>[] {
  const left = new Map(Object.entries(free));
  const chosen: Chosen<H>[] = [];
  for (const head of [...heads].sort(byOrder)) {
    if (chosen.length >= limit) break;
    const able = (lines.get(head.route) ?? []).filter((offer) => (left.get(offer.agent) ?? 0) > 0);
    const best = bestOffer(able, head.preferred, left);
    if (best === undefined) continue;
    left.set(best.agent, (left.get(best.agent) ?? 0) - 1);
    chosen.push({ head, agent: best.agent });
  }
  return chosen;
}

/** Most of the preferred capabilities, then the least loaded, then the first offered. */
function bestOffer(
  able: readonly Offer[],
  preferred: readonly string[],
  left: ReadonlyMap<string, number>,
): Offer | undefined {
  let best: { readonly offer: Offer; readonly liked: number; readonly load: number } | undefined;
  for (const offer of able) {
    const liked = preferred.filter((name) => offer.capabilities.includes(name)).length;
    const load = 1 - (left.get(offer.agent) ?? 0) / Math.max(1, offer.slots);
    if (best === undefined || liked > best.liked || (liked === best.liked && load < best.load)) {
      best = { offer, liked, load };
    }
  }
  return best?.offer;
}
