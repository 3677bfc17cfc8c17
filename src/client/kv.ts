// The KV service: get, put, delete, transactions, compaction. Replies are the wire's messages.
import { errors } from "../base/errors.ts";
import {
  type CompactionResponse,
  type Compare,
  CompareResult,
  CompareTarget,
  type CompareTargetUnion,
  createCompactionRequest,
  createCompare,
  createDeleteRangeRequest,
  createPutRequest,
  createRangeRequest,
  createRangeResponse,
  type DeleteRangeRequest,
  type DeleteRangeResponse,
  decodeCompactionResponse,
  decodeDeleteRangeResponse,
  decodePutResponse,
  decodeRangeResponse,
  decodeRangeStreamResponse,
  decodeTxnResponse,
  encodeCompactionRequest,
  encodeDeleteRangeRequest,
  encodePutRequest,
  encodeRangeRequest,
  encodeTxnRequest,
  type PutRequest,
  type PutResponse,
  type RangeRequest,
  type RangeResponse,
  type RequestOp,
  SortOrder,
  SortTarget,
  type TxnRequest,
  type TxnResponse,
} from "../wire/generated/etcdserverpb.ts";
import { RpcError } from "./errors.ts";
import { type Bytes, type RangeOptions, rangeOf, toBytes } from "./keys.ts";
import type { CallOptions, Rpc } from "./rpc.ts";

export type GetOptions = RangeOptions & {
  readonly limit?: number;
  /** 0 = now. */
  readonly revision?: number;
  readonly sortOrder?: SortOrder;
  readonly sortTarget?: SortTarget;
  /** Reads what the member has, without asking the cluster. */
  readonly serializable?: boolean;
  readonly keysOnly?: boolean;
  readonly countOnly?: boolean;
  readonly minModRevision?: number;
  readonly maxModRevision?: number;
  readonly minCreateRevision?: number;
  readonly maxCreateRevision?: number;
};

export type PutOptions = {
  readonly lease?: bigint;
  readonly prevKv?: boolean;
  readonly ignoreValue?: boolean;
  readonly ignoreLease?: boolean;
};

export type DeleteOptions = RangeOptions & { readonly prevKv?: boolean };

export function rangeRequest(key: Bytes, options: GetOptions = {}): RangeRequest {
  const request = createRangeRequest();
  Object.assign(request, rangeOf(key, options));
  request.limit = options.limit ?? 0;
  request.revision = options.revision ?? 0;
  const target = options.sortTarget ?? SortTarget.KEY;
  const order = options.sortOrder ?? SortOrder.NONE;
  // Ascending by key is the order that the server gives anyway; asked for by name, older servers fetch everything first.
  request.sortOrder = target === SortTarget.KEY && order === SortOrder.ASCEND ? SortOrder.NONE : order;
  request.sortTarget = target;
  request.serializable = options.serializable ?? false;
  request.keysOnly = options.keysOnly ?? false;
  request.countOnly = options.countOnly ?? false;
  request.minModRevision = options.minModRevision ?? 0;
  request.maxModRevision = options.maxModRevision ?? 0;
  request.minCreateRevision = options.minCreateRevision ?? 0;
  request.maxCreateRevision = options.maxCreateRevision ?? 0;
  return request;
}

export function putRequest(key: Bytes, value: Bytes, options: PutOptions = {}): PutRequest {
  const request = createPutRequest();
  request.key = toBytes(key);
  request.value = toBytes(value);
  request.lease = options.lease ?? 0n;
  request.prevKv = options.prevKv ?? false;
  request.ignoreValue = options.ignoreValue ?? false;
  request.ignoreLease = options.ignoreLease ?? false;
  return request;
}

export function deleteRequest(key: Bytes, options: DeleteOptions = {}): DeleteRangeRequest {
  const request = createDeleteRangeRequest();
  Object.assign(request, rangeOf(key, options));
  request.prevKv = options.prevKv ?? false;
  return request;
}

/** Operations and conditions of a transaction. */
export const op = {
  get: (key: Bytes, options?: GetOptions): RequestOp => ({
    request: { case: "requestRange", value: rangeRequest(key, options) },
  }),
  put: (key: Bytes, value: Bytes, options?: PutOptions): RequestOp => ({
    request: { case: "requestPut", value: putRequest(key, value, options) },
  }),
  delete: (key: Bytes, options?: DeleteOptions): RequestOp => ({
    request: { case: "requestDeleteRange", value: deleteRequest(key, options) },
  }),
  txn: (txn: TxnRequest): RequestOp => ({ request: { case: "requestTxn", value: txn } }),
} as const;

