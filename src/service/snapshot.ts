// Maintenance.Snapshot: the backup file in messages of 32 KiB as the peer takes them, then its SHA-256 as the last message.

import { utf8ToBytes } from "../base/bytes.ts";
import { goDuration } from "../base/go-duration.ts";
import { humanBytes } from "../base/human-bytes.ts";
import { type Backup, openBackup } from "../member/backup.ts";
import type { Member } from "../member/member.ts";
import { encodeSnapshotResponse } from "../wire/generated/etcdserverpb.ts";
import { writeUint64Number, writeVarint32 } from "../wire/writer.ts";
import type { ServerCall } from "./call.ts";

/** etcd's snapshotSendBufferSize. */
const MESSAGE_BYTES = 32 << 10;
/** SnapshotResponse: remaining_bytes 2, blob 3, version 4. */
const REMAINING_TAG = 0x10;
const BLOB_TAG = 0x1a;
const VERSION_TAG = 0x22;
/** Rows planned, and chunks made, in one turn. */
const ROWS_PER_TURN = 8192;
const BUFFERED_BYTES_MAX = 4 << 20;

export function sendSnapshot(member: Member, call: ServerCall): void {
  new SnapshotStream(member, call, openBackup(member)).run();
}

class SnapshotStream {
  readonly #member: Member;
  readonly #call: ServerCall;
  readonly #backup: Backup;
  readonly #digest: { update(bytes: Uint8Array): void; digest(): Uint8Array };
  readonly #started: number;
  readonly #headBytes = new Uint8Array(64);
  #planned = false;
  #ended = false;
  #sent = 0;

  constructor(member: Member, call: ServerCall, backup: Backup) {
    this.#member = member;
    this.#call = call;
    this.#backup = backup;
    this.#digest = member.sha256();
    this.#started = member.clock.now();
    call.onDrain = () => this.run();
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
    else this.#chunk();
    if (!this.#ended) this.#member.clock.endOfTurn(() => this.run());
  }

  #plan(): void {
    this.#planned = this.#backup.writer.plan(ROWS_PER_TURN);
    if (!this.#planned) return;
    this.#member.logger.info("sending database snapshot to client", this.#fields());
  }

  #chunk(): void {
    const { writer, storageVersion } = this.#backup;
    const chunk = writer.next();
    const total = writer.fileBytes;
    if (chunk === undefined) {
      const blob = this.#digest.digest();
      this.#member.logger.info("sending database sha256 checksum to client", {
        "total-bytes": total,
        "checksum-size": blob.length,
      });
      this.#call.send(
        encodeSnapshotResponse({ header: undefined, remainingBytes: 0, blob, version: storageVersion }),
      );
      this.#call.end();
      this.#member.logger.info("successfully sent database snapshot to client", this.#fields());
      this.#end();
      return;
    }
    this.#digest.update(chunk);
    for (let at = 0; at < chunk.length; at += MESSAGE_BYTES) {
      const blob = chunk.subarray(at, Math.min(at + MESSAGE_BYTES, chunk.length));
      this.#sent += blob.length;
      this.#call.sendShared(this.#head(total - this.#sent, blob.length), blob);
    }
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
    this.#backup.release();
  }
}
