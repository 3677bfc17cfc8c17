// A long list as a message that is never whole in memory: a first walk over the index adds up its length, a second one writes the
// keys as the peer takes them. Both walk a pinned revision in bites, so neither writes nor a slow reader see anything of each other.

import { formOf } from "../apply/range.ts";
import type { Revision } from "../base/brand.ts";
import { allocate, copyBytes } from "../base/bytes.ts";
import { type EtcdError, errors } from "../base/errors.ts";
import { CorruptionError } from "../log/errors.ts";
import type { Member } from "../member/member.ts";
import type { RangeCursor, Slot, SlotList } from "../mvcc/contract.ts";
import { KeyValueForm, keyValueSize, writeKeyValue } from "../mvcc/key-value.ts";
import { newSlotList } from "../mvcc/slot-list.ts";
import type { Store } from "../mvcc/store.ts";
import { sizeDelimited, writeVarint32 } from "../wire/writer.ts";
import type { MessageSource } from "./call.ts";
import type { Headers } from "./headers.ts";
import { type Reply, rangeTailSize, writeRangeTail } from "./range-parts.ts";
import { Plan, STRETCHES_BYTES_MAX, type Stretches } from "./stretches.ts";

/** Rows walked in one turn: below 2 ms of the event loop. */
const ROWS_PER_BITE = 4096;
/** Bytes made in one go, unless one row is longer: of keys alone, and of keys with values, where it takes some whole stretches. */
const PIECE_BYTES_MAX = 64 << 10;
const BITE_BYTES_MAX = 256 << 10;

const scratch: SlotList = newSlotList(ROWS_PER_BITE);
const sizes = new Int32Array(ROWS_PER_BITE);
const plan = new Plan();

/** Streams a plain range (keys in order, no filters) from a revision that stays pinned until the last byte is out. */
export function streamRange(reply: Reply): void {
  const { member, stretches, call, request, at } = reply;
  const key = copyBytes(request.key);
  const end = copyBytes(request.rangeEnd);
  const { store } = member;
  const pin = store.pin(at);
  member.rangeTimer.streamed = true;
  const limit = request.limit > 0 ? request.limit : Number.MAX_SAFE_INTEGER;
  const shape: Shape = { form: formOf(request), limit };
  const revision = store.currentRevision;
  // Cheap while `at` is the current revision; an old one is counted on the way.
  const counted = at === revision ? store.count(key, end, at) : undefined;
  const measure = new Measure(member, store, store.cursor(key, end, at), shape, counted);
  const step = (): void => {
    if (call.done) {
      member.rangeTimer.streamedFor(measure.busyMillis);
      pin.release();
      return;
    }
    if (!measure.step()) {
      member.clock.endOfTurn(step);
      return;
    }
    call.sendFrom(
      new ListSource(reply, store, stretches, store.cursor(key, end, at), shape, measure, revision, pin),
    );
    call.end();
  };
  step();
}

/** What every row of the reply has in common. */
type Shape = { readonly form: KeyValueForm; readonly limit: number };

/** The first walk: rows, bytes, count. */
class Measure {
  readonly #member: Member;
  readonly #store: Store;
  readonly #cursor: RangeCursor;
  readonly #shape: Shape;
  readonly #counted: number | undefined;
  #walked = 0;
  rows = 0;
  rowBytes = 0;
  busyMillis = 0;

  constructor(member: Member, store: Store, cursor: RangeCursor, shape: Shape, counted: number | undefined) {
    this.#member = member;
    this.#store = store;
    this.#cursor = cursor;
    this.#shape = shape;
    this.#counted = counted;
  }

  get count(): number {
    return this.#counted ?? this.#walked;
  }

  get more(): boolean {
    return this.count > this.rows;
  }

  /** One bite; true when everything is known. */
  step(): boolean {
    const { clock } = this.#member;
    const started = clock.now();
    const done = this.#step();
    this.busyMillis += clock.now() - started;
    return done;
  }

  #step(): boolean {
    const { form, limit } = this.#shape;
    const store = this.#store;
    scratch.length = 0;
    const found = this.#cursor.next(scratch, ROWS_PER_BITE);
    this.#walked += found;
    for (let i = 0; i < found && this.rows < limit; i++, this.rows++) {
      this.rowBytes += 1 + sizeDelimited(keyValueSize(store, scratch.slots[i] as Slot, form));
    }
    return found === 0 || (this.#counted !== undefined && this.rows >= Math.min(limit, this.#counted));
  }
}

