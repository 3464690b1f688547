// T5. Who can run a task, as one text: tasks with the same route stand in the same line.
//
// DESIGN. A worker does not look at tasks to find out which it can do; it looks at routes, of
// which there are few, and takes the head of each line it can serve. A route is the canonical JSON
// of everything that decides it, so equal needs are equal texts.
import { boundedCache } from "../platform/index.ts";
import type { TaskSpec } from "./task.ts";

export type Route = {
  /** Pinned to this agent. */
  readonly agent?: string;
  readonly capabilities: readonly string[];
  /** Labels the node must carry. */
  readonly labels: { readonly [name: string]: string };
  readonly region?: string;
};

export type Offer = {
  readonly agent: string;
  readonly capabilities: readonly string[];
  readonly slots: number;
};

/** What one node said of itself. */
export type NodeOffer = {
  readonly offers: readonly Offer[];
  readonly labels: { readonly [name: string]: string };
  readonly region?: string | undefined;
};

type Needs = Pick<TaskSpec, "agent" | "capabilities" | "placement">;

function routeOf(needs: Needs): Route {
  const labels = Object.entries(needs.placement?.labels ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    ...(needs.agent === undefined ? {} : { agent: needs.agent }),
    capabilities: [...new Set(needs.capabilities)].sort(),
    labels: Object.fromEntries(labels),
    ...(needs.placement?.region === undefined ? {} : { region: needs.placement.region }),
  };
}

/** Canonical: `routeOf` has sorted what has no order of its own. */
export const routeText = (needs: Needs): string => {
  const { agent, capabilities, labels, region } = routeOf(needs);
  return JSON.stringify([agent ?? null, capabilities, labels, region ?? null]);
};

/** The same needs, but only this agent: a run goes on as the agent that began it. */
export const pinnedRoute = (route: string, agent: string): string => pin(`${agent} ${route}`);

// Routes and offers are few, and come again with every claim. An offer may name 10,000 agents.
const KEPT = 1_000;
const OFFERS_KEPT = 100;

const pin = boundedCache(KEPT, (key) => {
  const space = key.indexOf(" ");
  const [, ...rest] = JSON.parse(key.slice(space + 1)) as unknown[];
  return JSON.stringify([key.slice(0, space), ...rest]);
});

/** The row of an offer, as its node wrote it. */
export const parseOffer = boundedCache(OFFERS_KEPT, (text) => JSON.parse(text) as NodeOffer);

export const parseRoute = boundedCache(KEPT, (text): Route => {
  const [agent, capabilities, labels, region] = JSON.parse(text) as [
    string | null,
    string[],
    Record<string, string>,
    string | null,
  ];
  return {
    ...(agent === null ? {} : { agent }),
    capabilities,
    labels,
    ...(region === null ? {} : { region }),
  };
});

/** Can this agent, on this node, run what stands in that line? */
export function canServe(route: Route, offer: Offer, node: NodeOffer): boolean {
  if (route.agent !== undefined && route.agent !== offer.agent) return false;
  if (!route.capabilities.every((name) => offer.capabilities.includes(name))) return false;
  return placementFits(route, node);
}

const placementFits = (route: Route, node: NodeOffer): boolean =>
  (route.region === undefined || route.region === node.region) &&
  Object.entries(route.labels).every(([name, value]) => node.labels[name] === value);

/**
 * What nobody offers, by the agent that comes nearest: `agent:coder`, capability names,
 * `label:gpu=yes`, `region:eu`. Empty: somebody can run it.
 */
export function missingCapabilities(route: Route, nodes: readonly NodeOffer[]): string[] {
  let fewest: string[] | undefined;
  for (const node of nodes) {
    const place = missingPlacement(route, node);
    for (const offer of node.offers) {
      const missing = [...missingOf(route, offer), ...place];
      if (missing.length === 0) return [];
      if (fewest === undefined || missing.length < fewest.length) fewest = missing;
    }
  }
  return fewest ?? everything(route);
}

function missingOf(route: Route, offer: Offer): string[] {
  const agent =
    route.agent !== undefined && route.agent !== offer.agent ? [`agent:${route.agent}`] : [];
  return [...agent, ...route.capabilities.filter((name) => !offer.capabilities.includes(name))];
}

function missingPlacement(route: Route, node: NodeOffer): string[] {
  const labels = Object.entries(route.labels).filter(
    ([name, value]) => node.labels[name] !== value,
  );
  const region =
    route.region !== undefined && route.region !== node.region ? [`region:${route.region}`] : [];
  return [...labels.map(([name, value]) => `label:${name}=${value}`), ...region];
}

/** With nobody there at all, even a task without needs lacks an agent. */
function everything(route: Route): string[] {
  const none: NodeOffer = { offers: [], labels: {} };
  const missing = [
    ...missingOf(route, { agent: "", capabilities: [], slots: 0 }),
    ...missingPlacement(route, none),
  ];
  return missing.length > 0 ? missing : ["agent:any"];
}
