// What the data-driven tests of apply run on: a store, a lessor, alarms, and an applier that is given entries as the log would give
// them. Each command is one entry; what it answers and which rows it changed comes back as text. Tests only.
import { assert, must } from "../../base/assert.ts";
import { clusterId, memberId, millis } from "../../base/brand.ts";
import { latin1FromBytes } from "../../base/bytes.ts";
import { isEtcdError } from "../../base/errors.ts";
import { argumentValues, type Directive } from "../../base/testing/datadriven.ts";
import { Alarms } from "../../cluster/alarms.ts";
import { Membership } from "../../cluster/membership.ts";
import { Lessor } from "../../lease/lessor.ts";
import { encodeRequest, RequestField } from "../../member/request.ts";
import type { FileNumber, Slot } from "../../mvcc/contract.ts";
import { newSlotList } from "../../mvcc/slot-list.ts";
import { Store } from "../../mvcc/store.ts";
import {
  encodeAlarmRequest,
  encodeCompactionRequest,
  encodeDeleteRangeRequest,
  encodeLeaseCheckpointRequest,
  encodeLeaseGrantRequest,
  encodeLeaseRevokeRequest,
  encodePutRequest,
  encodeTxnRequest,
} from "../../wire/generated/etcdserverpb.ts";
import { Applier, noEntry } from "../applier.ts";
import type { ApplyContext } from "../context.ts";
import { OpCounts } from "../op-counts.ts";
import { pickRows, readRevision } from "../range.ts";
import { readTxn } from "../txn.ts";
import { deleteOf, parseTxn, putOf, rangeOf } from "./apply-language.ts";
import { showResponse } from "./apply-show.ts";

const LOCAL = memberId(1n);
const ALARMS: Readonly<Record<string, number>> = { nospace: 1, corrupt: 2 };
const ALARM_ACTIONS: Readonly<Record<string, number>> = { get: 0, activate: 1, deactivate: 2 };

export class ApplyEnv {
  readonly #entries: Uint8Array[] = [new Uint8Array(0)];
  readonly #context: ApplyContext;
  readonly #applier: Applier;
  #now = 0;

