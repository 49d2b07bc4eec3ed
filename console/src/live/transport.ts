import { ORIGIN, send } from "@/api/client";
import { Problem } from "@/api/problem";
import { socketProtocols } from "@/session/credential";
import { type Message, readFrame } from "./event";
import { SseReader } from "./sse";

/** Why a connection ended. `refused`: trying again does not help. */
export interface Ending {
  refused: Problem | null;
}

export interface Handlers {
  message(message: Message): void;
  ended(ending: Ending): void;
}

/** Opens a connection; the function it returns closes it. */
export type Transport = (query: URLSearchParams, handlers: Handlers) => () => void;

function address(path: string, query: URLSearchParams): URL {
  const url = new URL(path, ORIGIN || window.location.href);
  url.search = query.toString();
  return url;
}

export const overWebSocket: Transport = (query, handlers) => {
  const url = address("/v1/ws", query);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  let done = false;
  const finish = () => {
    if (done) return;
    done = true;
    handlers.ended({ refused: null });
  };
  const socket = new WebSocket(url, socketProtocols());
  socket.onmessage = (frame) => {
    const message = typeof frame.data === "string" ? readFrame(frame.data) : null;
    if (!done && message !== null) handlers.message(message);
  };
  socket.onclose = finish;
  socket.onerror = finish;
  return () => {
    done = true;
    // Closing what is not open yet would be reported as an error.
    if (socket.readyState === WebSocket.CONNECTING) socket.onopen = () => socket.close();
    else socket.close();
  };
};

/** Server-sent events through `fetch`, since `EventSource` can set no header. */
export const overEvents: Transport = (query, handlers) => {
  const abort = new AbortController();
  read(address("/v1/events", query).href, abort.signal, handlers).then(
    (ending) => !abort.signal.aborted && handlers.ended(ending),
    () => !abort.signal.aborted && handlers.ended({ refused: null }),
  );
  return () => abort.abort();
};

/** A comment comes every 15 seconds: three of them missing is a connection that is gone. */
const SILENCE_MS = 45_000;

async function read(url: string, signal: AbortSignal, handlers: Handlers): Promise<Ending> {
  const response = await send(url, { signal, headers: { accept: "text/event-stream" } });
  if (!response.ok) {
    const problem = Problem.from(response.status, await response.json().catch(() => null));
    return { refused: problem.forbidden || problem.signedOut ? problem : null };
  }
  if (response.body === null) return { refused: null };
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const parser = new SseReader();
  for (;;) {
    const silence = new Promise<null>((resolve) => setTimeout(resolve, SILENCE_MS, null));
    const chunk = await Promise.race([reader.read(), silence]);
    if (chunk === null || chunk.done) return { refused: null };
    for (const message of parser.push(chunk.value)) {
      if (signal.aborted) return { refused: null };
      handlers.message(message);
    }
  }
}