class ListSource implements MessageSource {
  readonly totalBytes: number;
  readonly #member: Member;
  readonly #headers: Headers;
  readonly #stretches: Stretches;
  /** The one that the cursor walks, also when a snapshot has given the member another. */
  readonly #store: Store;
  readonly #cursor: RangeCursor;
  readonly #shape: Shape;
  readonly #measured: Measure;
  readonly #revision: Revision;
  readonly #pin: { release(): void };
  readonly #rowsPerBite: number;
  /** Made and not yet handed out, the next one last. */
  readonly #made: Uint8Array[] = [];
  #aligned = false;
  #rowsLeft: number;
  #stage: "header" | "rows" | "tail" = "header";
  #busyMillis: number;

  constructor(
    { member, headers }: Reply,
    store: Store,
    stretches: Stretches,
    cursor: RangeCursor,
    shape: Shape,
    measured: Measure,
    revision: Revision,
    pin: { release(): void },
  ) {
    this.#member = member;
    this.#headers = headers;
    this.#stretches = stretches;
    this.#store = store;
    this.#cursor = cursor;
    this.#shape = shape;
    this.#measured = measured;
    this.#revision = revision;
    this.#pin = pin;
    this.#rowsLeft = measured.rows;
    this.#busyMillis = measured.busyMillis;
    const average = Math.max(1, measured.rowBytes / Math.max(1, measured.rows));
    const bytes = shape.form === KeyValueForm.Full ? BITE_BYTES_MAX : PIECE_BYTES_MAX;
    this.#rowsPerBite = Math.max(1, Math.min(ROWS_PER_BITE, Math.floor(bytes / average)));
    this.totalBytes =
      headers.size(revision) + measured.rowBytes + rangeTailSize(measured.more, measured.count);
  }

  next(): Uint8Array | EtcdError | undefined {
    const { clock } = this.#member;
    const started = clock.now();
    const piece = this.#next();
    this.#busyMillis += clock.now() - started;
    return piece;
  }

  #next(): Uint8Array | EtcdError {
    if (this.#store.retired) return errors.compacted;
    if (this.#stage === "header") {
      this.#stage = this.#rowsLeft > 0 ? "rows" : "tail";
      const out = allocate(this.#headers.size(this.#revision));
      this.#headers.write(this.#revision, out, 0);
      return out;
    }
    const made = this.#made.pop();
    if (made !== undefined) return made;
    if (this.#stage === "rows") return this.#readRows();
    const { more, count } = this.#measured;
    const out = allocate(rangeTailSize(more, count));
    writeRangeTail(more, count, out, 0);
    return out;
  }

  release(): void {
    this.#member.rangeTimer.streamedFor(this.#busyMillis);
    this.#pin.release();
  }

  /** Damaged bytes end the stream: its length is promised already. */
  #readRows(): Uint8Array | EtcdError {
    try {
      return this.#rows();
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      this.#member.foundCorruption(error);
      return errors.corrupt;
    }
  }

  #rows(): Uint8Array | EtcdError {
    scratch.length = 0;
    const found = this.#cursor.next(scratch, Math.min(this.#rowsPerBite, this.#rowsLeft));
    // The pin keeps every row that was measured; anything else would break the promised length.
    if (found === 0) return errors.corrupt;
    const { form } = this.#shape;
    const given = form === KeyValueForm.Full ? this.#gather(found) : found;
    this.#rowsLeft -= given;
    if (this.#rowsLeft === 0) this.#stage = "tail";
    return this.#made.pop() ?? this.#encode(found, form);
  }

  /** Makes the found rows of stretches, but leaves one that the bite cuts to the next bite. Returns the number of rows made. */
  #gather(found: number): number {
    const stretches = this.#stretches;
    stretches.plan(scratch, plan, this.#aligned);
    let given = found;
    if (plan.open && plan.length > 1 && found < this.#rowsLeft) {
      given = plan.dropLast();
      this.#cursor.goBackTo(scratch.slots[given - 1]! as Slot);
    }
    this.#aligned = plan.aligned;
    stretches.gather(scratch, plan, this.#measured.rowBytes <= STRETCHES_BYTES_MAX, this.#made);
    this.#made.reverse();
    return given;
  }

  #encode(found: number, form: KeyValueForm): Uint8Array {
    const store = this.#store;
    const { reader } = this.#member;
    let size = 0;
    for (let i = 0; i < found; i++) {
      sizes[i] = keyValueSize(store, scratch.slots[i] as Slot, form);
      size += 1 + sizeDelimited(sizes[i]!);
    }
    const out = allocate(size);
    let at = 0;
    for (let i = 0; i < found; i++) {
      const slot = scratch.slots[i] as Slot;
      out[at++] = 0x12;
      at = writeVarint32(sizes[i]!, out, at);
      at = writeKeyValue(store, slot, form, reader, out, at);
    }
    return out;
  }
}
