// The check of the key-value calls. One member's history is a line of revisions, and every answer names the revision at which it was
// true; so it is linearizable if each answer is right at its revision, and revisions agree with the clock: what ended before another
// began has no later revision. Calls whose answer was lost happened once or never.
import { latin1FromBytes } from "../../base/bytes.ts";
import type {
  DeleteRangeResponse,
  PutResponse,
  RangeResponse,
  TxnResponse,
} from "../../wire/generated/etcdserverpb.ts";
import { type History, type Record, rowOf, showChanges, showRow } from "../history.ts";
import {
  answerRange,
  type Expected,
  expectDelete,
  expectPut,
  expectTxn,
  ModelState,
  showRange,
} from "./model.ts";

type Write = Extract<Record, { readonly type: "put" | "delete" | "txn" }>;

/** Errors that say for certain that nothing was changed. */
const REFUSED: ReadonlySet<string> = new Set([
  "etcdserver: key not found",
  "etcdserver: requested lease not found",
  "etcdserver: too many requests",
  "etcdserver: duplicate key given in txn request",
  "etcdserver: mvcc: required revision has been compacted",
  "etcdserver: rpc not supported for learner",
]);

export type KeyValueResult = {
  /** Revisions at which a lease's keys were deleted and no call claims it: by lease. */
  readonly revocations: ReadonlyMap<bigint, number>;
  readonly checked: number;
};

/** Walks the revisions once and holds every answer against them. */
export function checkKeyValues(history: History, finalRows: readonly string[]): KeyValueResult {
  const walk = new Walk(history);
  walk.run();
  const { placed, revocations } = walk.result();
  checkRealTime(history, placed);
  const rows = walk.state.range("\0", "\0").map(showRow);
  if (rows.join() !== finalRows.join())
    history.violation(`the keys at the end are ${finalRows.join()} and should be ${rows.join()}`);
  return { revocations, checked: placed.length };
}

/** `told`: its caller knows that it happened. One that was told nothing, or of a failure, may happen later than its answer. */
type Placed = {
  readonly record: Record;
  readonly revision: number;
  readonly writes: boolean;
  readonly told: boolean;
};

/** A revision that no caller was told of, and who may have made it: calls that were told nothing, or the end of a lease (0 = it cannot). */
type Unclaimed = {
  readonly revision: number;
  readonly candidates: readonly Write[];
  readonly lease: bigint;
  record: Write | undefined;
};

class Walk {
  readonly state = new ModelState();
  readonly #placed: Placed[] = [];
  readonly #unclaimed: Unclaimed[] = [];
  readonly #madeBy = new Map<Write, Unclaimed>();
  readonly #history: History;
  readonly #writes = new Map<number, Write>();
  readonly #reads = new Map<number, Record[]>();
  /** Calls that may have happened or not, and the newest revision that was answered before each began: what it made is newer. */
  readonly #unsure: Write[] = [];
  readonly #floors: ReadonlyMap<Write, number>;

  constructor(history: History) {
    this.#history = history;
    for (const record of history.records) this.#sort(record);
    this.#floors = floorsOf(this.#unsure, history.records);
  }

  run(): void {
    this.#check(1);
    for (let revision = 2; revision <= this.#history.newestRevision; revision++) {
      const changes = this.#history.revisions.get(revision);
      if (changes === undefined) {
        this.#history.violation(`revision ${revision} is missing`);
        return;
      }
      this.#explain(revision);
      this.state.apply(changes);
      this.#check(revision);
    }
    for (const revision of [...this.#writes.keys(), ...this.#reads.keys()]) {
      if (revision > this.#history.newestRevision)
        this.#history.violation(`revision ${revision} was answered and does not exist`);
    }
  }

  #sort(record: Record): void {
    if (record.type === "compact") return;
    const { outcome } = record;
    if (outcome.kind === "ok") {
      const revision = outcome.response.header!.revision;
      if (record.type === "range") this.#readAt(record.request.revision || revision, record);
      else if (writes(record as Write)) this.#claim(revision, record as Write);
      else this.#readAt(revision, record);
      return;
    }
    if (record.type === "range") return;
    if (outcome.kind === "lost" || !REFUSED.has(outcome.error.message)) this.#unsure.push(record as Write);
  }

  #readAt(revision: number, record: Record): void {
    const list = this.#reads.get(revision);
    if (list === undefined) this.#reads.set(revision, [record]);
    else list.push(record);
  }

