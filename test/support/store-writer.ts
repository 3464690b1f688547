// A process that writes pairs of rows until it is killed, and says which it was told are durable.
// Arguments: engine, then path or address. Prints the number of each pair after its write resolved.
import { writeSync } from "node:fs";
import { openPostgres, openSqlite, realWorld } from "../../src/platform/index.ts";

const [engine, at = ""] = process.argv.slice(2);
const world = realWorld();
const migrations = [
  { id: "0001-pairs", up: ["CREATE TABLE pairs (n BIGINT NOT NULL, side TEXT NOT NULL)"] },
];
const store =
  engine === "postgres"
    ? await openPostgres({ url: at, poolMax: 4, migrations, world })
    : await openSqlite({ file: at, migrations, world });

let n = 0;
const writeForEver = async () => {
  for (;;) {
    n += 1;
    const mine = n;
    await store.write(async (tx) => {
      await tx.run("INSERT INTO pairs (n, side) VALUES (?, ?)", mine, "left");
      await tx.run("INSERT INTO pairs (n, side) VALUES (?, ?)", mine, "right");
    });
    writeSync(1, `${mine}\n`);
  }
};
await Promise.all(Array.from({ length: 8 }, writeForEver));
