// The house as data: which room stands on which floor, and what every file must keep.
import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Import only from a lower floor, only through that room's index.ts; never sideways, never up. */
const FLOORS: Readonly<Record<string, number>> = {
  platform: 0,
  operations: 1,
  identity: 2,
  config: 2,
  tasks: 2,
  models: 2,
  agents: 3,
  tools: 4,
  hub: 5,
  node: 5,
  faces: 6,
  "app.ts": 7,
  "registry.ts": 7,
  "host.ts": 7,
  "main.ts": 7,
};

/** Faces know operations and journal events; nodes speak only operations: types, nothing more. */
const TYPES_ONLY_ABOVE_FLOOR_1: readonly string[] = ["faces"];

/** Rooms a node may take rules from: the pure half of what it works with. */
const NODE_RULES: readonly string[] = ["tasks", "agents"];

const GLOBALS_OF_THE_WORLD =
  /\b(?:Date\.now\(|new Date\(\)|Math\.random\(|setTimeout\(|setInterval\(|randomUUID\(|process\.env\b)/;

/** The real world itself, and what runs real subprocesses under real deadlines. */
const WORLD_FILES = new Set(["src/platform/world.ts", "src/platform/processes.ts"]);

type Import = { readonly from: string; readonly target: string; readonly isType: boolean };

const sources = globSync("src/**/*.ts", { cwd: root }).sort();
const product = sources.filter((file) => !/\.(test|conformance|testing)\.ts$/.test(file));
const textOf = (file: string): string => readFileSync(join(root, file), "utf8");
const roomOf = (file: string): string => file.split("/")[1] ?? "";
const floorOf = (file: string): number | undefined => FLOORS[roomOf(file)];

/** Relative imports, static and dynamic. Read as text: our own code is formatted by a machine. */
function importsOf(file: string): Import[] {
  const text = textOf(file);
  const found: Import[] = [];
  const statement = /(import|export)\s+(type\s+)?(?:[^"';]*?\sfrom\s+)?"(\.{1,2}\/[^"]+)"/g;
  for (const match of text.matchAll(statement)) {
    const names = /\{([^}]*)\}/.exec(match[0])?.[1];
    const allTypes = names
      ?.split(",")
      .map((name) => name.trim())
      .filter(Boolean)
      .every((name) => name.startsWith("type "));
    found.push(importOf(file, match[3] ?? "", match[2] !== undefined || allTypes === true));
  }
  for (const match of text.matchAll(/\bimport\(\s*"(\.{1,2}\/[^"]+)"\s*\)/g)) {
    found.push(importOf(file, match[1] ?? "", false));
  }
  return found;
}

const importOf = (file: string, path: string, isType: boolean): Import => ({
  from: file,
  target: normalize(join(dirname(file), path)),
  isType,
});

const show = (found: Import): string => `${found.from} → ${found.target}`;

test("every file of src lives in a room with a floor", () => {
  const homeless = sources.filter((file) => floorOf(file) === undefined);

  assert.deepEqual(homeless, []);
});

test("calls go down: no import goes sideways or up", () => {
  const wrong = product
    .flatMap(importsOf)
    .filter(({ from, target }) => roomOf(from) !== roomOf(target))
    .filter(({ from, target }) => (floorOf(target) ?? 99) >= (floorOf(from) ?? -1))
    // The composition root is a few files of one floor.
    .filter(({ from, target }) => !(floorOf(from) === 7 && floorOf(target) === 7));

  assert.deepEqual(wrong.map(show), []);
});

test("a room is entered by its index.ts only", () => {
  const wrong = product
    .flatMap(importsOf)
    .filter(({ from, target }) => roomOf(from) !== roomOf(target))
    .filter(({ from }) => floorOf(from) !== 7)
    .filter(({ target }) => !/^src\/[^/]+\/index\.ts$/.test(target));

  assert.deepEqual(wrong.map(show), []);
});

test("faces take types from features, never code", () => {
  const wrong = product
    .flatMap(importsOf)
    .filter(({ from }) => TYPES_ONLY_ABOVE_FLOOR_1.includes(roomOf(from)))
    .filter(({ from, target }) => roomOf(from) !== roomOf(target))
    .filter(({ target, isType }) => (floorOf(target) ?? 0) > 1 && !isType);

  assert.deepEqual(wrong.map(show), []);
});

test("a node takes only rules and types from features", () => {
  const wrong = product
    .flatMap(importsOf)
    .filter(({ from, target }) => roomOf(from) === "node" && roomOf(target) !== "node")
    .filter(({ target, isType }) => (floorOf(target) ?? 0) > 1 && !isType)
    .filter(({ target }) => !NODE_RULES.includes(roomOf(target)));

  assert.deepEqual(wrong.map(show), []);
});

test("every room opens with its charter: name, tables, imports, promises, reading order", () => {
  const rooms = Object.keys(FLOORS).filter((room) => !room.endsWith(".ts") && room !== "faces");
  const doors = [
    ...rooms.map((room) => `src/${room}/index.ts`),
    "src/faces/http/index.ts",
    "src/faces/cli/index.ts",
  ];
  const wrong: string[] = [];
  for (const door of doors) {
    if (!existsSync(join(root, door))) {
      wrong.push(`${door}: missing`);
      continue;
    }
    const head = textOf(door)
      .split("\n")
      .filter((_, i, all) => all.slice(0, i + 1).every((l) => l.startsWith("//")));
    const text = head.join("\n");
    const room = door.split("/").at(-2) ?? "";
    if (!text.startsWith(`// ${room}: `)) wrong.push(`${door}: does not open with "// ${room}: …"`);
    if (!/Owns (no )?tables?/.test(text)) wrong.push(`${door}: does not say which tables it owns`);
    if (!/Imports /.test(text)) wrong.push(`${door}: does not say what it imports`);
    if (!/Read in order: /.test(text)) wrong.push(`${door}: has no reading order`);
    if (/export \*/.test(textOf(door))) wrong.push(`${door}: re-exports with *`);
  }

  assert.deepEqual(wrong, []);
});

test("time, chance and environment come only through the world", () => {
  const wrong = product
    .filter((file) => !WORLD_FILES.has(file))
    .flatMap((file) =>
      textOf(file)
        .split("\n")
        .map((line, i) => ({
          line: line.replace(/\/\/.*$/, "").replace(/^\s*\*.*$/, ""),
          at: `${file}:${i + 1}`,
        }))
        .filter(({ line }) => GLOBALS_OF_THE_WORLD.test(line))
        .map(({ line, at }) => `${at}: ${line.trim()}`),
    );

  assert.deepEqual(wrong, []);
});

test("no file is dead: each is reached from the program", () => {
  const reached = new Set<string>();
  const queue = ["src/main.ts"];
  while (queue.length > 0) {
    const file = queue.pop() ?? "";
    if (reached.has(file)) continue;
    reached.add(file);
    if (existsSync(join(root, file))) queue.push(...importsOf(file).map(({ target }) => target));
  }
  const dead = product.filter((file) => !reached.has(file));

  assert.deepEqual(dead, []);
});

test("operations are declared once: no two share a name or a route", async () => {
  const { allOperations } = await import("../src/registry.ts");
  const operations = allOperations();

  const names = operations.map((op) => op.name);
  const routes = operations.map((op) => op.http.replace(/:[a-zA-Z]+/g, ":"));

  assert.equal(new Set(names).size, names.length);
  assert.equal(new Set(routes).size, routes.length);
});
