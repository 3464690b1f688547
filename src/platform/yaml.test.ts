import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { stringify } from "yaml";
import { z } from "zod";
import { CadreError } from "./errors.ts";
import { parseYaml, readYaml, YAML_BYTES_MAX, type YamlOptions } from "./yaml.ts";

const options: YamlOptions = { source: "team.yaml", code: "invalid_config" };

const team = z.strictObject({
  name: z.string(),
  mode: z.enum(["fast", "careful"]).default("fast"),
  size: z.int().min(1).default(1),
  members: z
    .array(z.strictObject({ agent: z.string(), tools: z.array(z.string()).default([]) }))
    .default([]),
  store: z
    .discriminatedUnion("engine", [
      z.strictObject({ engine: z.literal("sqlite") }),
      z.strictObject({ engine: z.literal("postgres"), url: z.string() }),
    ])
    .default({ engine: "sqlite" }),
  prices: z.record(z.string(), z.strictObject({ input: z.number() })).default({}),
});

function refused(
  text: string,
  schema: z.ZodType = team,
  more: Partial<YamlOptions> = {},
): CadreError {
  try {
    parseYaml(text, schema, { ...options, ...more });
  } catch (error) {
    assert.ok(error instanceof CadreError, String(error));
    return error;
  }
  assert.fail(`accepted: ${text}`);
}

test("a valid text gives the schema's output, defaults filled in", () => {
  const parsed = parseYaml("name: alpha\nmembers:\n  - agent: coder\n", team, options);

  assert.deepEqual(parsed, {
    name: "alpha",
    mode: "fast",
    size: 1,
    members: [{ agent: "coder", tools: [] }],
    store: { engine: "sqlite" },
    prices: {},
  });
});

const REFUSALS: readonly (readonly [promise: string, text: string, message: string])[] = [
  [
    "an unknown field names the nearest one",
    "name: a\nsizze: 2\n",
    'team.yaml:2: There is no field "sizze". Did you mean "size"?',
  ],
  [
    "an unknown field deep inside is found on its own line",
    "name: a\nmembers:\n  - agent: x\n    toolz: []\n",
    'team.yaml:4: There is no field "toolz" in "members[0]". Did you mean "tools"?',
  ],
  [
    "an unknown field of a record's value is judged by that value's fields",
    "name: a\nprices:\n  some/model:\n    inptu: 1\n    input: 1\n",
    'team.yaml:4: There is no field "inptu" in "prices.some/model". Did you mean "input"?',
  ],
  [
    "a field nothing is near to lists what there is",
    "name: a\nmembers:\n  - agent: x\n    zzzzzz: 1\n",
    'team.yaml:4: There is no field "zzzzzz" in "members[0]". The fields here are agent, tools.',
  ],
  [
    "a wrong type says what was expected and found",
    "name: a\nsize: big\n",
    'team.yaml:2: "size" must be a number, not text.',
  ],
  [
    "a missing field is told on the line of its parent",
    "name: a\nmembers:\n  - tools: []\n",
    'team.yaml:3: "members[0].agent" is missing; it must be text.',
  ],
  [
    "a wrong word names the nearest allowed one",
    "name: a\nmode: carefull\n",
    'team.yaml:2: "mode" must be one of: fast, careful; not "carefull". Did you mean "careful"?',
  ],
  [
    "a wrong variant lists the variants",
    "name: a\nstore:\n  engine: postgre\n",
    'team.yaml:3: "store.engine" must be one of: sqlite, postgres; not "postgre". Did you mean "postgres"?',
  ],
  [
    "a variant's missing field is named",
    "name: a\nstore: {engine: postgres}\n",
    'team.yaml:2: "store.url" is missing; it must be text.',
  ],
  [
    "a duplicate key is refused",
    "name: a\nname: b\n",
    'team.yaml:2: The field "name" stands here twice.',
  ],
  [
    "a duplicate key deep inside is refused",
    "name: a\nprices:\n  m: {input: 1, input: 2}\n",
    'team.yaml:3: The field "input" stands here twice.',
  ],
  [
    "an alias is refused",
    "name: &n a\nmode: *n\n",
    "team.yaml:2: Aliases are not allowed: write out what *n means.",
  ],
  [
    "an alias to itself is refused",
    "name: &n [*n]\n",
    "team.yaml:1: Aliases are not allowed: write out what *n means.",
  ],
  [
    "a tag that would make another type is refused",
    "name: !!js/function x\n",
    "team.yaml:1: Unresolved tag: tag:yaml.org,2002:js/function.",
  ],
  [
    "a second document is refused",
    "name: a\n---\nname: b\n",
    "team.yaml:2: Only one YAML document may stand here.",
  ],
  [
    "a list as a key is refused",
    "? [1, 2]\n: a\n",
    "team.yaml:1: A field's name must be plain text.",
  ],
  [
    "an unclosed bracket names its line",
    "name: a\nmembers: [x,\nsize: 1\n",
    "team.yaml:3: Flow sequence in block collection must be sufficiently indented and end with a ].",
  ],
  [
    "a list instead of fields is refused",
    "- a\n",
    "team.yaml:1: Expected a map of fields, found a list.",
  ],
  [
    "an empty text is refused where fields are needed",
    "",
    "team.yaml:1: Expected a map of fields, found nothing.",
  ],
  [
    "a tab as indentation names its line",
    "name: a\nstore:\n\tengine: sqlite\n",
    "team.yaml:3: Tabs are not allowed as indentation.",
  ],
];
for (const [promise, text, message] of REFUSALS) {
  test(promise, () => {
    const error = refused(text);

    assert.equal(error.code, "invalid_config");
    assert.equal(error.message, message);
  });
}

