// Goal: HashKV and compaction hashes are real etcd's, byte for byte. Method: histories that were run on etcd 3.7.1 (values with any
// bytes, leases, wipes, compactions, one at revision 0), with what its HashKV answered along the way; the store runs them again.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { LeaseId, Revision } from "../base/brand.ts";
import { latin1ToBytes } from "../base/bytes.ts";
import { isEtcdError } from "../base/errors.ts";
import type { FileNumber, ValueReader } from "./contract.ts";
import { newSlotList } from "./slot-list.ts";
import { Store } from "./store.ts";

type Change =
  | { put: { key: string; value: string; lease: string }; delete?: undefined }
  | { put?: undefined; delete: { key: string; end: string } };
type Step =
  | { op: "grant"; id: string }
  | { op: "txn"; ops: Change[]; revision: number }
  | { op: "compact"; revision: number; error?: string }
  | {
      op: "hash";
      revision: number;
      error?: string;
      hash?: number;
      compactRevision?: number;
      hashRevision?: number;
    };

/** The log of the replay: one growing buffer as file 1. */
class Values implements ValueReader {
  #bytes = Buffer.alloc(0);

  append(value: string): number {
    const offset = this.#bytes.length;
    this.#bytes = Buffer.concat([this.#bytes, Buffer.from(value, "latin1")]);
    return offset;
  }

  readValue(_file: FileNumber, offset: number, length: number): Uint8Array {
    return this.#bytes.subarray(offset, offset + length);
  }

  copyValue(_file: FileNumber, offset: number, length: number, into: Uint8Array, at: number): void {
    into.set(this.readValue(_file, offset, length), at);
  }
}

function change(store: Store, values: Values, ops: Change[]): number {
  const txn = store.write();
  for (const one of ops) {
    if (one.put !== undefined) {
      const { key, value, lease } = one.put;
      const offset = values.append(value);
      txn.put(latin1ToBytes(key), BigInt(lease) as LeaseId, 1 as FileNumber, offset, value.length);
    } else txn.delete(latin1ToBytes(one.delete.key), latin1ToBytes(one.delete.end), newSlotList());
  }
  return txn.end();
}

function hashAt(store: Store, values: Values, revision: number): unknown {
  const job = store.hashKv(revision as Revision);
  if (isEtcdError(job)) return { error: job.message };
  while (!job.step(3, values));
  const { hash, compactRevision, revision: hashRevision } = job.result!;
  return { hash, compactRevision, hashRevision };
}

for (const name of ["etcd-hashes-1", "etcd-hashes-2"]) {
  test(`the hashes that etcd 3.7.1 gave along ${name} come out again`, () => {
    const text = readFileSync(new URL(`../../../src/mvcc/testdata/${name}.jsonl`, import.meta.url), "utf8");
    const store = new Store({ seed: 1 });
    const values = new Values();
    let hashes = 0;
    for (const [line, json] of text.trim().split("\n").entries()) {
      const step = JSON.parse(json) as Step;
      const where = `${name} line ${line + 1}`;
      if (step.op === "txn") assert.equal(change(store, values, step.ops), step.revision, where);
      else if (step.op === "compact") {
        assert.equal(store.compact(step.revision as Revision)?.message, step.error, where);
        while (!store.compactSlice(7, values));
      } else if (step.op === "hash") {
        const { op: _op, revision, ...expected } = step;
        assert.deepEqual(hashAt(store, values, revision), expected, where);
        hashes++;
      }
    }
    assert.ok(hashes > 30);
  });
}
