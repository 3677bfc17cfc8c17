// A hand-made client of a GrpcServer over a FakeSocket: sends frames, collects answers. Used by hostile.test and the fuzzer.
import { FrameType, PREFACE } from "../../http2/protocol.ts";
import type { Method, ServerCall } from "../../service/call.ts";
import { GrpcServer, type GrpcServerOptions } from "../server.ts";
import { FakeSocket, type Frame, frame, frames, HeaderReader, ManualClock } from "./wire.ts";

export const MAX_RECEIVE = 100_000;

/** The methods of the tests; `calls` collects those of /t.T/Hold, which answer nothing. */
export function testMethods(calls: ServerCall[] = []): Map<string, Method> {
  return new Map<string, Method>([
    [
      "/t.T/Echo",
      {
        kind: "unary",
        handle(call, bytes) {
          call.sendCopy(bytes);
          call.end();
        },
      },
    ],
    ["/t.T/Hold", { kind: "unary", handle: (call) => calls.push(call) }],
    [
      "/t.T/List",
      {
        kind: "server-stream",
        handle(call, bytes) {
          for (let i = 0; i < bytes.length; i++) call.send(new Uint8Array(bytes[i]! * 100));
          call.end();
        },
      },
    ],
    [
      "/t.T/Chat",
      {
        kind: "bidi",
        open: (call) => ({
          message: (bytes) => call.sendCopy(bytes),
          requestsEnded: () => call.end(),
        }),
      },
    ],
  ]);
}

export class PeerSession {
  readonly clock = new ManualClock();
  readonly socket = new FakeSocket();
  readonly server: GrpcServer;
  readonly headers = new HeaderReader();
  readonly calls: ServerCall[] = [];

  constructor(options: Partial<GrpcServerOptions> = {}) {
    this.server = new GrpcServer({
      methods: testMethods(this.calls),
      clock: this.clock,
      maxReceiveBytes: MAX_RECEIVE,
      maxConcurrentStreams: 0xffffffff,
      pingLimits: { minTimeMs: 5000, permitWithoutStream: false },
      keepaliveIntervalMs: 7_200_000,
      keepaliveTimeoutMs: 20_000,
      onPlainRequest: undefined,
      ...options,
    });
    this.server.accept(this.socket.asSocket, Buffer.alloc(0));
  }

  /** Preface and SETTINGS; the server's own first frames are dropped. */
  greet(): this {
    this.send(Buffer.from(PREFACE, "latin1"), frame(FrameType.Settings, 0, 0));
    this.answers();
    return this;
  }

  send(...parts: readonly Uint8Array[]): void {
    this.socket.emit("data", Buffer.concat(parts));
  }

  /** Ends the turn and takes what the server has written since. */
  answers(): Frame[] {
    for (;;) {
      this.clock.settle();
      if (this.socket.stuck) break;
      const before = this.socket.written.length;
      this.socket.taken();
      this.clock.settle();
      if (this.socket.written.length === before) break;
    }
    const bytes = Buffer.concat(this.socket.written);
    this.socket.written = [];
    return frames(bytes);
  }

  exchange(...parts: readonly Uint8Array[]): Frame[] {
    this.send(...parts);
    return this.answers();
  }
}