  #claim(revision: number, record: Write): void {
    const other = this.#writes.get(revision);
    if (other !== undefined)
      this.#history.violation(`revision ${revision} was answered twice: ${name(other)} and ${name(record)}`);
    this.#writes.set(revision, record);
  }

  /** Who made this revision: the call that was told so, or one that was told nothing, or a lease's end. */
  #explain(revision: number): void {
    const changes = this.#history.revisions.get(revision)!;
    const shown = showChanges(changes);
    const claimed = this.#writes.get(revision);
    if (claimed !== undefined) {
      const expected = expect(this.state, claimed, revision);
      const actual = answerOf(claimed);
      if (showChanges(expected.changes) !== shown)
        this.#history.violation(
          `${name(claimed)} at ${revision} changed ${shown} and should have changed ${showChanges(expected.changes)}`,
        );
      else if (expected.answer !== actual)
        this.#history.violation(
          `${name(claimed)} at ${revision} answered ${actual} and should have answered ${expected.answer}`,
        );
      this.#placed.push({ record: claimed, revision, writes: true, told: true });
      return;
    }
    const candidates = this.#unsure.filter((record) => {
      if (revision <= this.#floors.get(record)!) return false;
      const expected = expect(this.state, record, revision);
      return expected.changes.length > 0 && showChanges(expected.changes) === shown;
    });
    const unclaimed = { revision, candidates, lease: this.#revokedAt(revision), record: undefined };
    if (this.#assign(unclaimed, new Set())) this.#unclaimed.push(unclaimed);
    else this.#history.violation(`nobody made revision ${revision}: ${shown}`);
  }

  /** Finds a call that made it; one that is taken may make room when another, or a lease's end, explains what it was taken for. */
  #assign(unclaimed: Unclaimed, asked: Set<Write>): boolean {
    for (const record of unclaimed.candidates) {
      if (asked.has(record)) continue;
      asked.add(record);
      const taken = this.#madeBy.get(record);
      if (taken !== undefined && !this.#assign(taken, asked)) continue;
      this.#madeBy.set(record, unclaimed);
      unclaimed.record = record;
      return true;
    }
    if (unclaimed.lease === 0n) return false;
    unclaimed.record = undefined;
    return true;
  }

  /** The lease all of whose keys went at once, in order. */
  #revokedAt(revision: number): bigint {
    const changes = this.#history.revisions.get(revision)!;
    const lease = this.state.rows.get(changes[0]!.key)?.lease ?? 0n;
    if (lease === 0n || changes.some(({ row }) => row !== undefined)) return 0n;
    const keys = [...this.state.rows.values()].filter((row) => row.lease === lease).map(({ key }) => key);
    return keys.sort().join() === changes.map(({ key }) => key).join() ? lease : 0n;
  }

  result(): { readonly placed: readonly Placed[]; readonly revocations: ReadonlyMap<bigint, number> } {
    const placed = this.#placed.slice();
    const revocations = new Map<bigint, number>();
    for (const { record, revision, lease } of this.#unclaimed) {
      if (record !== undefined) placed.push({ record, revision, writes: true, told: false });
      else revocations.set(lease, revision);
    }
    return { placed, revocations };
  }

  #check(revision: number): void {
    for (const record of this.#reads.get(revision) ?? []) {
      const expected =
        record.type === "range"
          ? answerRange(this.state, record.request)
          : expect(this.state, record as Write, revision + 1).answer;
      const actual = answerOf(record);
      if (actual !== expected)
        this.#history.violation(
          `${name(record)} at ${revision} answered ${actual} and should have answered ${expected}`,
        );
      if (record.outcome.kind !== "ok" || record.type === "compact") continue;
      this.#placed.push({
        record,
        revision: record.outcome.response.header!.revision,
        writes: false,
        told: true,
      });
    }
  }
}

function floorsOf(unsure: readonly Write[], records: readonly Record[]): ReadonlyMap<Write, number> {
  const answered = records
    .filter(({ type, outcome }) => type !== "compact" && outcome.kind === "ok")
    .sort((a, b) => a.ended - b.ended);
  const floors = new Map<Write, number>();
  let newest = 0;
  let next = 0;
  for (const record of [...unsure].sort((a, b) => a.began - b.began)) {
    for (; next < answered.length && answered[next]!.ended < record.began; next++)
      newest = Math.max(newest, revisionOf(answered[next]!));
    floors.set(record, newest);
  }
  return floors;
}

function expect(before: ModelState, record: Write, revision: number): Expected {
  switch (record.type) {
    case "put":
      return expectPut(before, record.request, revision);
    case "delete":
      return expectDelete(before, record.request, revision);
    case "txn":
      return expectTxn(before, record.request, revision);
  }
}

/** Whether an answered call changed anything: then its header names its own revision. */
function writes(record: Write): boolean {
  if (record.outcome.kind !== "ok") return false;
  if (record.type === "put") return true;
  if (record.type === "delete") return (record.outcome.response as DeleteRangeResponse).deleted > 0;
  return txnWrites(record.outcome.response as TxnResponse);
}

function txnWrites(response: TxnResponse): boolean {
  return response.responses.some(({ response: op }) => {
    if (op?.case === "responsePut") return true;
    if (op?.case === "responseDeleteRange") return op.value.deleted > 0;
    return op?.case === "responseTxn" && txnWrites(op.value);
  });
}

