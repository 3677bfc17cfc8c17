// biome-ignore-all lint/performance/noBarrelFile: the public entry of the package ("./client"), for users only.
// The client of Cairn and etcd. Inside the project everybody imports the file that is meant, so that a command line does not
// load what it does not use.
export { Code } from "../base/errors.ts";
export type { Permission } from "../wire/generated/authpb.ts";
export { PermissionType } from "../wire/generated/authpb.ts";
export type {
  Compare,
  DeleteRangeResponse,
  LeaseGrantResponse,
  LeaseKeepAliveResponse,
  LeaseTimeToLiveResponse,
  Member,
  MemberListResponse,
  PutResponse,
  RangeRequest,
  RangeResponse,
  RequestOp,
  ResponseHeader,
  ResponseOp,
  StatusResponse,
  TxnRequest,
  TxnResponse,
  WatchResponse,
} from "../wire/generated/etcdserverpb.ts";
export {
  AlarmType,
  createTxnRequest,
  DowngradeAction,
  FilterType,
  SortOrder,
  SortTarget,
} from "../wire/generated/etcdserverpb.ts";
export type { Event, KeyValue } from "../wire/generated/mvccpb.ts";
export { EventType } from "../wire/generated/mvccpb.ts";
export { Client } from "./client.ts";
export { Election, Mutex, Session } from "./concurrency.ts";
export type { TlsOptions } from "./connection.ts";
export { RpcError } from "./errors.ts";
export { type Bytes, prefixEnd, type RangeOptions } from "./keys.ts";
export { type CompareSign, compare, type DeleteOptions, type GetOptions, op, type PutOptions } from "./kv.ts";
export type { CallOptions, ClientOptions, FailedAttempt } from "./rpc.ts";
export { type Watcher, type WatchOptions, watchError } from "./watch.ts";
