import { busConformance } from "./bus.conformance.ts";
import { localBus } from "./local.ts";

busConformance("local bus", async (t) => {
  const bus = localBus();
  t.after(() => bus.close());
  return bus;
});