  constructor(quotaBytes: number = Number.POSITIVE_INFINITY) {
    const readValue = (file: FileNumber, offset: number, length: number): Uint8Array =>
      length === 0 ? new Uint8Array(0) : this.#entries[file]!.subarray(offset, offset + length);
    const lessor = new Lessor(1);
    lessor.promote(millis(0), 0);
    this.#context = {
      store: new Store({ seed: 1 }),
      reader: { readValue } as ApplyContext["reader"],
      lessor,
      membership: new Membership(clusterId(2n), LOCAL, 1),
      alarms: new Alarms(),
      localId: LOCAL,
      quotaBytes,
      counts: new OpCounts(),
      changed: newSlotList(),
      scratch: newSlotList(),
      entry: noEntry(0),
    };
    this.#applier = new Applier(this.#context);
  }

  run(directive: Directive): string {
    const { command } = directive;
    const value = (name: string): string => argumentValues(directive, name)[0] ?? "";
    switch (command) {
      case "put":
        return this.#apply(RequestField.Put, encodePutRequest(putOf(directive.args.slice(0))));
      case "delete":
        return this.#apply(RequestField.DeleteRange, encodeDeleteRangeRequest(deleteOf(directive.args)));
      case "txn":
        return this.#apply(RequestField.Txn, encodeTxnRequest(parseTxn(directive.input)));
      case "read-txn":
        return this.#readTxn(directive.input);
      case "get":
        return this.#get(directive);
      case "compact":
        return this.#compact(Number(value("rev")));
      case "grant": {
        const request = { id: BigInt(value("id")), ttl: Number(value("ttl")) };
        return this.#apply(RequestField.LeaseGrant, encodeLeaseGrantRequest(request));
      }
      case "revoke":
        return this.#apply(RequestField.LeaseRevoke, encodeLeaseRevokeRequest({ id: BigInt(value("id")) }));
      case "checkpoint": {
        const checkpoints = [{ id: BigInt(value("id")), remainingTtl: Number(value("remaining")) }];
        return this.#apply(RequestField.LeaseCheckpoint, encodeLeaseCheckpointRequest({ checkpoints }));
      }
      case "leases":
        return this.#leases();
      case "time":
        this.#now = Number(value("seconds")) * 1000;
        return "";
      case "alarm": {
        const action = must(ALARM_ACTIONS[value("do")], "do= get, activate or deactivate");
        const alarm = ALARMS[value("type")] ?? 0;
        const member = BigInt(value("member") || LOCAL);
        return this.#apply(RequestField.Alarm, encodeAlarmRequest({ action, memberId: member, alarm }));
      }
      default:
        throw new Error(`line ${directive.line}: no command ${command}`);
    }
  }

  #apply(field: RequestField, body: Uint8Array): string {
    const data = encodeRequest(field, body, BigInt(this.#entries.length) as never);
    const file = this.#entries.length as FileNumber;
    this.#entries.push(data);
    const index = file as number as never;
    const result = this.#applier.apply({
      term: 1 as never,
      index,
      data,
      file,
      offset: 0,
      now: millis(this.#now),
    });
    assert(result.id === BigInt(file), "a result carries its request's id");
    const lines: string[] = [];
    if (result.error !== undefined) lines.push(`error: ${result.error.message}`);
    if (result.response !== undefined) lines.push(...showResponse(result.response));
    return [...lines, ...this.#events()].map((line) => `${line}\n`).join("");
  }

  #events(): string[] {
    const { store, changed } = this.#context;
    return Array.from({ length: changed.length }, (_, i) => {
      const slot = changed.slots[i] as Slot;
      const at = `${store.mainOf(slot)}.${store.subOf(slot)}`;
      const key = latin1FromBytes(store.keyOf(slot));
      return store.isTombstone(slot) ? `event ${at} delete ${key}` : `event ${at} put ${this.#row(slot)}`;
    });
  }

  #row(slot: Slot): string {
    const { store, reader } = this.#context;
    const value = latin1FromBytes(
      reader.readValue(store.fileOf(slot), store.offsetOf(slot), store.valueLengthOf(slot)),
    );
    const lease = store.leaseOf(slot);
    const key = latin1FromBytes(store.keyOf(slot));
    const numbers = `create ${store.createRevisionOf(slot)} version ${store.versionOf(slot)}`;
    return `${key}=${value} ${numbers}${lease === 0n ? "" : ` lease ${lease}`}`;
  }

  #get(directive: Directive): string {
    const { store, reader, scratch } = this.#context;
    const request = rangeOf(directive.args);
    const at = readRevision(store, request.revision, store.currentRevision);
    if (isEtcdError(at)) return `error: ${at.message}\n`;
    scratch.length = 0;
    const { more, count } = pickRows(store, reader, request, at, scratch);
    const rows = Array.from({ length: scratch.length }, (_, i) => {
      const slot = scratch.slots[i] as Slot;
      return `${this.#row(slot)} mod ${store.mainOf(slot)}\n`;
    });
    return `revision ${store.currentRevision}: ${count}${more ? ", more" : ""}\n${rows.join("")}`;
  }

  #readTxn(input: string): string {
    const response = readTxn(this.#context, parseTxn(input));
    if (isEtcdError(response)) return `error: ${response.message}\n`;
    return showResponse(response)
      .map((line) => `${line}\n`)
      .join("");
  }

  #compact(revision: number): string {
    const answer = this.#apply(
      RequestField.Compaction,
      encodeCompactionRequest({ revision, physical: false }),
    );
    while (!this.#context.store.compactSlice(1000, this.#context.reader));
    return answer;
  }

  #leases(): string {
    const { lessor } = this.#context;
    const lines = lessor.leases().map((lease) => {
      const left = lessor.remainingSeconds(lease, millis(this.#now));
      const keys = [...lease.keys].sort().join(" ");
      return `lease ${lease.id} ttl ${lease.ttl}, ${left} s left${keys === "" ? "" : `: ${keys}`}\n`;
    });
    return lines.join("") || "none\n";
  }
}
