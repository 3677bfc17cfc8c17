// The Watch service: one stream, many watchers. It speaks the protocol (created, canceled, progress, fragments) and leaves to the hub
// who sees which event. A stream whose peer does not read is "full"; its watchers then read on from the store when it drains.
import { concatBytes } from "../base/bytes.ts";
import { errors } from "../base/errors.ts";
import type { Member } from "../member/member.ts";
import type { Timer } from "../ports/clock.ts";
import { type EventBatch, Filter, type Watcher, type WatchSink, watchRange } from "../watch/hub.ts";
import { DecodeError, messageDecodeError } from "../wire/decode-error.ts";
import {
  decodeWatchRequest,
  encodeWatchResponse,
  FilterType,
  type WatchCreateRequest,
  type WatchResponse,
} from "../wire/generated/etcdserverpb.ts";
import { sizeBigint, writeBigint } from "../wire/writer.ts";
import type { BidiMethod, RequestStream, ServerCall } from "./call.ts";
import type { Headers } from "./headers.ts";

/** clientv3's InvalidWatchID: replies that belong to no watcher, or to all. */
const NO_WATCH_ID = -1n;
/** A stream with so many bytes waiting takes no further events. */
const BUFFERED_BYTES_MAX = 1 << 20;
/** etcd adds half a MiB to max-request-bytes for what surrounds a request, here as at the receiving side. */
export const MESSAGE_OVERHEAD_BYTES: number = 512 << 10;

const CANCEL_EMPTY_RANGE = "mvcc: watcher range is empty";
const CANCEL_DUPLICATE_ID = "mvcc: duplicate watch ID provided on the WatchStream";

export function watchMethods(member: Member, headers: Headers): [string, BidiMethod][] {
  const open = (call: ServerCall): RequestStream => new WatchStream(member, headers, call);
  return [["/etcdserverpb.Watch/Watch", { kind: "bidi", open }]];
}

type Entry = {
  readonly watcher: Watcher;
  readonly fragment: boolean;
  readonly progressNotify: boolean;
  /** No event was sent since the last progress tick. */
  quiet: boolean;
};

class WatchStream implements RequestStream, WatchSink {
  readonly #member: Member;
  readonly #headers: Headers;
  readonly #call: ServerCall;
  readonly #watchers = new Map<bigint, Entry>();
  readonly #head = new Uint8Array(64);
  #nextId = 0n;
  #progressTimer: Timer | undefined;

  constructor(member: Member, headers: Headers, call: ServerCall) {
    this.#member = member;
    this.#headers = headers;
    this.#call = call;
    call.onCancel = () => this.#close();
    call.onDrain = () => member.wakeWatchers();
    member.counters.watchStreams++;
  }

  get full(): boolean {
    return this.#call.bufferedBytes > BUFFERED_BYTES_MAX;
  }

  message(bytes: Uint8Array): void {
    const { clock, timings } = this.#member;
    const started = clock.now();
    this.#request(bytes);
    timings.watchControl.observe((clock.now() - started) / 1000);
  }

