// Maintenance of members. Status, hash and defragment speak of the one member that answers: use a client with one endpoint.
import {
  AlarmAction,
  type AlarmResponse,
  AlarmType,
  createAlarmResponse,
  type DefragmentResponse,
  type DowngradeAction,
  type DowngradeResponse,
  decodeAlarmResponse,
  decodeDefragmentResponse,
  decodeDowngradeResponse,
  decodeHashKVResponse,
  decodeMoveLeaderResponse,
  decodeSnapshotResponse,
  decodeStatusResponse,
  encodeAlarmRequest,
  encodeDefragmentRequest,
  encodeDowngradeRequest,
  encodeHashKVRequest,
  encodeMoveLeaderRequest,
  encodeSnapshotRequest,
  encodeStatusRequest,
  type HashKVResponse,
  type MoveLeaderResponse,
  type SnapshotResponse,
  type StatusResponse,
} from "../wire/generated/etcdserverpb.ts";
import type { CallOptions, Rpc } from "./rpc.ts";

const PATH = "/etcdserverpb.Maintenance/";

export class Maintenance {
  readonly #rpc: Rpc;

  constructor(rpc: Rpc) {
    this.#rpc = rpc;
  }

  async #alarm(
    action: AlarmAction,
    memberId: bigint,
    alarm: AlarmType,
    options?: CallOptions,
  ): Promise<AlarmResponse> {
    const bytes = encodeAlarmRequest({ action, memberId, alarm });
    return await this.#rpc.unary(`${PATH}Alarm`, bytes, decodeAlarmResponse, "repeatable", options);
  }

  async alarmList(options?: CallOptions): Promise<AlarmResponse> {
    return await this.#alarm(AlarmAction.GET, 0n, AlarmType.NONE, options);
  }

  /** Without a member and a type: all that are raised. */
  async alarmDisarm(
    memberId = 0n,
    alarm: AlarmType = AlarmType.NONE,
    options?: CallOptions,
  ): Promise<AlarmResponse> {
    if (memberId !== 0n || alarm !== AlarmType.NONE) {
      return await this.#alarm(AlarmAction.DEACTIVATE, memberId, alarm, options);
    }
    const all = createAlarmResponse();
    for (const raised of (await this.alarmList(options)).alarms) {
      const one = await this.#alarm(AlarmAction.DEACTIVATE, raised.memberId, raised.alarm, options);
      all.alarms.push(...one.alarms);
    }
    return all;
  }

  async status(options?: CallOptions): Promise<StatusResponse> {
    return await this.#rpc.unary(
      `${PATH}Status`,
      encodeStatusRequest({}),
      decodeStatusResponse,
      "repeatable",
      options,
    );
  }

  async defragment(options?: CallOptions): Promise<DefragmentResponse> {
    const bytes = encodeDefragmentRequest({});
    return await this.#rpc.unary(`${PATH}Defragment`, bytes, decodeDefragmentResponse, "once", options);
  }

  /** `revision` 0: the current one. */
  async hashKv(revision: number, options?: CallOptions): Promise<HashKVResponse> {
    const bytes = encodeHashKVRequest({ revision });
    return await this.#rpc.unary(`${PATH}HashKV`, bytes, decodeHashKVResponse, "repeatable", options);
  }

  /** The member's database in pieces; the last piece is the SHA-256 of all others. */
  snapshot(
    options?: CallOptions & { readonly opened?: () => void },
  ): AsyncGenerator<SnapshotResponse, void, undefined> {
    const bytes = encodeSnapshotRequest({});
    return this.#rpc.serverStream(`${PATH}Snapshot`, bytes, decodeSnapshotResponse, options, options?.opened);
  }

  async moveLeader(targetId: bigint, options?: CallOptions): Promise<MoveLeaderResponse> {
    const bytes = encodeMoveLeaderRequest({ targetId });
    return await this.#rpc.unary(`${PATH}MoveLeader`, bytes, decodeMoveLeaderResponse, "repeatable", options);
  }

  async downgrade(
    action: DowngradeAction,
    version: string,
    options?: CallOptions,
  ): Promise<DowngradeResponse> {
    const bytes = encodeDowngradeRequest({ action, version });
    return await this.#rpc.unary(`${PATH}Downgrade`, bytes, decodeDowngradeResponse, "once", options);
  }
}
