// The queue of linearizable reads that wait until a quorum has confirmed the leader. Requests are numbered as they come; a
// heartbeat carries the number of the newest one (8 bytes, little endian), so one confirmed heartbeat releases all before it.
// Only read-index.ts and the heartbeat handlers call it.

import type { MemberId } from "../base/brand.ts";
import { EMPTY } from "../base/bytes.ts";
import { PENDING_READS_MAX } from "./limits.ts";
import type { Message } from "./message.ts";
import { type JointConfig, jointCommittedIndex } from "./quorum/joint.ts";

/** The answer to a read: safe once `index` is applied. */
export type ReadState = { readonly index: number; readonly requestContext: Uint8Array };

/** A read that waits, and the commit index when it came. */
export type ReadRequest = { readonly request: Message; readonly index: number };

const CONTEXT_BYTES = 8;
const HALF = 0x1_0000_0000;

export class ReadOnly {
  /** The number of the newest read that each voter has confirmed. */
  readonly #acks = new Map<MemberId, number>();
  #unconfirmed: ReadRequest[] = [];
  /** How many were released: the number of the first waiting one is this plus one. */
  #confirmed = 0;

  get full(): boolean {
    return this.#unconfirmed.length >= PENDING_READS_MAX;
  }

  add(request: Message, commit: number): void {
    this.#unconfirmed.push({ request, index: commit });
  }

  /** A voter answered the heartbeat with this context. Anything but our own 8 bytes is no confirmation. */
  receiveAck(from: MemberId, context: Uint8Array): void {
    if (context.length !== CONTEXT_BYTES) return;
    const number = readNumber(context);
    if (number > (this.#acks.get(from) ?? 0)) this.#acks.set(from, number);
  }

  ackedIndex(voter: MemberId): number | undefined {
    return this.#acks.get(voter);
  }

  /** Takes out the reads that a quorum has confirmed by now. */
  advance(voters: JointConfig): readonly ReadRequest[] {
    const newest = this.#confirmed + this.#unconfirmed.length;
    const confirmed = Math.min(jointCommittedIndex(voters, this), newest);
    const count = confirmed - this.#confirmed;
    if (count <= 0) return [];
    const released = this.#unconfirmed.slice(0, count);
    this.#unconfirmed = this.#unconfirmed.slice(count);
    this.#confirmed = confirmed;
    return released;
  }

  /** The context that confirms all waiting reads; empty when none waits. */
  heartbeatContext(): Uint8Array {
    if (this.#unconfirmed.length === 0) return EMPTY;
    return writeNumber(this.#confirmed + this.#unconfirmed.length);
  }
}

function writeNumber(n: number): Uint8Array {
  const bytes = new Uint8Array(CONTEXT_BYTES);
  let rest = n;
  for (let i = 0; i < CONTEXT_BYTES; i++) {
    bytes[i] = rest % 0x100;
    rest = Math.floor(rest / 0x100);
  }
  return bytes;
}

function readNumber(bytes: Uint8Array): number {
  const low = (bytes[0]! | (bytes[1]! << 8) | (bytes[2]! << 16) | (bytes[3]! << 24)) >>> 0;
  const high = (bytes[4]! | (bytes[5]! << 8) | (bytes[6]! << 16) | (bytes[7]! << 24)) >>> 0;
  return high * HALF + low;
}