test("several problems are told at once, in the order of their lines", () => {
  const error = refused("size: 0\nmode: slow\nextra: 1\nmembers: 3\n");

  assert.match(error.message, /^team\.yaml has 5 problems:\n/);
  const problems = error.details["problems"] as { line: number; path: string }[];
  assert.deepEqual(
    problems.map((problem) => [problem.line, problem.path]),
    [
      [1, "name"],
      [1, "size"],
      [2, "mode"],
      [3, "extra"],
      [4, "members"],
    ],
  );
});

test("a text inside a larger file names lines of that file", () => {
  const error = refused("name: a\nsizze: 1\n", team, { lineOffset: 10, code: "invalid_agent" });

  assert.equal(error.code, "invalid_agent");
  assert.match(error.message, /^team\.yaml:12: /);
});

test("more than 1 MiB is refused unread, one byte less is read", () => {
  const frame = "name: ";
  const fits = frame + "é".repeat((YAML_BYTES_MAX - frame.length) / 2);

  assert.equal(parseYaml(fits, team, options).name.length, (YAML_BYTES_MAX - frame.length) / 2);
  assert.equal(refused(`${fits}x`).code, "payload_too_large");
});

test("a text nested too deep is refused, not recursed into", () => {
  const nested = (depth: number) => `name: ${"[".repeat(depth)}${"]".repeat(depth)}`;

  assert.match(refused(nested(70)).message, /nested deeper than 64 levels/);
  assert.equal(refused(nested(20_000)).code, "invalid_config");
});

test("fifty thousand keys are read, and the one that stands twice is found", () => {
  const lines = Array.from({ length: 50_000 }, (_, i) => `k${i}: ${i}`);

  assert.equal(Object.keys(readYaml(lines.join("\n"), options).value as object).length, 50_000);
  assert.match(
    refused([...lines, "k7: again"].join("\n"), z.unknown()).message,
    /^team\.yaml:50001: The field "k7" stands here twice\.$/,
  );
});

test("a field named __proto__ changes no prototype", () => {
  const { value } = readYaml("__proto__:\n  polluted: true\n", options);

  assert.deepEqual(Object.keys(value as object), ["__proto__"]);
  assert.equal(Object.getPrototypeOf(value), Object.prototype);
});

test("words of YAML 1.1 stay text", () => {
  const { value } = readYaml("a: yes\nb: off\nc: 1_000\nd: 2026-01-01\n", options);

  assert.deepEqual(value, { a: "yes", b: "off", c: "1_000", d: "2026-01-01" });
});

test("whatever JSON is written as YAML is read back the same", () => {
  const plain = fc
    .jsonValue({ maxDepth: 5, noUnicodeString: false })
    .filter((value) => value !== null);

  fc.assert(
    fc.property(plain, (value) => {
      const written = stringify(value, { aliasDuplicateObjects: false });
      assert.deepEqual(
        JSON.parse(JSON.stringify(readYaml(written, options).value)),
        JSON.parse(JSON.stringify(value)),
      );
    }),
    { numRuns: 200 },
  );
});

test("any text at all is either read or refused with a code", () => {
  const piece = fc.constantFrom(
    ":",
    " ",
    "\n",
    "- ",
    "a",
    "&a ",
    "*a",
    "[",
    "]",
    "{",
    "}",
    "'",
    '"',
    "|",
    "!",
    "#",
    "\t",
    "---",
    "?",
    "<<",
  );

  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      try {
        parseYaml(pieces.join(""), team, options);
      } catch (error) {
        assert.ok(error instanceof CadreError);
        assert.match(error.message, /team\.yaml:\d+: /);
      }
    }),
    { numRuns: 500 },
  );
});
