// The Maintenance service: status, alarms, hashes, snapshot, and the answers of a member that has nothing to defragment.
import type { Applied } from "../apply/applier.ts";
import { Code, type EtcdError, errors, etcdError, isEtcdError } from "../base/errors.ts";
import { AlarmType } from "../cluster/alarms.ts";
import type { Member } from "../member/member.ts";
import { RequestField } from "../member/request.ts";
import type { HashJob } from "../mvcc/hash-job.ts";
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
  encodeStatusResponse,
} from "../wire/generated/etcdserverpb.ts";
import type { Method, ServerCall } from "./call.ts";
import type { Headers } from "./headers.ts";
import { guarded, ReplyWaiter, unary } from "./kv.ts";
import { sendSnapshot } from "./snapshot.ts";

/** Rows hashed in one turn: well below 10 ms. */
const HASH_ROWS_PER_TURN = 2000;
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
        dbSize: store.liveBytes,
        leader: raft.leader,
        raftIndex: raft.committedIndex,
        raftTerm: raft.term,
        raftAppliedIndex: raft.appliedIndex,
        errors: this.#troubles(),
        dbSizeInUse: store.liveBytes,
        isLearner: membership.local?.isLearner ?? false,
        storageVersion: membership.version ?? "",
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
    this.#runHash(call, job, this.#member.timings.hashKv, () => {
      const { hash, compactRevision, revision: hashed } = job.result!;
      const header = this.#headers.at(current);
      call.send(encodeHashKVResponse({ header, hash, compactRevision, hashRevision: hashed }));
    });
  }

  hash(call: ServerCall): void {
    const { store } = this.#member;
    const job = this.#member.hashBackend();
    const revision = store.currentRevision;
    this.#runHash(call, job, this.#member.timings.hash, () => {
      call.send(encodeHashResponse({ header: this.#headers.at(revision), hash: job.result!.hash }));
    });
  }

  moveLeader(call: ServerCall, message: Uint8Array): void {
    const { targetId } = decodeMoveLeaderRequest(message);
    call.fail(this.#refuseTransfer(targetId));
  }

  /** A single member cannot go down a version on its own; the checks and texts are etcd's. */
  downgrade(call: ServerCall, message: Uint8Array): void {
    const { action, version } = decodeDowngradeRequest(message);
    const { membership } = this.#member;
    if (!DOWNGRADE_ACTIONS.has(action)) {
      call.fail(UNKNOWN_METHOD);
      return;
    }
    const refused = action === DowngradeAction.CANCEL ? undefined : this.#checkDowngrade(version);
    if (refused !== undefined) {
      call.fail(refused);
      return;
    }
    const reply = (): Uint8Array =>
      encodeDowngradeResponse({
        header: this.#headers.current(),
        version: shortVersion(membership.version ?? ""),
      });
    if (action === DowngradeAction.VALIDATE) {
      call.send(reply());
      call.end();
      return;
    }
    this.#member.setDowngrade(
      action === DowngradeAction.ENABLE ? version : undefined,
      new ReplyWaiter(call, reply),
    );
  }

  #refuseTransfer(target: bigint): EtcdError {
    const { raft, membership } = this.#member;
    if (!raft.isLeader) return errors.notLeader;
    const member = membership.member(target as never);
    if (member === undefined || member.isLearner) return errors.badLeaderTransferee;
    return errors.badLeaderTransferee;
  }

  #checkDowngrade(target: string): EtcdError | undefined {
    const { membership } = this.#member;
    const wanted = /^(\d+)\.(\d+)(?:\.\d+)?$/.exec(target);
    if (wanted === null) return errors.wrongDowngradeVersionFormat;
    if (membership.version === undefined) return errors.clusterVersionUnavailable;
    const [major, minor] = membership.version.split(".").map(Number) as [number, number];
    if (Number(wanted[1]) !== major || Number(wanted[2]) !== minor - 1)
      return errors.invalidDowngradeTargetVersion;
    return membership.downgrade.enabled ? errors.downgradeInProcess : undefined;
  }

  #troubles(): string[] {
    const { raft, applyContext } = this.#member;
    const troubles = raft.leader === 0n ? ["etcdserver: no leader"] : [];
    for (const { memberId, alarm } of applyContext.alarms.get(AlarmType.None)) {
      troubles.push(`memberID:${memberId} alarm:${ALARM_NAMES[alarm] ?? alarm} `);
    }
    return troubles;
  }

  #runHash(call: ServerCall, job: HashJob, durations: Histogram, reply: () => void): void {
    const { clock } = this.#member;
    const started = clock.now();
    const step = (): void => {
      if (call.done) {
        job.cancel();
        return;
      }
      if (!job.step(HASH_ROWS_PER_TURN, this.#member.reader)) {
        this.#member.clock.endOfTurn(step);
        return;
      }
      durations.observe((clock.now() - started) / 1000);
      reply();
      call.end();
    };
    step();
  }
}

/** `3.7` of `3.7.0`. */
function shortVersion(version: string): string {
  return version.split(".").slice(0, 2).join(".");
}
