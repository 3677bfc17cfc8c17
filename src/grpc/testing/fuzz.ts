// One seeded life of a connection: sound calls mixed with broken, cut, repeated and greedy frames, a clock that jumps, a socket
// that stalls. Whatever comes, the server must not throw, must write whole and sound frames, must answer sound calls with their
// own bytes, and must hold nothing when the connection is gone. Used by server.fuzz.test and scripts/fuzz-edge.
import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { Flag, FrameType } from "../../http2/protocol.ts";
import { MAX_RECEIVE, PeerSession } from "./peer-session.ts";
import { type Frame, frame, headerBlock, message, REQUEST, request, u32 } from "./wire.ts";

/** mulberry32: small, seeded, good enough to choose. */
export class Dice {
  #state: number;
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }
  below(bound: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * bound);
  }
  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)));
  }
  pick<T>(all: readonly T[]): T {
    return all[this.below(all.length)]!;
  }
}

/** What we have seen of a stream: its data, and that nothing follows its end. */
type Seen = { data: Buffer[]; ended: boolean; status: string | undefined };

const PATHS = ["/t.T/Echo", "/t.T/Hold", "/t.T/List", "/t.T/Chat", "/t.T/None", "/x", ""];

export class Life {
  readonly #dice: Dice;
  readonly #session: PeerSession;
  readonly #seen = new Map<number, Seen>();
  /** Echo calls sent soundly and whole: what must come back, unless the connection or the stream was broken since. */
  readonly #expected = new Map<number, Buffer>();
  #nextId = 1;
  #failed = false;
  /** No frame hits the connection itself, or a stream that it was not made for: every sound call must be answered. */
  readonly #peaceful: boolean;
  /** Sound calls that were answered. */
  answered = 0;

