// P1. Acknowledged means durable, whoever asks and however many at once.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { CHECKOUT, clientOf, killNow, ready, run, scratch, start } from "./cadre.ts";

const UP = ["up", "--port", "0"];
const SUBMITTER = join(CHECKOUT, "test", "end-to-end", "submitter.ts");

async function titlesOf(client: ReturnType<typeof clientOf>): Promise<string[]> {
  const titles: string[] = [];
  for (let cursor: string | undefined; ; ) {
    const page = await client.call("tasks.list", {
      limit: 500,
      ...(cursor === undefined ? {} : { cursor }),
    });
    titles.push(...page.items.map(({ title }) => title));
    if (page.next === null) return titles;
    cursor = page.next;
  }
}

test("four processes with 250 submissions in flight each: every acknowledged task is kept, once", async (t) => {
  const home = scratch(t);
  const hub = start(t, UP, { home });
  const { url } = await ready(hub, home);
  const token = readFileSync(join(home, "token"), "utf8").trim();

  const lines = await Promise.all(
    ["a", "b", "c", "d"].map(async (name) => {
      const child = spawn(process.execPath, [SUBMITTER, url, token, name, "500", "250"], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      let text = "";
      child.stdout.setEncoding("utf8").on("data", (part: string) => (text += part));
      const [code] = (await once(child, "close")) as [number];
      assert.equal(code, 0);
      return text.trim().split("\n");
    }),
  );
  await killNow(hub);
  const again = start(t, UP, { home });
  const titles = await titlesOf(clientOf(t, home, (await ready(again, home)).url));

  const acknowledged = lines.flat().map((line) => line.slice(line.indexOf(" ") + 1));
  assert.equal(acknowledged.length, 2_000);
  assert.deepEqual(titles.toSorted(), acknowledged.toSorted());
});

test("a hub killed under load keeps every task it acknowledged", async (t) => {
  const home = scratch(t);
  const hub = start(t, UP, { home });
  const { url } = await ready(hub, home);
  const token = readFileSync(join(home, "token"), "utf8").trim();
  const child = spawn(process.execPath, [SUBMITTER, url, token, "k", "100000", "250"], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (part: string) => (text += part));

  while (text.length < 50_000) await once(child.stdout, "data");
  await killNow(hub);
  child.kill("SIGKILL");
  await once(child, "close");
  const again = start(t, UP, { home });
  const titles = new Set(await titlesOf(clientOf(t, home, (await ready(again, home)).url)));

  const whole = text.slice(0, text.lastIndexOf("\n")).split("\n");
  const missing = whole
    .map((line) => line.slice(line.indexOf(" ") + 1))
    .filter((title) => !titles.has(title));
  assert.deepEqual(missing, []);
  assert.ok(whole.length > 1_000);
});

test("a hundred `cadre tasks submit`, eight at a time: every one that said yes is there", async (t) => {
  const home = scratch(t);
  const hub = start(t, UP, { home });
  const { url } = await ready(hub, home);
  let next = 0;

  const lane = async () => {
    while (next < 100) {
      const title = `one ${next++}`;
      await run(t, ["tasks", "submit", title, "--capabilities", "nobody-has-this"], { home });
    }
  };
  await Promise.all(Array.from({ length: 8 }, lane));

  const titles = await titlesOf(clientOf(t, home, url));
  assert.equal(new Set(titles).size, 100);
});
