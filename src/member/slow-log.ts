// The log lines about requests that were slow or refused when they were applied, in etcd's words: people and tools look for them when
// a cluster is slow. Also counts what was slow.
import type { Applied } from "../apply/applier.ts";
import type { EtcdError } from "../base/errors.ts";
import { goDuration } from "../base/go-duration.ts";
import type { Entry } from "../log/contract.ts";
import type { Logger } from "../ports/logger.ts";
import {
  type DeleteRangeResponse,
  encodeDeleteRangeResponse,
  encodePutResponse,
  encodeTxnResponse,
  type PutResponse,
  type TxnResponse,
} from "../wire/generated/etcdserverpb.ts";
import type { Counters } from "./counters.ts";
import { describeEntry } from "./describe-request.ts";

export class SlowLog {
  readonly warningMillis: number;
  readonly #logger: Logger;
  readonly #counters: Counters;

  constructor(warningMillis: number, logger: Logger, counters: Counters) {
    this.warningMillis = warningMillis;
    this.#logger = logger;
    this.#counters = counters;
  }

  /** An entry took longer than it may. */
  slowEntry(entry: Entry, result: Applied, millis: number): void {
    this.#slow(millis, "", describeEntry(entry.data), responseSize(result), result.error);
  }

  /** A read did, including its wait for the leader. */
  slowRead(kind: string, millis: number, request: string, response: string, error?: EtcdError): void {
    this.#slow(millis, `read-only ${kind} `, request, response, error);
  }

  /** An entry was committed, and could not be done. */
  refused(entry: Entry, error: EtcdError, millis: number): void {
    this.#logger.warn("failed to apply request", {
      took: goDuration(millis),
      request: describeEntry(entry.data),
      response: "",
      error: error.message,
    });
  }

  #slow(
    millis: number,
    prefix: string,
    request: string,
    response: string,
    error: EtcdError | undefined,
  ): void {
    this.#counters.slowApplies++;
    this.#logger.warn("apply request took too long", {
      took: goDuration(millis),
      "expected-duration": goDuration(this.warningMillis),
      prefix,
      request,
      response,
      ...(error === undefined ? {} : { error: error.message }),
    });
  }
}

function responseSize({ op, response }: Applied): string {
  if (response === undefined) return "";
  switch (op) {
    case "Put":
      return `size:${encodePutResponse(response as PutResponse).length}`;
    case "DeleteRange":
      return `size:${encodeDeleteRangeResponse(response as DeleteRangeResponse).length}`;
    case "Txn":
      return `size:${encodeTxnResponse(response as TxnResponse).length}`;
    default:
      return "";
  }
}
