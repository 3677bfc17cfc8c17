// Branded primitives: what the server counts is a number, what somebody names (a 64-bit id chosen elsewhere) is a bigint.
// Each brand has one constructor, which asserts. No bare number crosses a folder.
import { assert } from "./assert.ts";

export type Brand<T, Name extends string> = T & { readonly __brand: Name };

/** One atomic change of the key space. The first write of an empty store makes revision 2. */
export type Revision = Brand<number, "Revision">;
/** Position in the raft log, from 1. */
export type Index = Brand<number, "Index">;
/** Raft term, from 0. */
export type Term = Brand<number, "Term">;
/** Milliseconds, of a monotonic or a wall clock as the context says. */
export type Millis = Brand<number, "Millis">;
/** A number of bytes, or an offset in a file. */
export type ByteCount = Brand<number, "ByteCount">;

/** Chosen by a client or by the server; negative values are legal (a client may name any int64). */
export type LeaseId = Brand<bigint, "LeaseId">;
/** Unsigned 64 bits: first eight bytes of a SHA-1, see etcd's membership package. */
export type MemberId = Brand<bigint, "MemberId">;
/** Unsigned 64 bits. */
export type ClusterId = Brand<bigint, "ClusterId">;
/** Unsigned 64 bits: 2 bytes of member id, 5 bytes of milliseconds, 1 byte of counter. */
export type RequestId = Brand<bigint, "RequestId">;

function count(n: number, what: string): number {
  assert(Number.isSafeInteger(n), `${what} is a safe integer`);
  assert(n >= 0, `${what} is not negative`);
  return n;
}

export function revision(n: number): Revision {
  return count(n, "revision") as Revision;
}

export function index(n: number): Index {
  return count(n, "index") as Index;
}

export function term(n: number): Term {
  return count(n, "term") as Term;
}

export function byteCount(n: number): ByteCount {
  return count(n, "byte count") as ByteCount;
}

export function millis(n: number): Millis {
  assert(Number.isFinite(n), "milliseconds are finite");
  return n as Millis;
}

export function leaseId(n: bigint): LeaseId {
  return BigInt.asIntN(64, n) as LeaseId;
}

export function memberId(n: bigint): MemberId {
  return BigInt.asUintN(64, n) as MemberId;
}

export function clusterId(n: bigint): ClusterId {
  return BigInt.asUintN(64, n) as ClusterId;
}

export function requestId(n: bigint): RequestId {
  return BigInt.asUintN(64, n) as RequestId;
}

export const NO_LEASE: LeaseId = 0n as LeaseId;
