// Maintenance.Snapshot: the backup file in messages of 32 KiB as the peer takes them, then its SHA-256 as the last message. However long
// the file and however slow the peer, it takes the memory of one ring of chunks.

import { millis } from "../base/brand.ts";
import { utf8ToBytes } from "../base/bytes.ts";
import { CopyArea } from "../base/copy-area.ts";
import { Code, etcdError } from "../base/errors.ts";
import { goDuration } from "../base/go-duration.ts";
import { humanBytes } from "../base/human-bytes.ts";
import { ValueWindow, WINDOW_BYTES } from "../log/value-window.ts";
import type { Member } from "../member/member.ts";
import { type Backup, openBackup } from "../member/snapshot/backup.ts";
import type { StreamDigest } from "../ports/digest.ts";
import { encodeSnapshotResponse } from "../wire/generated/etcdserverpb.ts";
import { writeUint64Number, writeVarint32 } from "../wire/writer.ts";
import type { ServerCall } from "./call.ts";
import { ChunkRing } from "./chunk-ring.ts";

/** etcd's snapshotSendBufferSize. */
const MESSAGE_BYTES = 32 << 10;
/** SnapshotResponse: remaining_bytes 2, blob 3, version 4. */
const REMAINING_TAG = 0x10;
const BLOB_TAG = 0x1a;
const VERSION_TAG = 0x22;
/** Rows planned at once, and for how long in one turn. */
const ROWS_PER_BITE = 1024;
const TURN_MILLIS = 2;
/** Of each chunk, of which one is made in a turn. */
const CHUNK_BYTES = 1 << 20;
/** How much of it, as long as the code is cold: it grows while turns are short. */
const CHUNK_BYTES_FIRST = 32 << 10;
const RING_BYTES = 4 * CHUNK_BYTES;
/** Above this the peer is behind; onDrain tells when it is not any more. */
const BUFFERED_BYTES_MAX = 1 << 20;
/** When the ring is full although the peer is not behind: the digest is, or others fill the connection. */
const RETRY_MILLIS = millis(1);
/** Of a gRPC message. */
const PREFIX_BYTES = 5;

export function sendSnapshot(member: Member, call: ServerCall): void {
  // In one memory, so that values are copied within it: the chunks, and behind them the window that values are read through.
  const area = new CopyArea(RING_BYTES + WINDOW_BYTES);
  const values = new ValueWindow(member.log.values, area, RING_BYTES);
  const backup = openBackup(member, CHUNK_BYTES, values);
  new SnapshotStream(member, call, backup, area.bytes.subarray(0, RING_BYTES)).run();
}

class SnapshotStream {
  readonly #member: Member;
  readonly #call: ServerCall;
  readonly #backup: Backup;
  readonly #digest: StreamDigest;
  readonly #ring: ChunkRing;
  readonly #started: number;
  readonly #headBytes = new Uint8Array(64);
  readonly #next: () => void;
  #planned = false;
  #fillBytes = CHUNK_BYTES_FIRST;
  /** The next turn is asked for. */
  #waiting = false;
  #ended = false;
  #sent = 0;