  #request(bytes: Uint8Array): void {
    try {
      const { requestUnion } = decodeWatchRequest(bytes);
      if (requestUnion?.case === "createRequest") this.#create(requestUnion.value);
      else if (requestUnion?.case === "cancelRequest") this.#cancel(requestUnion.value.watchId);
      else if (requestUnion?.case === "progressRequest") this.#progressOfAll();
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#member.counters.watchReceiveFailures++;
      this.#close();
      this.#call.fail(messageDecodeError(error));
    }
  }

  /** Half-closing alone does not end a watch: events go on. */
  requestsEnded(): void {}

  events(watcher: Watcher, batch: EventBatch): void {
    const entry = this.#watchers.get(watcher.id);
    if (entry === undefined) return;
    entry.quiet = false;
    if (entry.fragment && batch.parts.length > 1) this.#sendFragments(watcher.id, batch);
    else this.#sendEvents(watcher.id, batch.revision, false, batch.bytes);
  }

  compacted(watcher: Watcher, compactedRevision: number): void {
    // As in etcd its id stays taken until the client cancels it too.
    // etcd leaves the header's revision and the reason empty here.
    this.#send({
      header: this.#headers.at(0),
      watchId: watcher.id,
      canceled: true,
      compactRevision: compactedRevision,
    });
  }

  #create(request: WatchCreateRequest): void {
    if (request.startRevision < 0) {
      this.#refuse(errors.compacted.message);
      return;
    }
    const range = watchRange(request.key, request.rangeEnd);
    const { start, end } = range;
    if (end !== undefined && end !== "\0" && start >= end) {
      this.#refuse(CANCEL_EMPTY_RANGE);
      return;
    }
    const id = this.#chooseId(request.watchId);
    if (id === undefined) {
      this.#refuse(CANCEL_DUPLICATE_ID);
      return;
    }
    const { startRevision, prevKv, fragment, progressNotify } = request;
    const watcher = this.#member.hub.add(this, id, range, {
      startRevision,
      prevKv,
      filters: filterBits(request.filters),
    });
    this.#watchers.set(id, { watcher, fragment, progressNotify, quiet: true });
    this.#send({ header: this.#headers.current(), watchId: id, created: true });
    if (watcher.state === "unsynced") this.#member.wakeWatchers();
    if (progressNotify) this.#startProgress();
  }

  /** 0 asks for a free id; undefined = the id is taken. */
  #chooseId(wanted: bigint): bigint | undefined {
    if (wanted !== 0n) return this.#watchers.has(wanted) ? undefined : wanted;
    while (this.#watchers.has(this.#nextId)) this.#nextId++;
    return this.#nextId++;
  }

  #refuse(reason: string): void {
    const header = this.#headers.current();
    this.#send({ header, watchId: NO_WATCH_ID, created: true, canceled: true, cancelReason: reason });
  }

  #cancel(id: bigint): void {
    const entry = this.#watchers.get(id);
    if (entry === undefined) return;
    this.#watchers.delete(id);
    this.#member.hub.remove(entry.watcher);
    this.#send({ header: this.#headers.current(), watchId: id, canceled: true });
  }

  /** One answer for the whole stream, and only when every watcher has seen everything up to it. */
  #progressOfAll(): void {
    if (this.#watchers.size === 0) return;
    for (const { watcher } of this.#watchers.values()) {
      // One that a compaction ended says nothing of its stream until the client cancels it: what it missed was never sent.
      if (!this.#isCurrent(watcher)) return;
    }
    this.#send({ header: this.#headers.current(), watchId: NO_WATCH_ID });
  }

  #isCurrent(watcher: Watcher): boolean {
    return watcher.state === "synced" && this.#member.store.currentRevision >= watcher.startRevision;
  }

  #startProgress(): void {
    if (this.#progressTimer !== undefined) return;
    this.#progressTimer = this.#member.clock.after(this.#member.progressInterval(), () => {
      this.#progressTimer = undefined;
      this.#progressTick();
    });
  }

  #progressTick(): void {
    const { clock, timings } = this.#member;
    const started = clock.now();
    let wanted = false;
    for (const [id, entry] of this.#watchers) {
      if (!entry.progressNotify || entry.watcher.state === "gone") continue;
      wanted = true;
      if (entry.quiet && this.#isCurrent(entry.watcher))
        this.#send({ header: this.#headers.current(), watchId: id });
      entry.quiet = true;
    }
    timings.watchProgress.observe((clock.now() - started) / 1000);
    if (wanted) this.#startProgress();
  }

  /** Splits a long batch between events; all pieces but the last say so. */
  #sendFragments(id: bigint, batch: EventBatch): void {
    const bytesMax = this.#member.options.requestBytesMax + MESSAGE_OVERHEAD_BYTES;
    const headBytes = this.#headSize(id, batch.revision);
    if (headBytes + batch.bytes.length < bytesMax) {
      this.#sendEvents(id, batch.revision, false, batch.bytes);
      return;
    }
    let piece: Uint8Array[] = [];
    let bytes = headBytes + 2;
    for (const part of batch.parts) {
      if (piece.length > 0 && bytes + part.length >= bytesMax) {
        this.#sendEvents(id, batch.revision, true, concatBytes(piece));
        piece = [];
        bytes = headBytes + 2;
      }
      piece.push(part);
      bytes += part.length;
    }
    this.#sendEvents(id, batch.revision, false, concatBytes(piece));
  }

  #headSize(id: bigint, revision: number): number {
    return this.#headers.size(revision) + (id === 0n ? 0 : 1 + sizeBigint(id));
  }

  /** Header, watch id and fragment flag are written here; the events are shared bytes. */
  #sendEvents(id: bigint, revision: number, fragment: boolean, events: Uint8Array): void {
    const head = this.#head;
    let at = this.#headers.write(revision, head, 0);
    if (id !== 0n) {
      head[at++] = 0x10;
      at = writeBigint(id, head, at);
    }
    if (fragment) {
      head[at++] = 0x38;
      head[at++] = 1;
    }
    this.#call.sendShared(head.subarray(0, at), events);
  }

  #send(response: Partial<WatchResponse>): void {
    this.#call.send(
      encodeWatchResponse({
        header: response.header,
        watchId: response.watchId ?? 0n,
        created: response.created ?? false,
        canceled: response.canceled ?? false,
        compactRevision: response.compactRevision ?? 0,
        cancelReason: response.cancelReason ?? "",
        fragment: false,
        events: [],
      }),
    );
  }

  #close(): void {
    for (const { watcher } of this.#watchers.values()) this.#member.hub.remove(watcher);
    this.#watchers.clear();
    this.#progressTimer?.cancel();
    this.#progressTimer = undefined;
    this.#member.counters.watchStreams--;
  }
}

function filterBits(filters: readonly number[]): number {
  let bits = 0;
  for (const filter of filters) {
    if (filter === FilterType.NOPUT) bits |= Filter.NoPut;
    else if (filter === FilterType.NODELETE) bits |= Filter.NoDelete;
  }
  return bits;
}
