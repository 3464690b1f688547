// A client process of the acknowledgement test: `submitter.ts URL TOKEN NAME TIMES WIDTH`.
// Writes the id of every task the hub acknowledged, one to a line, as soon as it did.
import type { CadreContract } from "../../src/faces/contract.ts";
import { remoteClient } from "../../src/operations/index.ts";
import { realWorld } from "../../src/platform/index.ts";

const [url = "", token = "", name = "", times = "0", width = "1"] = process.argv.slice(2);
const client = remoteClient<CadreContract>({ url, token, world: realWorld() });
let next = 0;
const lane = async () => {
  while (next < Number(times)) {
    const title = `${name} ${next++}`;
    const { id } = await client.call("tasks.submit", { title, capabilities: ["nobody-has-this"] });
    process.stdout.write(`${id} ${title}\n`);
  }
};
await Promise.all(Array.from({ length: Number(width) }, lane));
await client.close();