  constructor(member: Member, call: ServerCall, backup: Backup, memory: Uint8Array) {
    this.#member = member;
    this.#call = call;
    this.#backup = backup;
    this.#digest = member.sha256Stream((error) => this.#fail(error));
    this.#ring = new ChunkRing(call, this.#digest, memory, CHUNK_BYTES);
    this.#started = member.clock.now();
    this.#next = () => {
      this.#waiting = false;
      this.run();
    };
    call.onDrain = () => this.#goOn();
    call.onCancel = () => this.#end();
  }

  /** One bite of planning or one chunk a turn, until the peer is behind (onDrain goes on) or all is sent. */
  run(): void {
    if (this.#ended || this.#call.bufferedBytes > BUFFERED_BYTES_MAX) return;
    if (this.#call.done) {
      this.#end();
      return;
    }
    if (!this.#planned) this.#plan();
    else if (this.#backup.writer.chunkRoom() === 0) this.#finish();
    else this.#chunk();
    this.#goOn();
  }

  #goOn(): void {
    if (this.#waiting || this.#ended) return;
    this.#waiting = true;
    this.#member.clock.endOfTurn(this.#next);
  }

  #plan(): void {
    const { clock } = this.#member;
    const began = clock.now();
    while (!this.#planned) {
      this.#planned = this.#backup.writer.plan(ROWS_PER_BITE);
      if (clock.now() - began >= TURN_MILLIS) break;
    }
    if (!this.#planned) return;
    this.#member.logger.info("sending database snapshot to client", this.#fields());
  }

  #chunk(): void {
    const { writer } = this.#backup;
    const room = this.#ring.take(writer.chunkRoom());
    if (room === undefined) {
      this.#waiting = true;
      this.#member.clock.after(RETRY_MILLIS, this.#next);
      return;
    }
    const length = this.#fill(room);
    this.#digest.update(room.subarray(0, length));
    let given = 0;
    for (let at = 0; at < length; at += MESSAGE_BYTES) {
      const blob = room.subarray(at, Math.min(at + MESSAGE_BYTES, length));
      this.#sent += blob.length;
      const head = this.#head(writer.fileBytes - this.#sent, blob.length);
      given += PREFIX_BYTES + head.length + blob.length;
      this.#call.sendShared(head, blob);
    }
    this.#ring.give(given);
  }

  #fill(room: Uint8Array): number {
    const { clock } = this.#member;
    const { writer } = this.#backup;
    const began = clock.now();
    // A row that is longer than that gets all the room.
    const length = writer.fill(room.subarray(0, this.#fillBytes)) || writer.fill(room);
    const took = clock.now() - began;
    if (took < TURN_MILLIS) this.#fillBytes = Math.min(2 * this.#fillBytes, CHUNK_BYTES);
    else if (took > 2 * TURN_MILLIS) this.#fillBytes = Math.max(this.#fillBytes / 2, CHUNK_BYTES_FIRST);
    return length;
  }

  #finish(): void {
    const call = this.#call;
    const { logger } = this.#member;
    // Nobody is asked to go on after this.
    this.#waiting = true;
    this.#digest.finish((blob) => {
      const { writer, storageVersion } = this.#backup;
      logger.info("sending database sha256 checksum to client", {
        "total-bytes": writer.fileBytes,
        "checksum-size": blob.length,
      });
      call.send(
        encodeSnapshotResponse({ header: undefined, remainingBytes: 0, blob, version: storageVersion }),
      );
      call.end();
      logger.info("successfully sent database snapshot to client", this.#fields());
      this.#end();
    });
  }

  #fail(error: Error): void {
    if (this.#ended) return;
    this.#member.logger.error("failed to send database snapshot to client", { error: error.message });
    this.#call.fail(etcdError(Code.Internal, `etcdserver: ${error.message}`));
    this.#end();
  }

  /** A SnapshotResponse up to the blob's bytes, which come last and are not copied: remaining_bytes, version, and the blob's length. */
  #head(remainingBytes: number, blobBytes: number): Uint8Array {
    const { storageVersion } = this.#backup;
    const head = this.#headBytes;
    let at = 0;
    if (remainingBytes > 0) {
      head[at++] = REMAINING_TAG;
      at = writeUint64Number(remainingBytes, head, at);
    }
    if (storageVersion !== "") {
      head[at++] = VERSION_TAG;
      head[at++] = storageVersion.length;
      head.set(utf8ToBytes(storageVersion), at);
      at += storageVersion.length;
    }
    head[at++] = BLOB_TAG;
    return head.subarray(0, writeVarint32(blobBytes, head, at));
  }

  #fields(): Record<string, unknown> {
    const { fileBytes } = this.#backup.writer;
    const took = goDuration(this.#member.clock.now() - this.#started);
    return {
      "total-bytes": fileBytes,
      size: humanBytes(fileBytes),
      "storage-version": this.#backup.storageVersion,
      took,
    };
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    const { clock, timings } = this.#member;
    timings.snapshot.observe((clock.now() - this.#started) / 1000);
    this.#digest.cancel();
    this.#backup.release();
  }
}
