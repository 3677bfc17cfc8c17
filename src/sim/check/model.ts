// A key-value store with etcd's rules and no thought of speed: what a call must answer, and change, on a given state. The checker runs
// recorded calls against it. Written from the specification, sharing no code with src/mvcc and src/apply.
import { latin1FromBytes } from "../../base/bytes.ts";
import type {
  Compare,
  DeleteRangeRequest,
  PutRequest,
  RangeRequest,
  TxnRequest,
} from "../../wire/generated/etcdserverpb.ts";
import { type Change, type Row, showRow } from "../history.ts";

/** What the model expects: the answer as text, and the changes in order. An undefined answer is an error. */
export type Expected = { readonly answer: string | undefined; readonly changes: readonly Change[] };

export class ModelState {
  readonly rows: Map<string, Row>;

  constructor(rows: ReadonlyMap<string, Row> = new Map()) {
    this.rows = new Map(rows);
  }

  apply(changes: readonly Change[]): void {
    for (const { key, row } of changes) {
      if (row === undefined) this.rows.delete(key);
      else this.rows.set(key, row);
    }
  }

  /** Keys of [key, end) in order. */
  range(key: string, end: string): Row[] {
    if (end === "") {
      const row = this.rows.get(key);
      return row === undefined ? [] : [row];
    }
    const found: Row[] = [];
    for (const row of this.rows.values())
      if (row.key >= key && (end === "\0" || row.key < end)) found.push(row);
    return found.sort((a, b) => (a.key < b.key ? -1 : 1));
  }
}

/** One request in the making: its own state, and what it changed. */
class Writer {
  readonly state: ModelState;
  readonly revision: number;
  readonly changes: Change[] = [];

  constructor(before: ModelState, revision: number) {
    this.state = new ModelState(before.rows);
    this.revision = revision;
  }

  put(request: PutRequest): string {
    const key = text(request.key);
    const before = this.state.rows.get(key);
    const row: Row = {
      key,
      value: request.ignoreValue ? (before?.value ?? "") : text(request.value),
      create: before?.create ?? this.revision,
      mod: this.revision,
      version: (before?.version ?? 0) + 1,
      lease: request.ignoreLease ? (before?.lease ?? 0n) : request.lease,
    };
    this.#change({ key, row });
    return `put ${request.prevKv ? showRow(before) : "none"}`;
  }

  delete(request: DeleteRangeRequest): string {
    const gone = this.state.range(text(request.key), text(request.rangeEnd));
    for (const { key } of gone) this.#change({ key, row: undefined });
    return `deleted ${gone.length} ${request.prevKv ? gone.map(showRow).join(" ") : ""}`;
  }

  #change(change: Change): void {
    this.changes.push(change);
    this.state.apply([change]);
  }
}

export function expectPut(before: ModelState, request: PutRequest, revision: number): Expected {
  const absent = !before.rows.has(text(request.key));
  if ((request.ignoreValue || request.ignoreLease) && absent) return { answer: undefined, changes: [] };
  const writer = new Writer(before, revision);
  return { answer: writer.put(request), changes: writer.changes };
}

export function expectDelete(before: ModelState, request: DeleteRangeRequest, revision: number): Expected {
  const writer = new Writer(before, revision);
  return { answer: writer.delete(request), changes: writer.changes };
}

export function expectTxn(before: ModelState, request: TxnRequest, revision: number): Expected {
  const writer = new Writer(before, revision);
  return { answer: runTxn(before, writer, request), changes: writer.changes };
}

/** Compares see the state before the whole txn, at every depth. */
function runTxn(before: ModelState, writer: Writer, request: TxnRequest): string {
  const succeeded = request.compare.every((compare) => holds(before, compare));
  const answers: string[] = [];
  for (const { request: op } of succeeded ? request.success : request.failure) {
    if (op?.case === "requestPut") answers.push(writer.put(op.value));
    else if (op?.case === "requestDeleteRange") answers.push(writer.delete(op.value));
    else if (op?.case === "requestRange") answers.push(answerRange(writer.state, op.value));
    else if (op?.case === "requestTxn") answers.push(runTxn(before, writer, op.value));
  }
  return `${succeeded ? "then" : "else"}(${answers.join("; ")})`;
}

/** `state` as of the request's revision. Without sorts and filters: the workloads ask for none. */
export function answerRange(state: ModelState, request: RangeRequest): string {
  const found = state.range(text(request.key), text(request.rangeEnd));
  const limited = request.limit > 0 ? found.slice(0, request.limit) : found;
  return showRange(
    request.countOnly ? [] : limited,
    found.length,
    !request.countOnly && limited.length < found.length,
  );
}

export function showRange(rows: readonly Row[], count: number, more: boolean): string {
  return `range ${rows.map(showRow).join(" ")} of ${count}${more ? " more" : ""}`;
}

function holds(state: ModelState, compare: Compare): boolean {
  const rows = state.range(text(compare.key), text(compare.rangeEnd));
  const union = compare.targetUnion;
  if (rows.length === 0)
    return union?.case !== "value" && ordered(compare, sign(0n, BigInt((union?.value ?? 0) as bigint)));
  return rows.every((row) => ordered(compare, compareRow(row, compare)));
}

function compareRow(row: Row, compare: Compare): number {
  const union = compare.targetUnion;
  switch (union?.case) {
    case "value":
      return sign(row.value, text(union.value));
    case "createRevision":
      return sign(row.create, union.value);
    case "modRevision":
      return sign(row.mod, union.value);
    case "version":
      return sign(row.version, union.value);
    case "lease":
      return sign(row.lease, union.value);
    default:
      return 0;
  }
}

function ordered({ result }: Compare, order: number): boolean {
  return [order === 0, order > 0, order < 0, order !== 0][result]!;
}

function sign<T extends number | bigint | string>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function text(bytes: Uint8Array): string {
  return latin1FromBytes(bytes);
}
