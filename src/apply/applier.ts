// One committed entry → one result, and the rows it changed. The dispatcher: a switch over what an InternalRaftRequest holds, with
// etcd's order of refusal (corrupt, no space, quota) around it. Deterministic: the same entries give the same state on every member.
import { EMPTY } from "../base/bytes.ts";
import { Code, type EtcdError, errors, etcdError, isEtcdError } from "../base/errors.ts";
import { keyToBytes } from "../base/key.ts";
import { AlarmType } from "../cluster/alarms.ts";
import {
  AlarmAction,
  type AlarmRequest,
  type AlarmResponse,
  type CompactionRequest,
  type CompactionResponse,
  type DeleteRangeRequest,
  type DeleteRangeResponse,
  decodePutRequest,
  type LeaseCheckpointRequest,
  type LeaseGrantRequest,
  type LeaseGrantResponse,
  type LeaseRevokeRequest,
  type PutRequest,
  type PutResponse,
  type ResponseHeader,
  type TxnRequest,
  type TxnResponse,
} from "../wire/generated/etcdserverpb.ts";
import {
  decodeInternalRaftRequest,
  decodeRequestHeader,
  type InternalRaftRequest,
} from "../wire/generated/raft-internal.ts";
import type { ApplyContext, EntryAtHand } from "./context.ts";
import { headerOf } from "./header.ts";
import { checkPut, deleteKey, deleteRange, put } from "./key-space.ts";
import { COST_OF_LEASE, costOfPut, costOfTxn, exceedsQuota } from "./quota.ts";
import { applyTxn } from "./txn.ts";

export type Response =
  | PutResponse
  | DeleteRangeResponse
  | TxnResponse
  | CompactionResponse
  | LeaseGrantResponse
  | AlarmResponse
  | { header: ResponseHeader | undefined };

/** `op` is etcd's name of the request in metrics and logs. A response may come with an error: applied, yet reported as failed. */
export type Applied = {
  readonly id: bigint;
  readonly op: string;
  readonly response: Response | undefined;
  readonly error: EtcdError | undefined;
};

type Outcome = Response | EtcdError;

/** First byte of an InternalRaftRequest that holds a put: field 4, length-delimited. The hottest entry is told by it. */
const PUT_TAG = 0x22;
const NOT_HERE = etcdError(
  Code.Unimplemented,
  "etcdserver: authentication is not supported by this version of Cairn",
);

export class Applier {
  readonly context: ApplyContext;

  constructor(context: ApplyContext) {
    this.context = context;
  }

  /** Applies one normal entry. The rows it changed stand in context.changed until the next call. */
  apply(entry: EntryAtHand): Applied {
    const { context } = this;
    context.entry = entry;
    context.changed.length = 0;
    const data = entry.data;
    if (data.length > 0 && data[0] === PUT_TAG) {
      const fast = this.#applyPlainPut(data);
      if (fast !== undefined) return fast;
    }
    return this.#applyRequest(decodeInternalRaftRequest(data));
  }

  /** A put as this member itself proposes it: the request, then the header. Anything else is undefined and goes the long way. */
  #applyPlainPut(data: Uint8Array): Applied | undefined {
    let length = 0;
    let at = 1;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = data[at++]!;
      length |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    const end = at + length;
    // Tag of field 100, length-delimited, and a header shorter than 128 bytes that ends the entry.
    if (data[end] !== 0xa2 || data[end + 1] !== 0x06 || end + 3 + data[end + 2]! !== data.length)
      return undefined;
    const header = decodeRequestHeader(data, end + 3, data.length);
    return applied(header.id, "Put", this.#put(decodePutRequest(data, at, end)), this.#lateError);
  }

  #lateError: EtcdError | undefined = undefined;

