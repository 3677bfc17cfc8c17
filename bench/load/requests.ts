// The requests that the workloads send, as bytes. Keys are fixed-width, so that a template can be patched in place.
import { bytesField, message, numberField } from "./protobuf.ts";

export const paths = {
  range: "/etcdserverpb.KV/Range",
  put: "/etcdserverpb.KV/Put",
  txn: "/etcdserverpb.KV/Txn",
  compact: "/etcdserverpb.KV/Compact",
  watch: "/etcdserverpb.Watch/Watch",
  leaseGrant: "/etcdserverpb.Lease/LeaseGrant",
  leaseKeepAlive: "/etcdserverpb.Lease/LeaseKeepAlive",
  snapshot: "/etcdserverpb.Maintenance/Snapshot",
} as const;

/** 40 bytes, the length of a common Kubernetes key. */
export function keyOf(index: number): Buffer {
  return Buffer.from(`/registry/configmaps/default/k${index.toString().padStart(10, "0")}`, "latin1");
}

export const keyPrefix = Buffer.from("/registry/configmaps/", "latin1");
export const keyPrefixEnd = Buffer.from("/registry/configmaps0", "latin1");

export function put(key: Buffer, value: Buffer): Buffer {
  return message(bytesField(1, key), bytesField(2, value));
}

export function range(
  key: Buffer,
  options: { end?: Buffer; limit?: number; serializable?: boolean } = {},
): Buffer {
  return message(
    bytesField(1, key),
    options.end === undefined ? Buffer.alloc(0) : bytesField(2, options.end),
    numberField(3, options.limit ?? 0),
    numberField(7, options.serializable === true ? 1 : 0),
  );
}

/** What kube-apiserver sends to create: put if the key was not modified since `revision`, else read it. */
export function txnPut(key: Buffer, value: Buffer, revision: number): Buffer {
  // Compare of MOD: the union's member is written even when it is zero.
  const modRevision = revision === 0 ? Buffer.from([6 * 8, 0]) : numberField(6, revision);
  const compare = message(numberField(2, 2), bytesField(3, key), modRevision);
  const success = bytesField(2, put(key, value));
  const failure = bytesField(1, range(key));
  return message(bytesField(1, compare), bytesField(2, success), bytesField(3, failure));
}

/** A txn of plain puts, to fill a store quickly. */
export function txnOfPuts(puts: readonly Buffer[]): Buffer {
  return message(...puts.map((one) => bytesField(2, bytesField(2, one))));
}

export function compact(revision: number, physical: boolean): Buffer {
  return message(numberField(1, revision), numberField(2, physical ? 1 : 0));
}

export function watchCreate(key: Buffer, end?: Buffer): Buffer {
  return bytesField(1, message(bytesField(1, key), end === undefined ? Buffer.alloc(0) : bytesField(2, end)));
}

export function leaseGrant(id: number, ttl: number): Buffer {
  return message(numberField(1, ttl), numberField(2, id));
}

export function leaseKeepAlive(id: number): Buffer {
  return numberField(1, id);
}
