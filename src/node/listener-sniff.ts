// Tells HTTP/2 with prior knowledge from HTTP/1.x by a connection's first bytes: the preface begins with "PRI ", which no HTTP/1
// method does. Used by listener for plain connections and for TLS ones without ALPN. On the plain port, where both are served, a first
// line that is no request of HTTP/1.x is neither: etcd's multiplexer (cmux v0.1.5, HTTP1) closes such connections without an answer.
// Where TLS comes to the same port, its handshake is known by its first byte.
import type { Socket } from "node:net";

const MARK = "PRI * HTTP/2.0";
/** So many bytes of the mark settle it. */
const DECISIVE_BYTES = 4;
/** A request line longer than this belongs to no protocol of ours (cmux's maxHTTPRead). */
const REQUEST_LINE_BYTES_MAX = 4096;
const LINE_FEED = 0x0a;
/** The type of a TLS record that holds a ClientHello. */
const HANDSHAKE = 0x16;
/** Method, target and version between the first two spaces and the end, as cmux cuts them. */
const REQUEST_LINE = /^[^ ]* [^ ]* HTTP\/1\.\d\r?$/;
/** Who says nothing for so long is let go (grpc-go's handshake timeout). */
export const SILENCE_MS = 120_000;

export type Protocol = "http2" | "http1" | "tls";

export type SniffOptions = {
  /** The request line decides whether it is HTTP/1.x. */
  readonly strict: boolean;
  /** A TLS handshake may come instead. */
  readonly tls: boolean;
};

/** Undefined: more bytes are needed. */
export function protocolOf(
  head: Uint8Array,
  { strict, tls }: SniffOptions = { strict: false, tls: false },
): Protocol | "neither" | undefined {
  if (tls && head[0] === HANDSHAKE) return "tls";
  const count = Math.min(head.length, DECISIVE_BYTES);
  for (let i = 0; i < count; i++)
    if (head[i] !== MARK.charCodeAt(i)) return strict ? requestLine(head) : "http1";
  return count === DECISIVE_BYTES ? "http2" : undefined;
}

function requestLine(head: Uint8Array): "http1" | "neither" | undefined {
  const end = head.indexOf(LINE_FEED);
  if (end < 0) return head.length < REQUEST_LINE_BYTES_MAX ? undefined : "neither";
  if (end >= REQUEST_LINE_BYTES_MAX) return "neither";
  return REQUEST_LINE.test(String.fromCharCode(...head.subarray(0, end))) ? "http1" : "neither";
}

/** Calls `decided` once, with the bytes read so far; never when the connection ends before, or speaks none of the protocols. */
export function sniff(
  socket: Socket,
  options: SniffOptions & { readonly silenceMs: number },
  decided: (speaks: Protocol, head: Buffer) => void,
): void {
  let head: Buffer | undefined;
  const onData = (chunk: Buffer): void => {
    head = head === undefined ? chunk : Buffer.concat([head, chunk]);
    const speaks = protocolOf(head, options);
    if (speaks === undefined) return;
    if (speaks === "neither") {
      onGone();
      return;
    }
    stop();
    decided(speaks, head);
  };
  const onGone = (): void => {
    stop();
    socket.destroy();
  };
  const stop = (): void => {
    socket.off("data", onData);
    socket.off("end", onGone);
    socket.off("error", onGone);
    socket.off("timeout", onGone);
    socket.setTimeout(0);
  };
  socket.on("data", onData);
  socket.on("end", onGone);
  socket.on("error", onGone);
  socket.on("timeout", onGone);
  socket.setTimeout(options.silenceMs);
}
