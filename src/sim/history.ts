// What clients asked and were told, in order, and what observers saw of every revision. Workloads write it, checkers read it when the
// run is over. It knows nothing of the member: everything here was seen from outside.
import { assert } from "../base/assert.ts";
import { latin1FromBytes } from "../base/bytes.ts";
import type { EtcdError } from "../base/errors.ts";
import type {
  CompactionRequest,
  DeleteRangeRequest,
  DeleteRangeResponse,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  TxnRequest,
  TxnResponse,
} from "../wire/generated/etcdserverpb.ts";
import type { Event, KeyValue } from "../wire/generated/mvccpb.ts";

/** Lost: the member died, or gave up, before it answered; the request was carried out, or not. */
export type Outcome<T> =
  | { readonly kind: "ok"; readonly response: T }
  | { readonly kind: "error"; readonly error: EtcdError }
  | { readonly kind: "lost" };

export type Call =
  | { readonly type: "put"; readonly request: PutRequest; outcome: Outcome<PutResponse> }
  | { readonly type: "delete"; readonly request: DeleteRangeRequest; outcome: Outcome<DeleteRangeResponse> }
  | { readonly type: "txn"; readonly request: TxnRequest; outcome: Outcome<TxnResponse> }
  | { readonly type: "range"; readonly request: RangeRequest; outcome: Outcome<RangeResponse> }
  | { readonly type: "compact"; readonly request: CompactionRequest; outcome: Outcome<{ revision: number }> };

/** One call, between two ticks of the history's own counter: what ended before another began happened before it. */
export type Record = Call & {
  readonly began: number;
  ended: number;
  readonly beganAt: number;
  /** The process that was asked. */
  readonly servedBy: string;
};

/** One row as text, so that it can be compared. */
export type Row = {
  readonly key: string;
  readonly value: string;
  readonly create: number;
  readonly mod: number;
  readonly version: number;
  readonly lease: bigint;
};

/** One event; `row` is undefined for a deletion. */
export type Change = { readonly key: string; readonly row: Row | undefined };

export class History {
  readonly records: Record[] = [];
  /** Events by revision, as whoever saw them first saw them. */
  readonly revisions = new Map<number, readonly Change[]>();
  /** When each revision was first seen, in virtual milliseconds. */
  readonly seenAt = new Map<number, number>();
  readonly violations: string[] = [];
  /** Answers to HashKV by compacted and hashed revision. */
  readonly hashes = new Map<string, number>();
  newestRevision = 1;
  #tick = 0;

  tick(): number {
    return ++this.#tick;
  }

  violation(text: string): void {
    if (this.violations.length < 20) this.violations.push(text);
  }

  /** One whole revision as an observer of all keys saw it. Whoever sees it again must see the same. */
  observe(revision: number, changes: readonly Change[], now: number): void {
    assert(revision > 1, "the first change has revision 2");
    const known = this.revisions.get(revision);
    if (known === undefined) {
      this.revisions.set(revision, changes);
      this.seenAt.set(revision, now);
      this.newestRevision = Math.max(this.newestRevision, revision);
    } else if (showChanges(known) !== showChanges(changes)) {
      this.violation(
        `revision ${revision} was used twice: ${showChanges(known)} and then ${showChanges(changes)}`,
      );
    }
  }

  hashed(compactRevision: number, revision: number, hash: number): void {
    const name = `${compactRevision}/${revision}`;
    const known = this.hashes.get(name);
    if (known !== undefined && known !== hash) {
      this.violation(
        `HashKV of revision ${revision}, compacted at ${compactRevision}: ${known}, then ${hash}`,
      );
    }
    this.hashes.set(name, hash);
  }
}

export function rowOf(kv: KeyValue): Row {
  return {
    key: latin1FromBytes(kv.key),
    value: latin1FromBytes(kv.value),
    create: kv.createRevision,
    mod: kv.modRevision,
    version: kv.version,
    lease: kv.lease,
  };
}

export function changeOf(event: Event): Change {
  const kv = event.kv!;
  return { key: latin1FromBytes(kv.key), row: event.type === 1 ? undefined : rowOf(kv) };
}

/** For comparing and for telling: long values by their head and length. */
export function showRow(row: Row | undefined): string {
  if (row === undefined) return "none";
  const { key, value, create, mod, version, lease } = row;
  return `${key}=${showValue(value)}@${create}/${mod}/${version}${lease === 0n ? "" : `/${lease}`}`;
}

function showValue(value: string): string {
  if (value.length <= 24) return value;
  let sum = 0;
  for (let i = 0; i < value.length; i++) sum = (Math.imul(sum, 31) + value.charCodeAt(i)) >>> 0;
  return `${value.slice(0, 12)}…${value.length}#${sum.toString(36)}`;
}

export function showChanges(changes: readonly Change[]): string {
  return changes.map(({ key, row }) => (row === undefined ? `-${key}` : showRow(row))).join(" ");
}
