// Tells HTTP/2 with prior knowledge from HTTP/1.x by a connection's first bytes: the preface begins with "PRI ", which no HTTP/1
// method does. Used by listener for plain connections and for TLS ones without ALPN.
import type { Socket } from "node:net";

const MARK = "PRI * HTTP/2.0";
/** So many bytes of the mark settle it. */
const DECISIVE_BYTES = 4;
/** Who says nothing for so long is let go (grpc-go's handshake timeout). */
export const SILENCE_MS = 120_000;

/** Undefined: more bytes are needed. */
export function protocolOf(head: Uint8Array): "http2" | "http1" | undefined {
  const count = Math.min(head.length, DECISIVE_BYTES);
  for (let i = 0; i < count; i++) if (head[i] !== MARK.charCodeAt(i)) return "http1";
  return count === DECISIVE_BYTES ? "http2" : undefined;
}

/** Calls `decided` once, with the bytes read so far; never when the connection ends before. */
export function sniff(
  socket: Socket,
  silenceMs: number,
  decided: (speaks: "http2" | "http1", head: Buffer) => void,
): void {
  let head: Buffer | undefined;
  const onData = (chunk: Buffer): void => {
    head = head === undefined ? chunk : Buffer.concat([head, chunk]);
    const speaks = protocolOf(head);
    if (speaks === undefined) return;
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
  socket.setTimeout(silenceMs);
}
