// The answering member's response headers. The hot ones (put, range, watch) are written as bytes around cached halves: cluster and
// member never change, the term rarely.
import type { Applied } from "../apply/applier.ts";
import type { ResponseHeader } from "../wire/generated/etcdserverpb.ts";
import {
  sizeBigint,
  sizeDelimited,
  sizeUint64Number,
  writeBigint,
  writeUint64Number,
  writeVarint32,
} from "../wire/writer.ts";

/** What the header says besides the revision. */
export interface HeaderSource {
  readonly clusterId: bigint;
  readonly localId: bigint;
  /** The term of the newest applied entry. */
  readonly term: number;
  readonly store: { readonly currentRevision: number };
}

export class Headers {
  readonly #source: HeaderSource;
  readonly #ids: Uint8Array;
  #term = -1;
  #termBytes: Uint8Array = new Uint8Array(0);

  constructor(source: HeaderSource) {
    this.#source = source;
    this.#ids = encodeIds(source.clusterId, source.localId);
  }

  /** A whole header with the current revision. */
  current(): ResponseHeader {
    return this.at(this.#source.store.currentRevision);
  }

  at(revision: number): ResponseHeader {
    const { clusterId, localId, term } = this.#source;
    return { clusterId, memberId: localId, revision, raftTerm: term };
  }

  /** As Cluster RPCs have it: no revision. */
  withoutRevision(): ResponseHeader {
    return this.at(0);
  }

  /** Completes a header that apply made: its revision stays, 0 becomes the current one. */
  fill(header: ResponseHeader | undefined): ResponseHeader {
    return header === undefined || header.revision === 0 ? this.current() : this.at(header.revision);
  }

  /** Length of the header field (tag and length included) that `write` writes. */
  size(revision: number): number {
    return 1 + sizeDelimited(this.#bodySize(revision));
  }

  /** Writes the header as field 1 of a response. Returns the end. */
  write(revision: number, out: Uint8Array, at: number): number {
    out[at++] = 0x0a;
    at = writeVarint32(this.#bodySize(revision), out, at);
    const ids = this.#ids;
    for (let i = 0; i < ids.length; i++) out[at + i] = ids[i]!;
    at += ids.length;
    if (revision > 0) {
      out[at++] = 0x18;
      at = writeUint64Number(revision, out, at);
    }
    const term = this.#termBytes;
    for (let i = 0; i < term.length; i++) out[at + i] = term[i]!;
    return at + term.length;
  }

  #bodySize(revision: number): number {
    if (this.#source.term !== this.#term) this.#renewTerm();
    return this.#ids.length + (revision > 0 ? 1 + sizeUint64Number(revision) : 0) + this.#termBytes.length;
  }

  #renewTerm(): void {
    this.#term = this.#source.term;
    const bytes = new Uint8Array(12);
    bytes[0] = 0x20;
    this.#termBytes =
      this.#term > 0 ? bytes.subarray(0, writeUint64Number(this.#term, bytes, 1)) : bytes.subarray(0, 0);
  }
}

/** The revision that apply reported, for replies that are written as bytes. */
export function revisionOf(result: Applied, fallback: number): number {
  const revision = result.response?.header?.revision ?? 0;
  return revision === 0 ? fallback : revision;
}

function encodeIds(clusterId: bigint, memberId: bigint): Uint8Array {
  const bytes = new Uint8Array(
    (clusterId === 0n ? 0 : 1 + sizeBigint(clusterId)) + (memberId === 0n ? 0 : 1 + sizeBigint(memberId)),
  );
  let at = 0;
  if (clusterId !== 0n) {
    bytes[at++] = 0x08;
    at = writeBigint(clusterId, bytes, at);
  }
  if (memberId !== 0n) {
    bytes[at++] = 0x10;
    writeBigint(memberId, bytes, at);
  }
  return bytes;
}