function answerOf(record: Record): string {
  if (record.outcome.kind !== "ok") return "nothing";
  switch (record.type) {
    case "put":
      return answerOfPut(record.outcome.response);
    case "delete":
      return answerOfDelete(record.outcome.response);
    case "txn":
      return answerOfTxn(record.outcome.response);
    case "range":
      return answerOfRange(record.outcome.response);
    case "compact":
      return "nothing";
  }
}

function answerOfPut({ prevKv }: PutResponse): string {
  return `put ${showRow(prevKv === undefined ? undefined : rowOf(prevKv))}`;
}

function answerOfRange({ kvs, count, more }: RangeResponse): string {
  return showRange(kvs.map(rowOf), count, more);
}

function answerOfDelete(response: DeleteRangeResponse): string {
  return `deleted ${response.deleted} ${response.prevKvs.map((kv) => showRow(rowOf(kv))).join(" ")}`;
}

function answerOfTxn(response: TxnResponse): string {
  const answers = response.responses.map(({ response: op }) => {
    switch (op?.case) {
      case "responsePut":
        return answerOfPut(op.value);
      case "responseDeleteRange":
        return answerOfDelete(op.value);
      case "responseRange":
        return answerOfRange(op.value);
      case "responseTxn":
        return answerOfTxn(op.value);
      default:
        return "nothing";
    }
  });
  return `${response.succeeded ? "then" : "else"}(${answers.join("; ")})`;
}

/** What had ended before a call began is not behind it. */
function checkRealTime(history: History, placed: readonly Placed[]): void {
  const begins = [...placed].sort((a, b) => a.record.began - b.record.began);
  const ends = placed.filter(({ told }) => told).sort((a, b) => a.record.ended - b.record.ended);
  let newest = 0;
  let newestBy: Placed | undefined;
  let next = 0;
  for (const each of begins) {
    for (; next < ends.length && ends[next]!.record.ended < each.record.began; next++) {
      if (ends[next]!.revision <= newest) continue;
      newest = ends[next]!.revision;
      newestBy = ends[next];
    }
    const isSerializable = each.record.type === "range" && each.record.request.serializable;
    const stale = each.writes ? each.revision <= newest : each.revision < newest && !isSerializable;
    if (stale)
      history.violation(
        `${name(each.record)} has revision ${each.revision}, but ${name(newestBy!.record)} had ended before it with ${newest}`,
      );
  }
}

/**
 * A serializable read may be old, but one process never goes back: it shows at least what the same process had answered before, reads
 * and writes alike.
 */
export function checkMonotone(history: History): void {
  const answers = history.records.filter(({ outcome, type }) => outcome.kind === "ok" && type !== "compact");
  const ends = answers.slice().sort((a, b) => a.ended - b.ended);
  const newest = new Map<string, { readonly revision: number; readonly record: Record }>();
  let next = 0;
  for (const record of answers.sort((a, b) => a.began - b.began)) {
    for (; next < ends.length && ends[next]!.ended < record.began; next++) {
      const ended = ends[next]!;
      const revision = revisionOf(ended);
      if (revision > (newest.get(ended.servedBy)?.revision ?? 0))
        newest.set(ended.servedBy, { revision, record: ended });
    }
    const before = newest.get(record.servedBy);
    if (before === undefined || revisionOf(record) >= before.revision) continue;
    history.violation(
      `${name(record)} has revision ${revisionOf(record)}, but the same process had answered ${name(before.record)} with ${before.revision}`,
    );
  }
}

function revisionOf({ outcome }: Record): number {
  return (outcome as { response: RangeResponse }).response.header!.revision;
}

function name(record: Record): string {
  const key = "key" in record.request ? latin1FromBytes(record.request.key) : "";
  return `${record.type} ${key} (call ${record.began})`;
}

/** The compacted revision, as calls have told it: reads below an acknowledged one fail, above all asked for they do not. */
export function checkCompactions(history: History): void {
  const compactions = history.records.filter(({ type }) => type === "compact");
  for (const record of history.records) {
    if (record.type !== "range" || record.request.revision === 0 || record.outcome.kind === "lost") continue;
    const { revision } = record.request;
    let certain = 0;
    let possible = 0;
    for (const compaction of compactions) {
      const { revision: to } = compaction.request as { revision: number };
      const ok = compaction.outcome.kind === "ok";
      if (ok && compaction.ended < record.began) certain = Math.max(certain, to);
      const refused = compaction.outcome.kind === "error" && REFUSED.has(compaction.outcome.error.message);
      if (!refused && compaction.began < record.ended) possible = Math.max(possible, to);
    }
    const compacted =
      record.outcome.kind === "error" && record.outcome.error.message.endsWith("has been compacted");
    if (compacted && revision >= possible)
      history.violation(
        `${name(record)} at ${revision} is compacted, nothing above ${possible} was asked for`,
      );
    if (record.outcome.kind === "ok" && revision < certain)
      history.violation(`${name(record)} at ${revision} was answered, though ${certain} is compacted`);
  }
}
