// The Digest port on the real machine: zlib's crc32 (native, about 6 GB/s) and OpenSSL's SHA.
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import type { Digest } from "../ports/digest.ts";

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
    sha256() {
      const hash = createHash("sha256");
      return {
        update(bytes: Uint8Array): void {
          hash.update(bytes);
        },
        digest(): Uint8Array {
          return hash.digest();
        },
      };
    },
  };
}
