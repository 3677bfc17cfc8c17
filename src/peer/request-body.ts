// The body of a request to the peer port: whole and bounded, or piece by piece for who is slow to take it. Only waiting for the sender is
// held against the I/O timeout; how long we take ourselves is not.
import type { IncomingMessage } from "node:http";

/** The sender has gone, has fallen silent, or sends too much. */
export class BodyError extends Error {
  override readonly name = "BodyError";
  readonly tooLarge: boolean;
  constructor(message: string, tooLarge = false) {
    super(message);
    this.tooLarge = tooLarge;
  }
}

/** Taken from the socket ahead of who reads: with less, reader and sender wait for each other at every piece. */
const AHEAD_BYTES = 1 << 20;

/** Pieces in order; valid for ever, since nobody writes to them again. Throws a BodyError. */
export async function* bodyChunks(
  request: IncomingMessage,
  silenceMillis: number,
): AsyncGenerator<Uint8Array> {
  const ahead: Buffer[] = [];
  let bytes = 0;
  let wake = (): void => {};
  const take = (chunk: Buffer): void => {
    ahead.push(chunk);
    bytes += chunk.length;
    if (bytes >= AHEAD_BYTES) request.pause();
    wake();
  };
  const end = (): void => wake();
  request.on("data", take).on("end", end).on("close", end).on("error", end);
  try {
    for (;;) {
      const chunk = ahead.shift();
      if (chunk !== undefined) {
        bytes -= chunk.length;
        if (bytes < AHEAD_BYTES / 2 && request.isPaused()) request.resume();
        yield chunk;
      } else if (request.readableEnded || (request.complete && request.readableLength === 0)) return;
      else if (request.destroyed) throw new BodyError("unexpected EOF");
      else {
        const silence = setTimeout(() => request.destroy(), silenceMillis).unref();
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        clearTimeout(silence);
      }
    }
  } finally {
    request.off("data", take).off("end", end).off("close", end).off("error", end);
  }
}

/** Rejects with a BodyError. */
export async function wholeBody(
  request: IncomingMessage,
  bytesMax: number,
  silenceMillis: number,
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of bodyChunks(request, silenceMillis)) {
    size += chunk.length;
    if (size > bytesMax) throw new BodyError("request body too large", true);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}
