// A client of the simulated member: calls as promises, each key-value call recorded with what it was told. A call while the machine
// is down is none: the client waits until it is up. It never tries again by itself.

import { must } from "../base/assert.ts";
import { latin1ToBytes } from "../base/bytes.ts";
import {
  type Compare,
  type CompareTargetUnion,
  createDeleteRangeRequest,
  createPutRequest,
  createRangeRequest,
  type DeleteRangeRequest,
  decodeCompactionResponse,
  decodeDeleteRangeResponse,
  decodeHashKVResponse,
  decodePutResponse,
  decodeRangeResponse,
  decodeTxnResponse,
  encodeCompactionRequest,
  encodeDefragmentRequest,
  encodeDeleteRangeRequest,
  encodeHashKVRequest,
  encodePutRequest,
  encodeRangeRequest,
  encodeTxnRequest,
  type PutRequest,
  type PutResponse,
  type RangeRequest,
  type RangeResponse,
  type RequestOp,
  type TxnRequest,
  type TxnResponse,
} from "../wire/generated/etcdserverpb.ts";
import { type SimContext, sleep } from "./context.ts";
import type { Call, Outcome, Record } from "./history.ts";
import type { Machine } from "./machine.ts";

/** How long a client waits before it looks whether the machine is up again. */
const DOWN_MILLIS = 50;
type Begun = { began: number; ended: number; beganAt: number; servedBy: string };

const LOST = { kind: "lost" } as const;

export type PutOptions = Partial<Omit<PutRequest, "key" | "value">>;

export function putRequest(key: string, value: string, options: PutOptions = {}): PutRequest {
  return { ...createPutRequest(), ...options, key: latin1ToBytes(key), value: latin1ToBytes(value) };
}

export function deleteRequest(key: string, end = "", prevKv = false): DeleteRangeRequest {
  return { ...createDeleteRangeRequest(), key: latin1ToBytes(key), rangeEnd: latin1ToBytes(end), prevKv };
}

export function rangeRequest(key: string, end = "", options: Partial<RangeRequest> = {}): RangeRequest {
  return { ...createRangeRequest(), ...options, key: latin1ToBytes(key), rangeEnd: latin1ToBytes(end) };
}

export function compare(
  key: string,
  target: number,
  result: number,
  targetUnion: CompareTargetUnion,
  end = "",
): Compare {
  return { key: latin1ToBytes(key), rangeEnd: latin1ToBytes(end), target, result, targetUnion };
}

export const op = {
  put: (request: PutRequest): RequestOp => ({ request: { case: "requestPut", value: request } }),
  delete: (request: DeleteRangeRequest): RequestOp => ({
    request: { case: "requestDeleteRange", value: request },
  }),
  range: (request: RangeRequest): RequestOp => ({ request: { case: "requestRange", value: request } }),
  txn: (request: TxnRequest): RequestOp => ({ request: { case: "requestTxn", value: request } }),
} as const;

export class SimClient {
  readonly #sim: SimContext;

  constructor(sim: SimContext) {
    this.#sim = sim;
  }

  async put(request: PutRequest, at?: Machine): Promise<Outcome<PutResponse>> {
    const record = this.#begin({ type: "put", request, outcome: LOST });
    return this.#record(record, "KV/Put", encodePutRequest(request), decodePutResponse, at);
  }

  async delete(request: DeleteRangeRequest): Promise<void> {
    const record = this.#begin({ type: "delete", request, outcome: LOST });
    await this.#record(
      record,
      "KV/DeleteRange",
      encodeDeleteRangeRequest(request),
      decodeDeleteRangeResponse,
    );
  }

  async txn(request: TxnRequest): Promise<Outcome<TxnResponse>> {
    const record = this.#begin({ type: "txn", request, outcome: LOST });
    return this.#record(record, "KV/Txn", encodeTxnRequest(request), decodeTxnResponse);
  }

  async range(request: RangeRequest, at?: Machine): Promise<Outcome<RangeResponse>> {
    const record = this.#begin({ type: "range", request, outcome: LOST });
    return this.#record(record, "KV/Range", encodeRangeRequest(request), decodeRangeResponse, at);
  }

  async compact(revision: number, physical: boolean): Promise<void> {
    const request = { revision, physical };
    const record = this.#begin({ type: "compact", request, outcome: LOST });
    await this.#record(record, "KV/Compact", encodeCompactionRequest(request), (bytes) => {
      decodeCompactionResponse(bytes);
      return { revision };
    });
  }

  /** The hash of a revision, held against every earlier answer about it, also of other members. False = there was none. */
  async hashKv(revision: number, machine?: Machine): Promise<boolean> {
    const outcome = await this.call(
      "Maintenance/HashKV",
      encodeHashKVRequest({ revision }),
      decodeHashKVResponse,
      machine,
    );
    if (outcome.kind !== "ok") return false;
    const { compactRevision, hashRevision, hash } = outcome.response;
    this.#sim.history.hashed(compactRevision, hashRevision, hash);
    return true;
  }

  async defragment(): Promise<void> {
    await this.call("Maintenance/Defragment", encodeDefragmentRequest({}), () => undefined);
  }

  /** Any unary call, once a machine is up; `at`: to this one, if it is. */
  async call<T>(
    method: string,
    message: Uint8Array,
    decode: (bytes: Uint8Array) => T,
    at?: Machine,
  ): Promise<Outcome<T>> {
    const machine = at?.up ? at : await this.#reach();
    return new Promise((resolve) => {
      const call = must(
        machine.call(`/etcdserverpb.${method}`, message, () => resolve(LOST)),
        "the machine is up",
      );
      void call.ended.then(() => {
        if (call.error !== undefined) resolve({ kind: "error", error: call.error });
        else resolve({ kind: "ok", response: decode(call.messages[0]!) });
      });
    });
  }

  async #reach(): Promise<Machine> {
    for (;;) {
      const machine = this.#sim.serving();
      if (machine !== undefined) return machine;
      await sleep(this.#sim, DOWN_MILLIS);
    }
  }

  #begin<T extends Call>(call: T): T & Begun {
    return { ...call, began: 0, ended: 0, beganAt: 0, servedBy: "" };
  }

  async #record<T>(
    record: Call & Begun,
    method: string,
    message: Uint8Array,
    decode: (bytes: Uint8Array) => T,
    at?: Machine,
  ): Promise<Outcome<T>> {
    const { history, clock } = this.#sim;
    const machine = at?.up ? at : await this.#reach();
    record.servedBy = machine.process;
    record.began = history.tick();
    record.beganAt = clock.now();
    history.records.push(record as Record);
    const outcome = await this.call(method, message, decode, machine);
    // A call that was lost never ended: it may still happen.
    if (outcome.kind !== "lost") record.ended = history.tick();
    record.outcome = outcome as never;
    return outcome;
  }
}
