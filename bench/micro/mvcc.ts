// Micro-benchmark of the revision store at a million keys: bytes per key, nanoseconds per operation, and the longest pause of
// any single one. Run: npm run build && nice -n 15 node --expose-gc dist/bench/micro/mvcc.js [keys]. It measures, it asserts nothing.
import { NO_LEASE, type Revision } from "../../src/base/brand.ts";
import { latin1ToBytes } from "../../src/base/bytes.ts";
import { isEtcdError } from "../../src/base/errors.ts";
import type { FileNumber, Slot } from "../../src/mvcc/contract.ts";
import { KeyValueForm, keyValueSize, writeKeyValue } from "../../src/mvcc/key-value.ts";
import { Restorer } from "../../src/mvcc/restorer.ts";
import { newSlotList } from "../../src/mvcc/slot-list.ts";
import { Store } from "../../src/mvcc/store.ts";

const keyBytes = 40;
const count = Number(process.argv[2] ?? 1_000_000);
const kinds = ["pods", "events", "leases", "configmaps", "secrets", "endpointslices"];

/** Keys of 40 bytes in one flat array, so that the questions are no objects for the collector to walk. */
function makeKeys(n: number): Uint8Array {
  const flat = new Uint8Array(n * keyBytes);
  for (let i = 0; i < n; i++) {
    const id = (Math.imul(i, 2654435761) >>> 0).toString(36).padStart(7, "0");
    const text = `/registry/${kinds[i % 6]}/ns-${i % 89}/name-${id}-`.padEnd(keyBytes, "x");
    flat.set(latin1ToBytes(text.slice(0, keyBytes)), i * keyBytes);
  }
  return flat;
}

function cpuMicros(): number {
  const usage = process.cpuUsage();
  return usage.user + usage.system;
}

/** CPU time, not wall time, and the best twentieth beside the mean: the machine may be shared. */
function report(name: string, operations: number, run: (i: number) => void): void {
  const part = Math.max(1, Math.floor(operations / 20));
  let longest = 0;
  let best = Number.POSITIVE_INFINITY;
  const before = cpuMicros();
  let last = before;
  let partBegan = before;
  for (let i = 0; i < operations; i++) {
    run(i);
    if ((i & 255) !== 0 && (i + 1) % part !== 0) continue;
    const now = cpuMicros();
    longest = Math.max(longest, now - last);
    last = now;
    if ((i + 1) % part !== 0) continue;
    best = Math.min(best, (now - partBegan) / part);
    partBegan = now;
  }
  const mean = ((last - before) * 1000) / operations;
  const figures = `${mean.toFixed(0).padStart(9)} ns/op, best part ${(best * 1000).toFixed(0).padStart(6)}`;
  console.log(`${name.padEnd(30)} ${figures}, longest pause ${(longest / 1000).toFixed(2)} ms`);
}

function shuffled(from: Uint8Array): Uint8Array {
  const order = Uint32Array.from({ length: from.length / keyBytes }, (_, i) => i);
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    const other = order[i]!;
    order[i] = order[j]!;
    order[j] = other;
  }
  const flat = new Uint8Array(from.length);
  for (let i = 0; i < order.length; i++) {
    flat.set(from.subarray(order[i]! * keyBytes, (order[i]! + 1) * keyBytes), i * keyBytes);
  }
  return flat;
}

const key = new Uint8Array(keyBytes);
function pick(flat: Uint8Array, index: number): Uint8Array {
  for (let i = 0, at = index * keyBytes; i < keyBytes; i++, at++) key[i] = flat[at]!;
  return key;
}

const keys = shuffled(makeKeys(count));
const asked = shuffled(keys);
const end = latin1ToBytes("/registry0");
const prefix = latin1ToBytes("/registry/");
const open = latin1ToBytes("\0");
const none = new Uint8Array(0);
const store = new Store({ seed: 7 });
const out = newSlotList(count + 1);
globalThis.gc?.();
const rssBefore = process.memoryUsage();

const put = (key: Uint8Array): void => {
  const txn = store.write();
  txn.put(
    key,
    NO_LEASE,
    (1 + (store.currentRevision >> 18)) as FileNumber,
    (store.currentRevision * 300) % 64_000_000,
    256,
  );
  txn.end();
};
report("put, new key", count, (i) => put(pick(keys, i)));
globalThis.gc?.();
const rssAfter = process.memoryUsage();
const grown = rssAfter.rss - rssBefore.rss;
console.log(
  `tables ${(store.memoryBytes / count).toFixed(1)} B/key, rss ${(grown / count).toFixed(1)} B/key`,
);

