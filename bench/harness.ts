// What a benchmark is here: a figure beside the floor of the same machine in the same run.

export type Figure = {
  /** What was measured, in words. */
  readonly what: string;
  readonly value: number;
  readonly unit: "/s" | "ms" | "MB" | "x";
  /** The least this machine can do for the same promise, measured in this run. */
  readonly floor?: { readonly what: string; readonly value: number };
  /** The target of the project, as a bound on `value`. */
  readonly target?: { readonly bound: "at least" | "at most"; readonly value: number };
  /** What an acknowledged write survives, or `none`. */
  readonly durability?: string;
};

export type Options = {
  /** A short run that proves the benchmark works; its figures mean little. */
  readonly isSmoke: boolean;
  /** URL of an empty database, when a Postgres was started for the run. */
  readonly postgresUrl: string | undefined;
};

export type Bench = {
  readonly name: string;
  run(options: Options): Promise<readonly Figure[]>;
};

/** The value below which `share` (0 to 1) of the sorted samples lie. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export const median = (samples: readonly number[]): number => percentile(samples, 0.5);

/** How long all of it took, and each piece. */
export type Timed = { readonly tookMs: number; readonly samples: readonly number[] };

/** Runs `body` `times` times with `width` of them at once; gives each one's milliseconds. */
export async function paced(
  times: number,
  width: number,
  body: (index: number) => Promise<void>,
): Promise<Timed> {
  const samples: number[] = [];
  let next = 0;
  const startedAt = performance.now();
  const lane = async () => {
    while (next < times) {
      const index = next++;
      const at = performance.now();
      await body(index);
      samples.push(performance.now() - at);
    }
  };
  await Promise.all(Array.from({ length: width }, lane));
  return { tookMs: performance.now() - startedAt, samples };
}

/** A tenth of it first, unmeasured: compiled code and warm pages, for us and for the floor alike. */
export const warmUpOf = (times: number): number => Math.ceil(times / 10);

/** `count` lanes at once, each `times` pieces in a row: what lane and piece mean is the body's. */
export async function lanes(
  count: number,
  times: number,
  body: (lane: number, index: number) => Promise<void>,
): Promise<Timed> {
  const samples: number[] = [];
  const startedAt = performance.now();
  await Promise.all(
    Array.from({ length: count }, async (_, lane) => {
      for (let index = 0; index < times; index++) {
        const at = performance.now();
        await body(lane, index);
        samples.push(performance.now() - at);
      }
    }),
  );
  return { tookMs: performance.now() - startedAt, samples };
}

export function meets(figure: Figure): boolean | undefined {
  if (figure.target === undefined) return undefined;
  return figure.target.bound === "at least"
    ? figure.value >= figure.target.value
    : figure.value <= figure.target.value;
}

/** How far from the floor, 1 meaning none: for rates and for times alike, larger is worse. */
export function distance(figure: Figure): number | undefined {
  if (figure.floor === undefined) return undefined;
  return figure.unit === "/s"
    ? figure.floor.value / figure.value
    : figure.value / figure.floor.value;
}

const number = (value: number): string => {
  if (value >= 100) return Math.round(value).toLocaleString("en-US");
  return value.toFixed(value >= 10 ? 1 : 2);
};

function verdictOf(figure: Figure): string {
  const met = meets(figure);
  if (met === undefined) return "";
  return met ? "met" : "missed";
}

/** A Markdown table, so that a run can be pasted into the docs as it is. */
export function render(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => {
    const away = distance(figure);
    return [
      figure.what,
      `${number(figure.value)} ${figure.unit}`,
      figure.floor === undefined
        ? ""
        : `${number(figure.floor.value)} ${figure.unit}, ${figure.floor.what}`,
      away === undefined ? "" : `${away.toFixed(2)}x`,
      figure.target === undefined ? "" : `${figure.target.bound} ${number(figure.target.value)}`,
      verdictOf(figure),
      figure.durability ?? "",
    ];
  });
  const head = ["what", "figure", "floor of this machine", "distance", "target", "", "durability"];
  const lines = [head, head.map(() => "---"), ...rows];
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}
