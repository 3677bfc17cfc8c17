// The Maintenance service: status, alarms, hashes, snapshot, and the answers of a member that has nothing to defragment.

import type { Applied } from "../apply/applier.ts";
import { databaseBytes } from "../apply/quota.ts";
import { Code, errors, etcdError, isEtcdError } from "../base/errors.ts";
import { AlarmType } from "../cluster/alarms.ts";
import type { Member } from "../member/member.ts";
import {
  cancelDowngrade,
  type DowngradeWaiter,
  enableDowngrade,
  validateDowngrade,
} from "../member/membership/downgrade.ts";
import { storageVersionOf } from "../member/membership/version-monitor.ts";
import { requestTimeoutMillis } from "../member/options.ts";
import { RequestField } from "../member/request.ts";
import { BackendHash } from "../member/snapshot/backup.ts";
import { runHash } from "../member/upkeep/hash-run.ts";
import type { HashJob } from "../mvcc/hash-job.ts";
import type { KeyValueHash } from "../mvcc/key-value-hash.ts";
import type { Histogram } from "../ports/metrics.ts";
import {
  type AlarmResponse,
  DowngradeAction,
  decodeAlarmRequest,
  decodeDowngradeRequest,
  decodeHashKVRequest,
  decodeMoveLeaderRequest,
  encodeAlarmResponse,
  encodeDefragmentResponse,
  encodeDowngradeResponse,
  encodeHashKVResponse,
  encodeHashResponse,
  encodeMoveLeaderResponse,
  encodeStatusResponse,
} from "../wire/generated/etcdserverpb.ts";
import type { Method, ServerCall } from "./call.ts";
import type { Headers } from "./headers.ts";
import { guarded, ReplyWaiter, unary } from "./kv.ts";
import { sendSnapshot } from "./snapshot.ts";

const DOWNGRADE_ACTIONS: ReadonlySet<number> = new Set(Object.values(DowngradeAction));
const UNKNOWN_METHOD = etcdError(Code.Unknown, "etcdserver: unknown method");
const ALARM_NAMES: Record<number, string> = { 0: "NONE", 1: "NOSPACE", 2: "CORRUPT" };

export class MaintenanceService {
  readonly #member: Member;
  readonly #headers: Headers;

  constructor(member: Member, headers: Headers) {
    this.#member = member;
    this.#headers = headers;
  }

  methods(): [string, Method][] {
    const path = (name: string): string => `/etcdserverpb.Maintenance/${name}`;
    return [
      [path("Alarm"), unary((call, message) => this.alarm(call, message))],
      [path("Status"), unary((call) => this.status(call))],
      [path("Defragment"), unary((call) => this.defragment(call))],
      [path("Hash"), unary((call) => this.hash(call))],
      [path("HashKV"), unary((call, message) => this.hashKv(call, message))],
      [
        path("Snapshot"),
        { kind: "server-stream", handle: guarded((call) => sendSnapshot(this.#member, call)) },
      ],
      [path("MoveLeader"), unary((call, message) => this.moveLeader(call, message))],
      [path("Downgrade"), unary((call, message) => this.downgrade(call, message))],
    ];
  }

  alarm(call: ServerCall, message: Uint8Array): void {
    decodeAlarmRequest(message);
    const reply = (result: Applied): Uint8Array => {
      const response = result.response as AlarmResponse;
      response.header = this.#headers.fill(response.header);
      return encodeAlarmResponse(response);
    };
    this.#member.propose(RequestField.Alarm, message, new ReplyWaiter(call, reply));
  }

  status(call: ServerCall): void {
    const member = this.#member;
    const { raft, store, membership, options } = member;
    const { enabled, targetVersion } = membership.downgrade;
    call.send(
      encodeStatusResponse({
        header: this.#headers.current(),
        version: options.serverVersion,
        dbSize: databaseBytes(store),
        leader: raft.leader,
        raftIndex: raft.committedIndex,
        raftTerm: raft.term,
        raftAppliedIndex: raft.appliedIndex,
        errors: this.#troubles(),
        dbSizeInUse: databaseBytes(store),
        isLearner: membership.local?.isLearner ?? false,
        storageVersion: storageVersionOf(member) ?? "",
        dbSizeQuota: Number.isFinite(options.quotaBytes) ? options.quotaBytes : 0,
        downgradeInfo: { enabled, targetVersion },
      }),
    );
    call.end();
  }

  /** Nothing blocks and nothing has to be done: space is reclaimed all the time. The call asks for it to be done now. */
  defragment(call: ServerCall): void {
    this.#member.logger.info("starting defragment");
    this.#member.reclaimNow().then(
      () => {
        this.#member.logger.info("finished defragment");
        call.send(encodeDefragmentResponse({ header: undefined }));
        call.end();
      },
      (error: unknown) => this.#member.fatal(error),
    );
  }

  hashKv(call: ServerCall, message: Uint8Array): void {
    const { revision } = decodeHashKVRequest(message);
    const job = this.#member.store.hashKv(revision as never);
    if (isEtcdError(job)) {
      call.fail(job);
      return;
    }
    const current = this.#member.store.currentRevision;
    this.#runHash(call, job, this.#member.timings.hashKv, ({ hash, compactRevision, revision: hashed }) => {
      const header = this.#headers.at(current);
      call.send(encodeHashKVResponse({ header, hash, compactRevision, hashRevision: hashed }));
    });
  }

