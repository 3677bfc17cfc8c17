// A GrpcServer without a network: a socket that is a pair of arrays, a clock moved by hand, frames written and read one by one.
// Used by the hostile tests and by the fuzzer; deterministic, since nothing in it waits.
import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { type Millis, millis } from "../../base/brand.ts";
import { HpackDecoder } from "../../http2/hpack-decoder.ts";
import { FrameType } from "../../http2/protocol.ts";
import type { Timer } from "../../ports/clock.ts";

export class ManualClock {
  time = 1000;
  #turn: (() => void)[] = [];
  #timers: { at: number; callback: () => void }[] = [];

  now(): Millis {
    return millis(this.time);
  }

  after(delay: Millis, callback: () => void): Timer {
    const timer = { at: this.time + delay, callback };
    this.#timers.push(timer);
    return { cancel: () => (this.#timers = this.#timers.filter((other) => other !== timer)) };
  }

  endOfTurn(callback: () => void): void {
    this.#turn.push(callback);
  }

  /** Ends turns until nothing more is asked for. */
  settle(): void {
    for (let i = 0; this.#turn.length > 0; i++) {
      assert.ok(i < 100_000, "the turns come to an end");
      const turn = this.#turn;
      this.#turn = [];
      for (const callback of turn) callback();
    }
  }

  advance(ms: number): void {
    const until = this.time + ms;
    for (;;) {
      const due = this.#timers.filter((timer) => timer.at <= until).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== due);
      this.time = Math.max(this.time, due.at);
      due.callback();
      this.settle();
    }
    this.time = until;
  }
}

/** What Connection and Sender use of a socket. While `stuck`, the kernel takes nothing. */
export class FakeSocket extends EventEmitter {
  written: Buffer[] = [];
  stuck = false;
  paused = false;
  ended = false;
  destroyed = false;
  writableLength = 0;
  #waiting: (() => void)[] = [];
  readonly remoteAddress = "127.0.0.1";
  readonly remotePort = 9;

  write(bytes: Uint8Array, written?: () => void): boolean {
    this.written.push(Buffer.from(bytes));
    if (this.stuck) this.writableLength += bytes.length;
    if (written !== undefined) this.#waiting.push(written);
    return !this.stuck;
  }

  /** The kernel has taken everything. */
  taken(): void {
    this.writableLength = 0;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const written of waiting) written();
  }

  cork(): void {}
  uncork(): void {}
  setNoDelay(): void {}
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  end(): void {
    this.ended = true;
  }
  destroy(): void {
    this.destroyed = true;
  }

  get asSocket(): Socket {
    return this as unknown as Socket;
  }
}

export type Frame = {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
};

export function frame(
  type: number,
  flags: number,
  streamId: number,
  payload: Uint8Array | readonly number[] = [],
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(streamId >>> 0, 5);
  return Buffer.concat([head, Uint8Array.from(payload)]);
}

/** Literals without indexing. */
export function headerBlock(fields: readonly (readonly [name: string, value: string])[]): Buffer {
  const out: Buffer[] = [];
  const string = (text: string): void => {
    assert.ok(text.length < 127);
    out.push(Buffer.from([text.length]), Buffer.from(text, "latin1"));
  };
  for (const [name, value] of fields) {
    out.push(Buffer.from([0]));
    string(name);
    string(value);
  }
  return Buffer.concat(out);
}

export const REQUEST: readonly (readonly [string, string])[] = [
  [":method", "POST"],
  [":scheme", "http"],
  [":path", "/t.T/Echo"],
  ["content-type", "application/grpc"],
  ["te", "trailers"],
];

export function request(path: string, more: readonly (readonly [string, string])[] = []): Buffer {
  return headerBlock([...REQUEST.map(([n, v]) => [n, n === ":path" ? path : v] as const), ...more]);
}

export function message(body: Uint8Array, flag = 0): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(body.length, 1);
  return Buffer.concat([prefix, body]);
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

/** Cuts what the server wrote; it must be whole frames. */
export function frames(bytes: Buffer): Frame[] {
  const found: Frame[] = [];
  let at = 0;
  while (at < bytes.length) {
    const length = bytes.readUIntBE(at, 3);
    assert.ok(at + 9 + length <= bytes.length, "the server writes whole frames");
    found.push({
      type: bytes[at + 3]!,
      flags: bytes[at + 4]!,
      streamId: bytes.readUInt32BE(at + 5),
      payload: bytes.subarray(at + 9, at + 9 + length),
    });
    at += 9 + length;
  }
  return found;
}

/** The header fields of the server's blocks, in order: one decoder per connection. */
export class HeaderReader {
  readonly #decoder = new HpackDecoder();
  read(sent: Frame): Record<string, string> {
    assert.equal(sent.type, FrameType.Headers);
    const fields = this.#decoder.decode(sent.payload, 0, sent.payload.length, 1 << 20);
    assert.ok(fields !== undefined, "the server writes sound header blocks");
    return Object.fromEntries(fields.map((field) => [field.name, field.value]));
  }
}
