// The bus of one process: rings are gathered and heard once in each turn of the event loop.
import type { Bus } from "./bus.ts";

export function localBus(): Bus {
  const listeners = new Set<(topics: ReadonlySet<string>) => void>();
  let waiting: Set<string> | undefined;

  const ring = () => {
    const topics = waiting;
    waiting = undefined;
    if (topics === undefined) return;
    for (const listener of listeners) listener(topics);
  };

  return {
    wake(topics) {
      if (topics.size === 0) return;
      if (waiting === undefined) {
        waiting = new Set(topics);
        setImmediate(ring);
        return;
      }
      for (const topic of topics) waiting.add(topic);
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {
      listeners.clear();
      return Promise.resolve();
    },
  };
}