  hash(call: ServerCall): void {
    const { store } = this.#member;
    const job = new BackendHash(this.#member);
    const revision = store.currentRevision;
    this.#runHash(call, job, this.#member.timings.hash, ({ hash }) => {
      call.send(encodeHashResponse({ header: this.#headers.at(revision), hash }));
    });
  }

  moveLeader(call: ServerCall, message: Uint8Array): void {
    const { targetId } = decodeMoveLeaderRequest(message);
    const { raft, clock, options } = this.#member;
    if (!raft.isLeader) {
      call.fail(errors.notLeader);
      return;
    }
    const timeout = Math.min(call.deadline - clock.now(), requestTimeoutMillis(options));
    this.#member.transferLeadership(targetId as never, timeout).then(
      (error) => {
        if (error !== undefined) {
          call.fail(error);
          return;
        }
        call.send(encodeMoveLeaderResponse({ header: undefined }));
        call.end();
      },
      (error: unknown) => this.#member.fatal(error),
    );
  }

  downgrade(call: ServerCall, message: Uint8Array): void {
    const { action, version } = decodeDowngradeRequest(message);
    if (!DOWNGRADE_ACTIONS.has(action)) call.fail(UNKNOWN_METHOD);
    else if (action === DowngradeAction.CANCEL) cancelDowngrade(this.#member, this.#downgraded(call));
    else if (action === DowngradeAction.ENABLE)
      enableDowngrade(this.#member, version, this.#downgraded(call));
    else validateDowngrade(this.#member, version, this.#downgraded(call));
  }

  #downgraded(call: ServerCall): DowngradeWaiter {
    return {
      done: (version) => {
        call.send(encodeDowngradeResponse({ header: this.#headers.current(), version }));
        call.end();
      },
      failed: (error) => call.fail(error),
    };
  }

  #troubles(): string[] {
    const { raft, applyContext } = this.#member;
    const troubles = raft.leader === 0n ? ["etcdserver: no leader"] : [];
    for (const { memberId, alarm } of applyContext.alarms.get(AlarmType.None)) {
      troubles.push(`memberID:${memberId} alarm:${ALARM_NAMES[alarm] ?? alarm} `);
    }
    return troubles;
  }

  #runHash(call: ServerCall, job: HashJob, durations: Histogram, reply: (hash: KeyValueHash) => void): void {
    runHash(this.#member, job, durations, {
      abandoned: () => call.done,
      done: (hash) => {
        reply(hash);
        call.end();
      },
      failed: (error) => call.fail(error),
    });
  }
}
