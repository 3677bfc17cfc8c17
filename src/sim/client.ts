// A client of the simulated member: calls as promises, each key-value call recorded with what it was told. A call while the machine
// is down is none: the client waits until it is up. It never tries again by itself.

import { millis } from "../base/brand.ts";
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

/** All records have one shape: there are many. */
function begin({ type, request, outcome }: Call): Call & Begun {
  return { type, request, outcome, began: 0, ended: 0, beganAt: 0, servedBy: "" } as Call & Begun;
}

export class SimClient {
  readonly #sim: SimContext;
  readonly #patienceMillis: number;

  constructor(sim: SimContext, patienceMillis: number = sim.patience()) {
    this.#sim = sim;
    this.#patienceMillis = patienceMillis;
  }

  async put(request: PutRequest, at?: Machine): Promise<Outcome<PutResponse>> {
    const record = begin({ type: "put", request, outcome: LOST });
    return this.#record(record, "KV/Put", encodePutRequest(request), decodePutResponse, at);
  }

  async delete(request: DeleteRangeRequest): Promise<void> {
    const record = begin({ type: "delete", request, outcome: LOST });
    await this.#record(
      record,
      "KV/DeleteRange",
      encodeDeleteRangeRequest(request),
      decodeDeleteRangeResponse,
    );
  }

  async txn(request: TxnRequest): Promise<Outcome<TxnResponse>> {
    const record = begin({ type: "txn", request, outcome: LOST });
    return this.#record(record, "KV/Txn", encodeTxnRequest(request), decodeTxnResponse);
  }

  async range(request: RangeRequest, at?: Machine): Promise<Outcome<RangeResponse>> {
    const record = begin({ type: "range", request, outcome: LOST });
    return this.#record(record, "KV/Range", encodeRangeRequest(request), decodeRangeResponse, at);
  }

  async compact(revision: number, physical: boolean): Promise<void> {
    const request = { revision, physical };
    const record = begin({ type: "compact", request, outcome: LOST });
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
    return this.#inTime(this.#ask(machine, method, message, decode));
  }

  #ask<T>(
    machine: Machine,
    method: string,
    message: Uint8Array,
    decode: (bytes: Uint8Array) => T,
  ): Promise<Outcome<T>> {
    const sim = this.#sim;
    sim.callsWaiting++;
    return new Promise((resolve) => {
      const end = (outcome: Outcome<T>): void => {
        sim.callsWaiting--;
        resolve(outcome);
      };
      const call = machine.call(`/etcdserverpb.${method}`, message, () => end(LOST));
      // It died while the client turned to it.
      if (call === undefined) {
        end(LOST);
        return;
      }
      void call.ended.then(() => {
        if (call.error !== undefined) end({ kind: "error", error: call.error });
        else end({ kind: "ok", response: decode(call.messages[0]!) });
      });
    });
  }

  /** A client that loses its patience goes on as if the answer were lost; what comes later counts all the same. */
  #inTime<T>(answer: Promise<Outcome<T>>): Promise<Outcome<T>> {
    if (this.#patienceMillis === Number.POSITIVE_INFINITY) return answer;
    return new Promise((resolve) => {
      const timer = this.#sim.clock.after(millis(this.#patienceMillis), () => resolve(LOST));
      void answer.then((outcome) => {
        timer.cancel();
        resolve(outcome);
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
    const answer = this.#ask(machine, method, message, decode).then((outcome) => {
      // A call that was lost never ended: it may still happen.
      if (outcome.kind !== "lost") record.ended = history.tick();
      record.outcome = outcome as never;
      return outcome;
    });
    return this.#inTime(answer);
  }
}
