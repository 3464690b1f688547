// One benchmark in a process of its own: nothing of another's heap or compiled code is measured.
import { BENCHES } from "./benches.ts";
import { childArgument, tellParent } from "./child.ts";
import type { Options } from "./harness.ts";

const { name, ...options } = childArgument<Options & { readonly name: string }>();
const bench = BENCHES.find((it) => it.name === name);
if (bench === undefined) throw new Error(`There is no benchmark "${name}".`);
tellParent({ figures: await bench.run(options) });
// By hand it has no parent: node --cpu-prof bench/one-bench.ts '{"name":"loops"}'
if (process.connected) process.disconnect();