export type CompareSign = "=" | "!=" | "<" | ">";
const SIGNS: Record<CompareSign, CompareResult> = {
  "=": CompareResult.EQUAL,
  "!=": CompareResult.NOT_EQUAL,
  "<": CompareResult.LESS,
  ">": CompareResult.GREATER,
};

function compareOf(
  key: Bytes,
  range: RangeOptions | undefined,
  target: CompareTarget,
  sign: CompareSign,
  union: CompareTargetUnion,
): Compare {
  const compare = createCompare();
  Object.assign(compare, rangeOf(key, range));
  compare.target = target;
  compare.result = SIGNS[sign];
  compare.targetUnion = union;
  return compare;
}

export const compare = {
  version: (key: Bytes, sign: CompareSign, value: number, range?: RangeOptions): Compare =>
    compareOf(key, range, CompareTarget.VERSION, sign, { case: "version", value }),
  createRevision: (key: Bytes, sign: CompareSign, value: number, range?: RangeOptions): Compare =>
    compareOf(key, range, CompareTarget.CREATE, sign, { case: "createRevision", value }),
  modRevision: (key: Bytes, sign: CompareSign, value: number, range?: RangeOptions): Compare =>
    compareOf(key, range, CompareTarget.MOD, sign, { case: "modRevision", value }),
  value: (key: Bytes, sign: CompareSign, value: Bytes, range?: RangeOptions): Compare =>
    compareOf(key, range, CompareTarget.VALUE, sign, { case: "value", value: toBytes(value) }),
  lease: (key: Bytes, sign: CompareSign, value: bigint, range?: RangeOptions): Compare =>
    compareOf(key, range, CompareTarget.LEASE, sign, { case: "lease", value }),
} as const;

const PATH = "/etcdserverpb.KV/";

/** True when nothing in it, nested transactions included, writes. */
function readsOnly(txn: TxnRequest): boolean {
  const pure = (each: RequestOp): boolean => {
    const request = each.request;
    if (request === undefined || request.case === "requestRange") return true;
    return request.case === "requestTxn" && readsOnly(request.value);
  };
  return txn.success.every(pure) && txn.failure.every(pure);
}

export class Kv {
  readonly #rpc: Rpc;

  constructor(rpc: Rpc) {
    this.#rpc = rpc;
  }

  async get(key: Bytes, options?: GetOptions & CallOptions): Promise<RangeResponse> {
    return await this.range(rangeRequest(key, options), options);
  }

  async range(request: RangeRequest, options?: CallOptions): Promise<RangeResponse> {
    if (request.sortOrder < 0 || request.sortOrder > 2 || request.sortTarget < 0 || request.sortTarget > 4) {
      throw new RpcError(errors.invalidSortOption.code, errors.invalidSortOption.message);
    }
    const bytes = encodeRangeRequest(request);
    return await this.#rpc.unary(`${PATH}Range`, bytes, decodeRangeResponse, "repeatable", options);
  }

  /** The answer in pieces (RangeStream, etcd 3.7): header, more and count come with the last. */
  async *stream(
    request: RangeRequest,
    options?: CallOptions,
  ): AsyncGenerator<RangeResponse, void, undefined> {
    const bytes = encodeRangeRequest(request);
    for await (const piece of this.#rpc.serverStream(
      `${PATH}RangeStream`,
      bytes,
      decodeRangeStreamResponse,
      options,
    )) {
      yield piece.rangeResponse ?? createRangeResponse();
    }
  }

  async put(key: Bytes, value: Bytes, options?: PutOptions & CallOptions): Promise<PutResponse> {
    const bytes = encodePutRequest(putRequest(key, value, options));
    return await this.#rpc.unary(`${PATH}Put`, bytes, decodePutResponse, "once", options);
  }

  async delete(key: Bytes, options?: DeleteOptions & CallOptions): Promise<DeleteRangeResponse> {
    const bytes = encodeDeleteRangeRequest(deleteRequest(key, options));
    return await this.#rpc.unary(`${PATH}DeleteRange`, bytes, decodeDeleteRangeResponse, "once", options);
  }

  async txn(request: TxnRequest, options?: CallOptions): Promise<TxnResponse> {
    const policy = readsOnly(request) ? "repeatable" : "once";
    return await this.#rpc.unary(`${PATH}Txn`, encodeTxnRequest(request), decodeTxnResponse, policy, options);
  }

  async compact(
    revision: number,
    options?: { physical?: boolean } & CallOptions,
  ): Promise<CompactionResponse> {
    const request = createCompactionRequest();
    request.revision = revision;
    request.physical = options?.physical ?? false;
    const bytes = encodeCompactionRequest(request);
    return await this.#rpc.unary(`${PATH}Compact`, bytes, decodeCompactionResponse, "once", options);
  }
}
