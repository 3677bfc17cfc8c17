// How many operations were executed on the key space, as etcd counts them (mvcc's metricsTxnWrite): each op of a txn by itself, a put
// with prev_kv also as a range, and a txn as one when more than one op ran in it. Plain numbers; the metrics read them.

export class OpCounts {
  ranges = 0;
  puts = 0;
  deletes = 0;
  txns = 0;
  /** Key and value bytes of all puts. */
  putBytes = 0;

  get total(): number {
    return this.ranges + this.puts + this.deletes;
  }

  /** Called after the ops of one txn: `before` is the total before its first one. */
  ended(before: number): void {
    if (this.total - before > 1) this.txns++;
  }
}
