// Checksums and digests that the engine does natively, as functions handed in. `crc32` is IEEE (zlib's); Castagnoli, which
// etcd's formats need, is ours and pure: src/base/crc32c.
export interface Digest {
  /** Continues from `seed` (0 to begin), so crc32(b, crc32(a)) is the checksum of a then b. */
  crc32(bytes: Uint8Array, seed?: number): number;
  sha1(chunks: readonly Uint8Array[]): Uint8Array;
  /** `onFailure`: called once if the digest cannot be made any more; not from within a call. */
  sha256Stream(onFailure: (error: Error) => void): StreamDigest;
}

/** The digest of a long stream of chunks, made while its caller goes on: on the real machine by another thread. */
export interface StreamDigest {
  /** Takes the next chunk, in memory that threads share, which must stay as it is until `updatesDone` has counted it. */
  update(chunk: Uint8Array): void;
  /** How many updates have been worked off. */
  readonly updatesDone: number;
  /** After the last update; calls back later, once. */
  finish(then: (digest: Uint8Array) => void): void;
  /** Nobody wants the digest any more: no call back follows. After finish() has called back it does nothing. */
  cancel(): void;
}
