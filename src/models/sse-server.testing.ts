// A provider's server on this machine, whose every byte a test decides.
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import type { Json } from "../platform/index.ts";

export type Heard = {
  readonly path: string;
  readonly headers: { readonly [name: string]: string | string[] | undefined };
  // biome-ignore lint/suspicious/noExplicitAny: the body is whatever the wire format says.
  readonly body: any;
};

export type SseServer = { readonly url: string; readonly heard: readonly Heard[] };

/** Answers each request by `reply`; closed, with all its sockets, after the test. */
export async function sseServer(
  t: TestContext,
  reply: (heard: Heard, response: ServerResponse) => void,
): Promise<SseServer> {
  const heard: Heard[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const one: Heard = {
      path: request.url ?? "",
      headers: request.headers,
      body: text === "" ? null : JSON.parse(text),
    };
    heard.push(one);
    reply(one, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, heard };
}

/** An address of this machine where nobody listens (any more). */
export async function closedUrl(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}

/** Begins an event stream and sends these events; the response stays open. */
export function sendEvents(response: ServerResponse, events: readonly Json[]): void {
  if (!response.headersSent) response.writeHead(200, { "content-type": "text/event-stream" });
  for (const event of events) {
    const type = (event as { type?: string }).type;
    response.write(
      `${type === undefined ? "" : `event: ${type}\n`}data: ${JSON.stringify(event)}\n\n`,
    );
  }
}

/** The events of an Anthropic answer that says this and stops. */
export const anthropicText = (text: string): Json[] => [
  ...anthropicStart,
  { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
  { type: "content_block_delta", index: 0, delta: { type: "text_delta", text } },
  { type: "content_block_stop", index: 0 },
  ...anthropicEnd("end_turn"),
];

export const anthropicStart: Json[] = [
  {
    type: "message_start",
    message: {
      id: "msg_1",
      type: "message",
      role: "assistant",
      model: "claude-sonnet-4-5",
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: { input_tokens: 100, output_tokens: 1, cache_read_input_tokens: 900 },
    },
  },
];

export const anthropicEnd = (reason: string): Json[] => [
  {
    type: "message_delta",
    delta: { stop_reason: reason, stop_sequence: null },
    usage: { output_tokens: 20 },
  },
  { type: "message_stop" },
];
