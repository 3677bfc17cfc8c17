// The Digest port: zlib's crc32 (native, about 6 GB/s) and OpenSSL's SHA, all on the calling thread. The server hashes long streams on
// another one: see hash-thread.ts.
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import type { Digest, StreamDigest } from "../ports/digest.ts";

export function nodeDigest(): Digest {
  return {
    crc32(bytes: Uint8Array, seed?: number): number {
      return crc32(bytes, seed);
    },
    sha1(chunks: readonly Uint8Array[]): Uint8Array {
      const hash = createHash("sha1");
      for (const chunk of chunks) hash.update(chunk);
      return hash.digest();
    },
    sha256Stream: inlineStream,
  };
}

function inlineStream(): StreamDigest {
  const hash = createHash("sha256");
  let canceled = false;
  return {
    updatesDone: 0,
    update(chunk): void {
      hash.update(chunk);
      (this as { updatesDone: number }).updatesDone++;
    },
    finish(then): void {
      const digest = hash.digest();
      queueMicrotask(() => {
        if (!canceled) then(digest);
      });
    },
    cancel(): void {
      canceled = true;
    },
  };
}
