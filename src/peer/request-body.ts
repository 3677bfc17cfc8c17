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

/** Pieces in order; valid for ever, since nobody writes to them again. Throws a BodyError. */
export async function* bodyChunks(
  request: IncomingMessage,
  silenceMillis: number,
): AsyncGenerator<Uint8Array> {
  for (;;) {
    const chunk: Buffer | null = request.read();
    if (chunk !== null) {
      yield chunk;
      continue;
    }
    if (request.readableEnded || (request.complete && request.readableLength === 0)) return;
    if (request.destroyed) throw new BodyError("unexpected EOF");
    await moreOf(request, silenceMillis);
  }
}

function moreOf(request: IncomingMessage, silenceMillis: number): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      request.off("readable", done);
      request.off("end", done);
      request.off("close", done);
      request.off("error", done);
      resolve();
    };
    const timer = setTimeout(() => {
      request.destroy();
      done();
    }, silenceMillis).unref();
    request.once("readable", done);
    request.once("end", done);
    request.once("close", done);
    request.once("error", done);
  });
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
