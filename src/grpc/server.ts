// The gRPC server on raw sockets: owns connections, routes, deadlines and keepalive, and flushes every connection once per
// turn. main makes one per set of client listeners and gives it sockets that speak HTTP/2 (see src/node/listener). It knows
// nothing of what calls mean: that is the MethodTable's.
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { millis } from "../base/brand.ts";
import type { Code } from "../base/errors.ts";
import { Connection, type ConnectionHost } from "../http2/connection.ts";
import { PONG_WAIT_MS, SWEEP_MS } from "../http2/limits.ts";
import { SlabPool } from "../http2/output.ts";
import type { PingLimits } from "../http2/ping-policy.ts";
import type { RequestHead } from "../http2/request-head.ts";
import type { Stream } from "../http2/stream.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { MethodTable } from "../service/call.ts";
import { type CallHost, GrpcCall } from "./call.ts";
import { DeadlineWheel } from "./deadline-wheel.ts";
import { writeTrailersOnly } from "./header-blocks.ts";
import { Peer } from "./peer.ts";
import { type PlainHandler, PlainRequest } from "./plain-request.ts";
import { type Plan, planRequest, type Routes, routesOf } from "./plan.ts";
import { type ClientRequests, type MethodStatsSource, TransportStats, uncounted } from "./stats.ts";
import { DEADLINE_EXCEEDED } from "./status.ts";

export type GrpcServerOptions = {
  readonly methods: MethodTable;
  readonly clock: Pick<Clock, "now" | "after" | "endOfTurn">;
  /** etcd: max-request-bytes + 512 KiB. */
  readonly maxReceiveBytes: number;
  /** etcd: max-concurrent-streams; 4294967295 for no limit. */
  readonly maxConcurrentStreams: number;
  /** The counters of each method; absent: nobody counts. */
  readonly methodStats?: MethodStatsSource;
  /** Requests by the version that clients say they speak; absent: nobody counts. */
  readonly clientRequests?: ClientRequests | undefined;
  /** etcd: grpc-keepalive-min-time, and no pings without a stream. Undefined: pings are not enforced. */
  readonly pingLimits: PingLimits | undefined;
  /**
   * False where etcd serves gRPC through Go's HTTP server, which enforces nothing: TLS listeners that share their port with the
   * HTTP mux. Absent: enforced everywhere.
   */
  readonly enforcePingsOverTls?: boolean;
  /** etcd: grpc-keepalive-interval and -timeout; interval 0 sends no pings. */
  readonly keepaliveIntervalMs: number;
  readonly keepaliveTimeoutMs: number;
  /** Requests that are not gRPC, on TLS connections. Undefined: they get 415, as on plain ones. */
  readonly onPlainRequest: PlainHandler | undefined;
  /** Gives requests on plain-text connections to onPlainRequest too: who answers them there decides. */
  readonly plainRequestsWithoutTls?: boolean;
  /** Told of unary calls that took longer (etcd: warning-unary-request-duration). Absent: of none. */
  readonly slowUnaryMillis?: number;
  readonly onSlowUnary?: (call: GrpcCall, millis: number) => void;
  /**
   * Whether a few callers wait whose answers come with the next flush of the log. Acknowledgements of pings then wait with them, at most
   * PONG_WAIT_MS. Absent: they never wait.
   */
  readonly answersSoon?: () => boolean;
  /** Called at each call's end, with its code: for histograms. Undefined costs nothing. */
  readonly onHandled?: (call: GrpcCall, code: Code) => void;
};

export class GrpcServer implements ConnectionHost, CallHost {
  readonly stats = new TransportStats();
  readonly slabs = new SlabPool();
  readonly deadlines: DeadlineWheel;
  readonly maxConcurrentStreams: number;
  readonly maxReceiveBytes: number;
  readonly now: () => number;
  readonly onHandled: ((call: GrpcCall, code: Code) => void) | undefined;
  readonly slowUnaryMillis: number;

  readonly #options: GrpcServerOptions;
  readonly #routes: Routes;
  readonly #connections = new Set<Connection>();
  /** Below zero: not read in this turn. */
  #turnMillis = -1;
  #dirty: Connection[] = [];
  #flushing: Connection[] = [];
  /** Armed while nothing but acknowledgements of pings waits. */
  #pongTimer: Timer | undefined = undefined;
  #flushAsked = false;
  #sweepTimer: Timer | undefined = undefined;
  #onDrained: (() => void) | undefined = undefined;
  #stopped = false;

  constructor(options: GrpcServerOptions) {
    this.#options = options;
    this.#routes = routesOf(options.methods, options.methodStats ?? uncounted, options.clientRequests);
    this.deadlines = new DeadlineWheel(options.clock);
    this.maxConcurrentStreams = options.maxConcurrentStreams;
    this.maxReceiveBytes = options.maxReceiveBytes;
    this.onHandled = options.onHandled;
    this.slowUnaryMillis = options.slowUnaryMillis ?? Number.POSITIVE_INFINITY;
    this.now = () => options.clock.now();
  }

  turnNow(): number {
    if (this.#turnMillis < 0) {
      this.#turnMillis = this.now();
      this.#options.clock.endOfTurn(this.#forgetTime);
    }
    return this.#turnMillis;
  }

