import { freshFile } from "../../../../test/support/store.ts";
import { storeConformance } from "../store.conformance.ts";
import { openSqlite } from "./open.ts";

storeConformance({
  engine: "sqlite",
  async place(t) {
    const place = await freshFile();
    t.after(() => place.remove());
    return place.at;
  },
  open: (file, migrations) => openSqlite({ file, migrations }),
});