report("find, newest", count, (i) => store.find(pick(asked, i), store.currentRevision));
report("find, an old revision", count, (i) => store.find(pick(asked, i), (count >> 1) as Revision));
report("range of everything, per key", 1, () => store.range(prefix, end, store.currentRevision, count, out));
if (out.length > 0) {
  let best = Infinity;
  for (let i = 0; i < 3; i++) {
    out.length = 0;
    const before = performance.now();
    store.range(prefix, end, store.currentRevision, count, out);
    best = Math.min(best, performance.now() - before);
  }
  console.log(`range of ${out.length} keys: ${((best * 1e6) / out.length).toFixed(0)} ns per key`);
}
report("range of 500", Math.floor(count / 500), (i) => {
  out.length = 0;
  store.range(pick(keys, i), end, store.currentRevision, 500, out);
});
report("count of everything", 10_000, () => store.count(prefix, end, store.currentRevision));
report("count, 100 revisions ago", 10_000, () =>
  store.count(prefix, end, (store.currentRevision - 100) as Revision),
);
report("put, known key", count, (i) => put(pick(asked, i)));
{
  const blocks: Uint8Array[] = [];
  const checkpoint = store.checkpoint();
  let longest = 0;
  const before = cpuMicros();
  for (;;) {
    const start = cpuMicros();
    const block = checkpoint.next();
    longest = Math.max(longest, cpuMicros() - start);
    if (block === undefined) break;
    blocks.push(block.slice());
  }
  const bytes = blocks.reduce((sum, block) => sum + block.length, 0);
  console.log(
    `checkpoint ${(bytes / 1e6).toFixed(1)} MB in ${((cpuMicros() - before) / 1000).toFixed(0)} ms, longest slice ${longest} µs`,
  );
  const start = cpuMicros();
  const restorer = new Restorer({ seed: 11 });
  for (const block of blocks) restorer.push(block);
  const restored = restorer.finish();
  console.log(
    `restored ${restored.ok ? restored.store.rows : 0} rows in ${((cpuMicros() - start) / 1000).toFixed(0)} ms`,
  );
}
{
  store.compact(store.currentRevision);
  let longest = 0;
  const before = cpuMicros();
  for (;;) {
    const start = cpuMicros();
    const done = store.compactSlice(1000, undefined);
    longest = Math.max(longest, cpuMicros() - start);
    if (done) break;
  }
  console.log(
    `compaction to ${store.rows} rows in ${((cpuMicros() - before) / 1000).toFixed(0)} ms, longest slice of 1000: ${longest} µs; ${(store.memoryBytes / count).toFixed(1)} B/key`,
  );
}
{
  const value = new Uint8Array(256).fill(7);
  const values = {
    readValue: () => value,
    copyValue: (_f: FileNumber, _o: number, _l: number, into: Uint8Array, at: number) => into.set(value, at),
  };
  const buffer = new Uint8Array(count * 400);
  for (let round = 0; round < 4; round++) {
    const before = cpuMicros();
    out.length = 0;
    store.range(prefix, end, store.currentRevision, 10_000, out);
    let at = 0;
    for (let i = 0; i < out.length; i++) {
      const slot = out.slots[i]! as Slot;
      at += keyValueSize(store, slot, KeyValueForm.Full) > 0 ? 1 : 0;
      at = writeKeyValue(store, slot, KeyValueForm.Full, values, buffer, at);
    }
    console.log(
      `list of ${out.length} with 256 B values: ${(((cpuMicros() - before) * 1000) / out.length).toFixed(0)} ns per key-value`,
    );
  }
  const job = store.hashKv(0 as Revision);
  if (!isEtcdError(job)) {
    const before = cpuMicros();
    while (!job.step(2000, values));
    console.log(`HashKV ${(((cpuMicros() - before) * 1000) / count).toFixed(0)} ns per row`);
  }
}
report("delete, single", count >> 2, (i) => {
  out.length = 0;
  const txn = store.write();
  txn.delete(pick(keys, i), none, out);
  txn.end();
});
report("put, revived key", count >> 2, (i) => put(pick(keys, i)));
report("delete of everything", 1, () => {
  out.length = 0;
  const txn = store.write();
  txn.delete(prefix, open, out);
  txn.end();
});
console.log(`deleted ${out.length}`);
