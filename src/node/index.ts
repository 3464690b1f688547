// node: loops beside the agents; no rules of their own.
//
// Owns no table. Imports platform, operations, and types and pure rules of tasks, agents, models
// and tools: what it asks of them goes through operations and ports.
// A3. A run is a transcript: the intent is durable before its effect, and a settled effect or a
// recorded answer is never repeated.
// A12. What a task leaves is committed and merged when it ends; a conflict becomes a task.
// A4. A run asks the first model of its chain that does not cool down, and tells all how it went.
// T3. A lost lease ends a run at once: no more effects, no more records.
// Read in order: run/transcript.ts, run/facts.ts, run/next-step.ts, run/prompt.ts, run/record.ts, run/run.ts,
// run/finish.ts, fallback.ts, worker.ts, collector.ts.
export { Collector, type CollectorParts } from "./collector.ts";
export { Fallback, type FallbackParts } from "./fallback.ts";
export type { RunPorts } from "./run/ports.ts";
export { Worker, type WorkerOptions, type WorkerPorts } from "./worker.ts";
