import { after } from "node:test";
import { sharedPostgres } from "../../../../test/support/postgres.ts";
import { freshSchema } from "../../../../test/support/store.ts";
import { realWorld } from "../../world.ts";
import { storeConformance } from "../store.conformance.ts";
import { openPostgres } from "./open.ts";

const server = await sharedPostgres();
after(() => server.stop());
const world = realWorld();

storeConformance({
  engine: "postgres",
  async place(t) {
    const place = await freshSchema(server.url);
    t.after(() => place.remove());
    return place.at;
  },
  open: (url, migrations) => openPostgres({ url, poolMax: 8, migrations, world }),
});