  readonly #forgetTime = (): void => {
    this.#turnMillis = -1;
  };

  slowUnary(call: GrpcCall, millis: number): void {
    this.#options.onSlowUnary?.(call, millis);
  }

  /** Takes a socket that speaks HTTP/2. `head`: what was already read from it. */
  accept(socket: Socket, head: Buffer): void {
    if (this.#stopped || this.#onDrained !== undefined) {
      socket.destroy();
      return;
    }
    const connection = new Connection(socket, this);
    connection.peer = new Peer(socket);
    this.#connections.add(connection);
    this.stats.connections++;
    if (this.#sweepTimer === undefined) this.#armSweep();
    connection.start(head);
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  describe(): string {
    const lines = [`grpc server: ${this.#connections.size} connections, ${this.deadlines.size} deadlines`];
    for (const connection of this.#connections) lines.push(`  ${connection.describe()}`);
    return lines.join("\n");
  }

  // ── ConnectionHost ──

  pingLimitsOf(socket: Socket): PingLimits | undefined {
    const exempt = this.#options.enforcePingsOverTls === false && socket instanceof TLSSocket;
    return exempt ? undefined : this.#options.pingLimits;
  }

  open(connection: Connection, stream: Stream, head: RequestHead, last: boolean): void {
    let plan = head.route as Plan | undefined;
    if (plan === undefined) {
      plan = planRequest(head, this.#routes);
      head.route = plan;
    }
    const route = plan.route;
    if (route === undefined) {
      this.#refuse(connection, stream, head, plan, last);
      return;
    }
    plan.requests?.add(1);
    let deadline = Number.POSITIVE_INFINITY;
    if (plan.timeoutMs !== Number.POSITIVE_INFINITY) {
      if (plan.timeoutMs <= 0) {
        writeTrailersOnly(connection, stream.id, DEADLINE_EXCEEDED, 200);
        connection.ended(stream);
        return;
      }
      deadline = this.now() + plan.timeoutMs;
    }
    const call = new GrpcCall(this, connection, stream, head, plan, route, deadline);
    stream.owner = call;
    call.begin(last);
  }

  #refuse(connection: Connection, stream: Stream, head: RequestHead, plan: Plan, last: boolean): void {
    const handler = this.#options.onPlainRequest;
    if (plan.plain && handler !== undefined) {
      if ((connection.peer as Peer).secure || this.#options.plainRequestsWithoutTls === true) {
        const request = new PlainRequest(connection, stream, head, handler);
        stream.owner = request;
        request.begin(last);
        return;
      }
    }
    writeTrailersOnly(connection, stream.id, plan.error!, plan.httpStatus);
    connection.ended(stream);
  }

  wantsFlush(connection: Connection): void {
    if (!connection.awaitsFlush) {
      connection.awaitsFlush = true;
      this.#dirty.push(connection);
    }
    if (this.#flushAsked) return;
    this.#flushAsked = true;
    this.#options.clock.endOfTurn(this.#endOfTurn);
  }

  readonly #endOfTurn = (): void => {
    this.#flushAsked = false;
    if (this.#options.answersSoon?.() === true) this.#flushUrgent();
    else this.flush();
  };

  readonly #onPongTimer = (): void => {
    this.#pongTimer = undefined;
    this.flush();
  };

  /** Every write wakes the peer. One for a ping alone would do so for nothing while the answer is on its way. */
  #flushUrgent(): void {
    const dirty = this.#dirty;
    this.#dirty = this.#flushing;
    this.#flushing = dirty;
    for (let i = 0; i < dirty.length; i++) {
      const connection = dirty[i]!;
      if (connection.sender.urgent) this.#flushOne(connection);
      else this.#dirty.push(connection);
    }
    dirty.length = 0;
    if (this.#dirty.length > 0 && this.#pongTimer === undefined)
      this.#pongTimer = this.#options.clock.after(millis(PONG_WAIT_MS), this.#onPongTimer);
  }

  #flushOne(connection: Connection): void {
    connection.awaitsFlush = false;
    connection.sender.flush();
  }

  /** Writes everything that is ready, now: after a batch was applied, sooner than the end of the turn. */
  flush(): void {
    const dirty = this.#dirty;
    if (dirty.length === 0) return;
    this.#dirty = this.#flushing;
    this.#flushing = dirty;
    for (let i = 0; i < dirty.length; i++) this.#flushOne(dirty[i]!);
    dirty.length = 0;
  }

  closed(connection: Connection): void {
    this.#connections.delete(connection);
    if (this.#connections.size > 0) return;
    this.#sweepTimer?.cancel();
    this.#sweepTimer = undefined;
    this.#onDrained?.();
  }

  countSent(bytes: number): void {
    this.stats.bytesSent += bytes;
  }

  countReceived(bytes: number): void {
    this.stats.bytesReceived += bytes;
  }

  #armSweep(): void {
    this.#sweepTimer = this.#options.clock.after(millis(SWEEP_MS), () => {
      const now = this.now();
      const { keepaliveIntervalMs, keepaliveTimeoutMs } = this.#options;
      for (const connection of this.#connections)
        connection.sweep(now, keepaliveIntervalMs, keepaliveTimeoutMs);
      if (this.#connections.size > 0) this.#armSweep();
      else this.#sweepTimer = undefined;
    });
  }

  /** GOAWAY to all; resolves when the last connection has ended. Calls that still run after `timeoutMs` are cut off. */
  drain(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#options.clock.after(millis(timeoutMs), () => this.destroy());
      this.#onDrained = () => {
        timer.cancel();
        this.#onDrained = undefined;
        this.#stopped = true;
        this.deadlines.stop();
        resolve();
      };
      if (this.#connections.size === 0) this.#onDrained();
      else for (const connection of this.#connections) connection.drain();
    });
  }

  /**
   * GOAWAY to all that are connected: their clients open new calls elsewhere, or on a new connection; calls that run go on until they
   * end by themselves. New connections are taken as ever.
   */
  sendAway(): void {
    for (const connection of this.#connections) connection.drain();
  }

  /** Cuts every connection at once. */
  destroy(): void {
    this.#stopped = true;
    for (const connection of [...this.#connections]) connection.destroy();
    this.deadlines.stop();
  }
}
