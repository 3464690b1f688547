// The bus port: doorbells between processes. Losing every one costs latency, never correctness.

export interface Bus {
  /** Rings for these topics (event types), here and in every other process. Never waits. */
  wake(topics: ReadonlySet<string>): void;
  /** Hears every ring until the returned function is called. The listener must not throw. */
  subscribe(listener: (topics: ReadonlySet<string>) => void): () => void;
  close(): Promise<void>;
}