  #applyRequest(request: InternalRaftRequest): Applied {
    const id = request.header?.id ?? request.id;
    this.#lateError = undefined;
    if (request.put !== undefined) return applied(id, "Put", this.#put(request.put), this.#lateError);
    if (request.deleteRange !== undefined)
      return applied(id, "DeleteRange", this.#deleteRange(request.deleteRange));
    if (request.txn !== undefined) return applied(id, "Txn", this.#txn(request.txn), this.#lateError);
    if (request.compaction !== undefined) return applied(id, "Compaction", this.#compact(request.compaction));
    if (request.leaseGrant !== undefined) {
      return applied(id, "LeaseGrant", this.#leaseGrant(request.leaseGrant), this.#lateError);
    }
    if (request.leaseRevoke !== undefined)
      return applied(id, "LeaseRevoke", this.#leaseRevoke(request.leaseRevoke));
    if (request.leaseCheckpoint !== undefined) {
      return applied(id, "LeaseCheckpoint", this.#leaseCheckpoint(request.leaseCheckpoint));
    }
    if (request.alarm !== undefined) return applied(id, "Alarm", this.#alarm(request.alarm));
    return this.#applyClusterRequest(id, request);
  }

  #applyClusterRequest(id: bigint, request: InternalRaftRequest): Applied {
    const { membership } = this.context;
    if (request.clusterVersionSet !== undefined) {
      membership.version = request.clusterVersionSet.ver;
      return applied(id, "ClusterVersionSet", this.#header());
    }
    if (request.clusterMemberAttrSet !== undefined) {
      const { memberId, memberAttributes } = request.clusterMemberAttrSet;
      membership.setAttributes(
        memberId as never,
        memberAttributes?.name ?? "",
        memberAttributes?.clientUrls ?? [],
      );
      return applied(id, "ClusterMemberAttrSet", this.#header());
    }
    if (request.downgradeInfoSet !== undefined) {
      const { enabled, ver } = request.downgradeInfoSet;
      membership.downgrade = { enabled, targetVersion: enabled ? ver : "" };
      return applied(id, "DowngradeInfoSet", this.#header());
    }
    if (request.downgradeVersionTest !== undefined)
      return applied(id, "DowngradeVersionTest", this.#header());
    return applied(id, "unknown", NOT_HERE);
  }

  #put(request: PutRequest): Outcome {
    const { context } = this;
    this.#lateError = undefined;
    const refused = this.#refusal() ?? (context.alarms.has(AlarmType.NoSpace) ? errors.noSpace : undefined);
    if (refused !== undefined) return refused;
    this.#lateError = this.#quotaError(costOfPut(request.key.length, request.value.length));
    const failed = checkPut(context, request, context.store.currentRevision);
    if (failed !== undefined) return failed;
    const counted = context.counts.total;
    const txn = context.store.write();
    const response = put(context, txn, request);
    txn.end();
    context.counts.ended(counted);
    return response;
  }

  #deleteRange(request: DeleteRangeRequest): Outcome {
    const refused = this.#refusal();
    if (refused !== undefined) return refused;
    const counted = this.context.counts.total;
    const txn = this.context.store.write();
    const response = deleteRange(this.context, txn, request);
    txn.end();
    this.context.counts.ended(counted);
    return response;
  }

  #txn(request: TxnRequest): Outcome {
    const refused = this.#refusal();
    if (refused !== undefined) return refused;
    const cost = costOfTxn(request);
    if (cost > 0 && this.context.alarms.has(AlarmType.NoSpace)) return errors.noSpace;
    this.#lateError = this.#quotaError(cost);
    return applyTxn(this.context, request);
  }

  #compact(request: CompactionRequest): Outcome {
    const refused = this.#refusal() ?? this.context.store.compact(request.revision as never);
    if (refused !== undefined) return refused;
    // etcd reads a key here, for the revision in its header, and counts that.
    this.context.counts.ranges++;
    return this.#header();
  }

  #leaseGrant(request: LeaseGrantRequest): Outcome {
    const { lessor, alarms, entry } = this.context;
    const refused = this.#refusal() ?? (alarms.has(AlarmType.NoSpace) ? errors.noSpace : undefined);
    if (refused !== undefined) return refused;
    this.#lateError = this.#quotaError(COST_OF_LEASE);
    const lease = lessor.grant(request.id as never, request.ttl, entry.now);
    if (isEtcdError(lease)) return lease;
    return { header: this.#header().header, id: lease.id, ttl: lease.ttl, error: "" };
  }

  /** Deletes the lease's keys in order, in one revision. */
  #leaseRevoke(request: LeaseRevokeRequest): Outcome {
    const refused = this.#refusal();
    if (refused !== undefined) return refused;
    const keys = this.context.lessor.revoke(request.id as never);
    if (isEtcdError(keys)) return keys;
    if (keys.length > 0) {
      const counted = this.context.counts.total;
      const txn = this.context.store.write();
      for (const key of keys) deleteKey(this.context, txn, keyToBytes(key));
      txn.end();
      this.context.counts.ended(counted);
    }
    return this.#header();
  }

  #leaseCheckpoint(request: LeaseCheckpointRequest): Outcome {
    const { lessor, entry } = this.context;
    for (const { id, remainingTtl } of request.checkpoints) {
      if (lessor.lookup(id as never) === undefined) return errors.leaseNotFound;
      lessor.checkpoint(id as never, remainingTtl, entry.now);
    }
    return this.#header();
  }

  #alarm(request: AlarmRequest): Outcome {
    const { alarms } = this.context;
    const memberId = request.memberId as never;
    let found: readonly { memberId: bigint; alarm: number }[] = [];
    if (request.action === AlarmAction.GET) found = alarms.get(request.alarm);
    else if (request.action === AlarmAction.ACTIVATE) {
      if (request.alarm !== AlarmType.None) found = [alarms.activate(memberId, request.alarm)];
    } else if (request.action === AlarmAction.DEACTIVATE) {
      const cleared = alarms.deactivate(memberId, request.alarm);
      if (cleared !== undefined) found = [cleared];
    }
    return { header: undefined, alarms: found.map(({ memberId: id, alarm }) => ({ memberId: id, alarm })) };
  }

  /** A corrupt cluster changes nothing more. */
  #refusal(): EtcdError | undefined {
    return this.context.alarms.has(AlarmType.Corrupt) ? errors.corrupt : undefined;
  }

  /** Over the quota a write is applied all the same, because other members may have had room; its caller is told it failed. */
  #quotaError(cost: number): EtcdError | undefined {
    const { store, quotaBytes } = this.context;
    return exceedsQuota(store, cost, quotaBytes) ? errors.noSpace : undefined;
  }

  #header(): { header: ResponseHeader } {
    return { header: headerOf(this.context.store.currentRevision) };
  }
}

function applied(id: bigint, op: string, outcome: Outcome, lateError?: EtcdError | undefined): Applied {
  if (isEtcdError(outcome)) return { id, op, response: undefined, error: outcome };
  return { id, op, response: outcome, error: lateError };
}

/** An entry before the first one. */
export function noEntry(now: number): EntryAtHand {
  return { term: 0 as never, index: 0 as never, data: EMPTY, file: 0 as never, offset: 0, now: now as never };
}
