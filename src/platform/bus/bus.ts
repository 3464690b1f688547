// The bus port: doorbells between processes. Losing every one costs latency, never correctness.

/** Rings for whatever may have been missed: a listener takes it as any topic. */
export const EVERY_TOPIC = "*";

export interface Bus {
  /** Rings for these topics (event types), here and in every other process. Never waits. */
  wake(topics: ReadonlySet<string>): void;
  /**
   * Hears every ring until the returned function is called. Topics may hold `EVERY_TOPIC`, after a
   * time in which rings could be lost. The listener must not throw.
   */
  subscribe(listener: (topics: ReadonlySet<string>) => void): () => void;
  close(): Promise<void>;
}