  constructor(seed: number) {
    this.#dice = new Dice(seed);
    this.#peaceful = seed % 2 === 0;
    this.#session = new PeerSession({
      maxConcurrentStreams: this.#dice.pick([3, 100, 0xffffffff]),
      pingLimits: this.#dice.pick([undefined, { minTimeMs: 5000, permitWithoutStream: false }]),
    });
    this.#session.greet();
  }

  run(steps: number): void {
    for (let i = 0; i < steps && !this.#failed; i++) this.#step();
    this.#session.socket.stuck = false;
    this.#look();
    if (this.#peaceful) this.#checkExpected();
    this.#session.socket.emit("close");
    this.#session.clock.advance(200_000);
    assert.equal(this.#session.server.connectionCount, 0);
    assert.equal(this.#session.server.deadlines.size, 0);
    for (const call of this.#session.calls) assert.equal(call.done, true);
  }

  #checkExpected(): void {
    this.#session.send(
      frame(FrameType.Settings, 0, 0, [0, 4, 0x7f, 0, 0, 0]),
      frame(FrameType.WindowUpdate, 0, 0, u32(0x3fffffff)),
    );
    this.#look();
    assert.equal(this.#failed, false, "nothing has ended the connection");
    for (const [id, body] of this.#expected) {
      const seen = this.#seen.get(id);
      assert.ok(seen?.ended, `stream ${id} has ended`);
      assert.equal(seen.status, "0");
      assert.ok(Buffer.concat(seen.data).equals(message(body)), `stream ${id} got its own bytes back`);
      this.answered++;
    }
  }

  #step(): void {
    const dice = this.#dice;
    const what = dice.below(100);
    if (this.#peaceful && what >= 50 && what < 62) this.#look();
    else if (what < 35) this.#soundEcho();
    else if (what < 50) this.#brokenCall();
    else if (what < 58) this.#smallFrame();
    else if (what < 62) this.#noise();
    else if (what < 70) this.#credit();
    else if (what < 76) this.#answerHeld();
    else if (what < 80) this.#session.clock.advance(dice.pick([1, 20, 700, 6000]));
    else if (what < 84) this.#session.socket.stuck = dice.below(2) === 0;
    else this.#look();
  }

  #take(): number {
    const id = this.#nextId;
    this.#nextId += 2;
    return id;
  }

  /** Sends bytes in one piece or several. */
  #send(bytes: Buffer): void {
    if (this.#dice.below(3) > 0) {
      this.#session.send(bytes);
      return;
    }
    for (let at = 0; at < bytes.length; ) {
      const next = at + 1 + this.#dice.below(bytes.length);
      this.#session.send(bytes.subarray(at, next));
      at = next;
    }
  }

  #soundEcho(): void {
    const dice = this.#dice;
    const body = dice.bytes(dice.pick([0, 3, 100, 900]));
    const big = dice.below(20) === 0 ? Buffer.alloc(40_000 + dice.below(20_000), dice.below(256)) : body;
    const id = this.#take();
    const zip = dice.below(4) === 0;
    const block = request("/t.T/Echo", zip ? [["grpc-encoding", "gzip"]] : []);
    const sent = zip ? message(gzipSync(big), 1) : message(big);
    const parts = [frame(FrameType.Headers, Flag.EndHeaders, id, block)];
    for (let at = 0; at < sent.length; ) {
      const next = Math.min(sent.length, at + 1 + dice.below(16000));
      const last = next === sent.length ? Flag.EndStream : 0;
      const padded = dice.below(5) === 0;
      const payload = sent.subarray(at, next);
      parts.push(
        padded
          ? frame(FrameType.Data, last | Flag.Padded, id, [3, ...payload, 0, 0, 0])
          : frame(FrameType.Data, last, id, payload),
      );
      at = next;
    }
    this.#expected.set(id, big);
    this.#send(Buffer.concat(parts));
  }

  #brokenCall(): void {
    const dice = this.#dice;
    const id = this.#take();
    const path = dice.pick(PATHS);
    const extra = dice.pick([
      [],
      [["grpc-timeout", dice.pick(["1m", "50m", "9S", "0n", "x", "99999999H"])]],
      [["content-length", "7"]],
      [["Bad", "x"]],
      [["token-bin", dice.pick(["AAA", "!"])]],
      [["grpc-encoding", "gzip"]],
    ] as const);
    const block = dice.below(8) === 0 ? headerBlock(REQUEST.slice(dice.below(4))) : request(path, extra);
    this.#send(frame(FrameType.Headers, Flag.EndHeaders | (dice.below(6) === 0 ? 1 : 0), id, block));
    for (let i = dice.below(4); i > 0; i--) {
      const body = dice.pick([
        message(dice.bytes(dice.below(30))),
        message(dice.bytes(dice.below(30)), dice.below(3)),
        Buffer.concat([Buffer.from([0]), u32(dice.pick([5, 1000, MAX_RECEIVE + 1, 0xffffffff]))]),
        dice.bytes(dice.below(9)),
      ]);
      this.#send(frame(FrameType.Data, dice.below(3) === 0 ? 1 : 0, id, body));
    }
    if (dice.below(3) === 0) this.#send(frame(FrameType.RstStream, 0, id, u32(8)));
  }

  #smallFrame(): void {
    const dice = this.#dice;
    const id = dice.pick([0, 0, 1, this.#nextId - 2, this.#nextId, 1 + 2 * dice.below(20)]);
    this.#send(
      dice.pick([
        frame(FrameType.Ping, dice.below(2), 0, dice.bytes(8)),
        frame(FrameType.Priority, 0, id, [...u32(dice.below(9)), 1]),
        frame(FrameType.RstStream, 0, id, u32(dice.below(14))),
        frame(FrameType.Settings, 0, 0, [0, dice.below(7), 0, 0, dice.below(256), dice.below(256)]),
        frame(FrameType.Settings, 1, 0),
        frame(FrameType.Goaway, 0, 0, dice.bytes(8)),
        frame(FrameType.WindowUpdate, 0, id, u32(dice.pick([0, 1, 5000, 0x7fffffff]))),
        frame(FrameType.Data, dice.below(2), id, dice.bytes(dice.below(20))),
        frame(FrameType.Headers, 4 + dice.below(2), id, request("/t.T/Echo")),
        frame(10 + dice.below(200), dice.below(256), id, dice.bytes(dice.below(20))),
      ]),
    );
  }

  #noise(): void {
    const dice = this.#dice;
    const type = dice.below(11);
    this.#send(frame(type, dice.below(256), dice.below(12), dice.bytes(dice.below(60))));
    if (dice.below(10) === 0) this.#send(dice.bytes(40));
  }

  #credit(): void {
    const amount = u32(1 + this.#dice.below(100_000));
    this.#send(frame(FrameType.WindowUpdate, 0, 0, amount));
  }

  #answerHeld(): void {
    const call = this.#session.calls[this.#dice.below(this.#session.calls.length)];
    if (call === undefined) return;
    const how = this.#dice.below(4);
    if (how < 2) call.send(this.#dice.bytes(this.#dice.below(50)));
    else if (how === 2) call.end();
    else this.#answerFromSource(call);
  }

  #answerFromSource(call: PeerSession["calls"][number]): void {
    let left = 1 + this.#dice.below(60_000);
    let waits = this.#dice.below(3);
    call.sendFrom({
      totalBytes: left,
      next: (bytesMax, wake) => {
        if (waits-- > 0) {
          this.#session.clock.endOfTurn(wake);
          return undefined;
        }
        const piece = new Uint8Array(1 + this.#dice.below(Math.min(left, bytesMax)));
        left -= piece.length;
        return piece;
      },
      release() {},
    });
  }

  /** Reads what the server has sent. */
  #look(): void {
    for (const sent of this.#session.answers()) this.#note(sent);
    if (this.#session.socket.ended || this.#session.socket.destroyed) this.#failed = true;
  }

  #note(sent: Frame): void {
    if (sent.type === FrameType.Goaway) this.#failed = true;
    if (sent.type === FrameType.RstStream) {
      // Refused for want of room, or done before we had said all: nothing is owed any more.
      if (this.#seen.get(sent.streamId)?.ended !== true) this.#expected.delete(sent.streamId);
      return;
    }
    if (sent.type !== FrameType.Headers && sent.type !== FrameType.Data) return;
    let seen = this.#seen.get(sent.streamId);
    if (seen === undefined) {
      seen = { data: [], ended: false, status: undefined };
      this.#seen.set(sent.streamId, seen);
    }
    assert.equal(seen.ended, false, "nothing follows the end of a stream");
    if (sent.type === FrameType.Data) seen.data.push(Buffer.from(sent.payload));
    else seen.status = this.#session.headers.read(sent)["grpc-status"] ?? seen.status;
    if ((sent.flags & Flag.EndStream) !== 0) seen.ended = true;
  }
}
