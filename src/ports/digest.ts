// Checksums and digests that the engine does natively, as functions handed in. `crc32` is IEEE (zlib's); Castagnoli, which
// etcd's formats need, is ours and pure: src/base/crc32c.
export interface Digest {
  /** Continues from `seed` (0 to begin), so crc32(b, crc32(a)) is the checksum of a then b. */
  crc32(bytes: Uint8Array, seed?: number): number;
  sha1(chunks: readonly Uint8Array[]): Uint8Array;
  sha256(): { update(bytes: Uint8Array): void; digest(): Uint8Array };
}
