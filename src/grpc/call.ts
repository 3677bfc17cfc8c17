// One gRPC call on one HTTP/2 stream: cuts messages out of DATA, hands them to the method, and sends what the method answers.
// The hot path of the server: no closures, no promises, no timers; every field is always there. Made by server.ts; the method
// behind it sees it as ServerCall.
import { gunzipSync } from "node:zlib";
import { Code, type EtcdError, etcdError } from "../base/errors.ts";
import type { Connection } from "../http2/connection.ts";
import { ErrorCode } from "../http2/protocol.ts";
import type { RequestHead } from "../http2/request-head.ts";
import type { Stream, StreamOwner } from "../http2/stream.ts";
import type { BidiMethod, MessageSource, RequestStream, ServerCall, UnaryMethod } from "../service/call.ts";
import type { Deadlined, DeadlineWheel } from "./deadline-wheel.ts";
import { writeResponseHeaders, writeTrailers, writeTrailersOk, writeTrailersOnly } from "./header-blocks.ts";
import { MessageReader, PREFIX_BYTES } from "./message-reader.ts";
import type { Peer } from "./peer.ts";
import type { Plan, Route } from "./plan.ts";
import { CANCELED, DEADLINE_EXCEEDED, messageTooLarge } from "./status.ts";

/** What all calls of a server share. */
export interface CallHost {
  readonly maxReceiveBytes: number;
  readonly deadlines: DeadlineWheel;
  /** Milliseconds on the clock. */
  readonly now: () => number;
  /** The same, read once in a turn of the event loop. */
  turnNow(): number;
  /** Unary calls that take longer are told of. */
  readonly slowUnaryMillis: number;
  slowUnary(call: GrpcCall, millis: number): void;
  /** Told of each end, or undefined: nobody listens. */
  readonly onHandled: ((call: GrpcCall, code: Code) => void) | undefined;
}

const EMPTY = new Uint8Array(0);
const internal = (text: string): EtcdError => etcdError(Code.Internal, text);
const MANY_REQUESTS = internal(
  "cardinality violation: received multiple request messages for non-client-streaming RPC",
);
const NO_REQUEST = internal(
  "cardinality violation: received no request message from non-client-streaming RPC",
);
const FLAG_WITHOUT_ENCODING = internal("grpc: compressed flag set with identity or empty encoding");

export class GrpcCall implements ServerCall, StreamOwner, Deadlined {
  readonly route: Route;
  /** Bytes of the messages in and out, for the line about a slow call. */
  requestBytes = 0;
  responseBytes = 0;
  #startedMillis = 0;
  readonly #host: CallHost;
  readonly #connection: Connection;
  readonly #stream: Stream;
  readonly #head: RequestHead;
  readonly #gzip: boolean;

  deadline: number;
  wheelSlot = -1;
  wheelNext: Deadlined | undefined = undefined;
  wheelPrevious: Deadlined | undefined = undefined;

  done = false;
  onDrain: (() => void) | undefined = undefined;
  onCancel: ((reason: EtcdError) => void) | undefined = undefined;

  /** The method has ended the call; its status is `#status`, or OK. */
  #ended = false;
  #status: EtcdError | undefined = undefined;
  #requests: RequestStream | undefined = undefined;
  #reader: MessageReader | undefined = undefined;
  #assembled = 0;
  /** A whole request that waits for the client's half-close. */
  #request: Uint8Array | undefined = undefined;
  #dispatched = false;

  constructor(
    host: CallHost,
    connection: Connection,
    stream: Stream,
    head: RequestHead,
    plan: Plan,
    route: Route,
    deadline: number,
  ) {
    this.#host = host;
    this.#connection = connection;
    this.#stream = stream;
    this.#head = head;
    this.#gzip = plan.gzip;
    this.route = route;
    this.deadline = deadline;
  }

  /** Called once, when the stream stands behind this call. `last`: the client sends nothing more. */
  begin(last: boolean): void {
    const { stats } = this.route;
    stats.started.add(1);
    this.#startedMillis = stats.seconds === undefined ? this.#host.turnNow() : this.#host.now();
    if (this.deadline !== Number.POSITIVE_INFINITY) this.#host.deadlines.add(this);
    if (this.route.bidi) this.#requests = (this.route.method as BidiMethod).open(this);
    if (last) this.#requestsEnded();
  }

  // ── ServerCall: what the method may ask ──

  metadata(name: string): string | undefined {
    const value = this.#head.value(name);
    if (value === undefined || !name.endsWith("-bin")) return value;
    return Buffer.from(value, "base64").toString("latin1");
  }

  get remoteAddress(): string {
    return (this.#connection.peer as Peer).remoteAddress;
  }

  get commonName(): string | undefined {
    return (this.#connection.peer as Peer).commonName;
  }

  get bufferedBytes(): number {
    return this.#stream.queuedBytes;
  }

  get unsentBytes(): number {
    return this.#stream.queuedBytes + this.#connection.sender.backlog;
  }

  // ── requests coming in (StreamOwner) ──

  data(buffer: Buffer, start: number, end: number, last: boolean): void {
    let at = start;
    if (this.#reader?.pending === true) {
      at = this.#feed(buffer, at, end);
      if (at < 0) return;
    }
    while (end - at >= PREFIX_BYTES && !this.#finished) {
      const length = buffer.readUInt32BE(at + 1);
      if (length > this.#host.maxReceiveBytes) {
        this.#refuse(messageTooLarge(length, this.#host.maxReceiveBytes));
        return;
      }
      const next = at + PREFIX_BYTES + length;
      if (next > end) break;
      this.#message(buffer[at]!, buffer.subarray(at + PREFIX_BYTES, next), last && next === end);
      at = next;
    }
    if (this.#finished) return;
    if (at < end) {
      if (this.#reader === undefined) this.#reader = new MessageReader();
      if (this.#feed(buffer, at, end) < 0) return;
    }
    if (last) this.#requestsEnded();
  }

  /** The method has answered, or the call is gone: what still comes in is of no use. */
  get #finished(): boolean {
    return this.done || this.#ended;
  }

  /** Goes on with a message in pieces; returns where it ends, or -1 when the call was refused. */
  #feed(buffer: Buffer, start: number, end: number): number {
    const reader = this.#reader!;
    let at = reader.length < 0 ? reader.feedPrefix(buffer, start, end) : start;
    if (reader.length > this.#host.maxReceiveBytes) {
      this.#refuse(messageTooLarge(reader.length, this.#host.maxReceiveBytes));
      return -1;
    }
    if (reader.length < 0) return at;
    at = reader.feedBody(buffer, at, end);
    if (!this.#account(reader.held)) return -1;
    if (!reader.complete) return at;
    const flag = reader.flag;
    const message = reader.take();
    this.#account(0);
    this.#message(flag, message, false);
    return this.#finished ? -1 : at;
  }

  /** Tells the connection how much this call holds; false when that was too much and the stream is reset. */
  #account(bytes: number): boolean {
    const change = bytes - this.#assembled;
    if (change === 0) return true;
    this.#assembled = bytes;
    if (this.#connection.addAssembly(change) || change < 0) return true;
    this.#connection.resetStream(this.#stream, ErrorCode.EnhanceYourCalm);
    return false;
  }

  /** `final`: the client half-closed with this message, so that it may be handled while it is a view of the socket's buffer. */
  #message(flag: number, bytes: Uint8Array, final: boolean): void {
    const message = flag === 0 ? bytes : this.#decompress(flag, bytes);
    if (message === undefined) return;
    this.route.stats.received.add(1);
    this.requestBytes += message.length;
    if (this.#requests !== undefined) {
      this.#requests.message(message);
    } else if (this.#dispatched || this.#request !== undefined) {
      // grpc-go reads a unary call's first message only, and counts those of a server stream.
      if (this.route.method.kind === "server-stream") this.#refuse(MANY_REQUESTS);
    } else if (final) {
      this.#dispatched = true;
      (this.route.method as UnaryMethod).handle(this, message);
    } else {
      this.#request = Uint8Array.prototype.slice.call(message);
    }
  }

  #decompress(flag: number, bytes: Uint8Array): Uint8Array | undefined {
    const max = this.#host.maxReceiveBytes;
    if (flag !== 1) {
      this.#refuse(internal(`grpc: received unexpected payload format ${flag}`));
    } else if (!this.#gzip) {
      this.#refuse(FLAG_WITHOUT_ENCODING);
    } else {
      try {
        return gunzipSync(bytes, { maxOutputLength: Math.max(max, 1) });
      } catch (error) {
        this.#refuse(gunzipFailed(error, max));
      }
    }
    return undefined;
  }

  #requestsEnded(): void {
    if (this.#reader?.pending === true) {
      const code = this.route.method.kind === "unary" ? Code.Unknown : Code.Internal;
      this.#refuse(etcdError(code, "unexpected EOF"));
    } else if (this.#requests !== undefined) {
      this.#requests.requestsEnded();
    } else if (this.#request !== undefined) {
      const request = this.#request;
      this.#request = undefined;
      this.#dispatched = true;
      (this.route.method as UnaryMethod).handle(this, request);
    } else if (!this.#dispatched) {
      const unary = this.route.method.kind === "unary";
      this.#refuse(unary ? etcdError(Code.Unknown, "EOF") : NO_REQUEST);
    }
  }

  /** An error that the transport found: the method, if it runs already, is told that the call is over. */
  #refuse(error: EtcdError): void {
    if (this.#finished) return;
    const told = this.#requests !== undefined || this.#dispatched ? this.onCancel : undefined;
    this.#connection.sender.discard(this.#stream);
    this.fail(error);
    this.done = true;
    told?.(CANCELED);
  }

  // ── answers going out ──

  #begin(length: number): boolean {
    const stream = this.#stream;
    this.route.stats.sent.add(1);
    this.responseBytes += length;
    if (!stream.headersSent) {
      stream.headersSent = true;
      writeResponseHeaders(this.#connection, stream.id);
    }
    const sender = this.#connection.sender;
    if (!sender.openData(stream, PREFIX_BYTES + length)) {
      sender.enqueue(stream, prefixOf(length));
      return false;
    }
    sender.output.u8(0);
    sender.output.u32(length);
    return true;
  }

  send(message: Uint8Array): void {
    if (this.#finished) return;
    const sender = this.#connection.sender;
    if (this.#begin(message.length)) sender.output.put(message, 0, message.length);
    else sender.enqueue(this.#stream, message);
  }

  sendCopy(message: Uint8Array): void {
    if (this.#finished) return;
    const sender = this.#connection.sender;
    if (this.#begin(message.length)) sender.output.copy(message, 0, message.length);
    else sender.enqueue(this.#stream, Uint8Array.prototype.slice.call(message));
  }

  sendShared(head: Uint8Array, tail: Uint8Array): void {
    if (this.#finished) return;
    const sender = this.#connection.sender;
    if (this.#begin(head.length + tail.length)) {
      sender.output.copy(head, 0, head.length);
      sender.output.put(tail, 0, tail.length);
    } else {
      sender.enqueue(this.#stream, Uint8Array.prototype.slice.call(head));
      sender.enqueue(this.#stream, tail);
    }
  }

  sendFrom(source: MessageSource): void {
    if (this.#finished) {
      source.release();
    } else if (source.totalBytes === 0) {
      this.send(EMPTY);
      source.release();
    } else {
      const stream = this.#stream;
      this.route.stats.sent.add(1);
      this.responseBytes += source.totalBytes;
      if (!stream.headersSent) {
        stream.headersSent = true;
        writeResponseHeaders(this.#connection, stream.id);
      }
      this.#connection.sender.enqueue(stream, prefixOf(source.totalBytes));
      this.#connection.sender.enqueueSource(stream, source);
    }
  }

  end(): void {
    if (this.#finished) return;
    this.#ended = true;
    if (this.route.bidi) this.#connection.sender.endWithFlush(this.#stream);
    else this.#connection.sender.endAfterQueue(this.#stream);
  }

  fail(error: EtcdError): void {
    if (this.#finished) return;
    this.#ended = true;
    this.#status = error;
    this.#connection.sender.endAfterQueue(this.#stream);
  }

  writeEnd(): void {
    const stream = this.#stream;
    const status = this.#status;
    if (status === undefined) {
      if (!stream.headersSent) writeResponseHeaders(this.#connection, stream.id);
      writeTrailersOk(this.#connection, stream.id);
    } else if (stream.headersSent) {
      writeTrailers(this.#connection, stream.id, status);
    } else {
      writeTrailersOnly(this.#connection, stream.id, status, 200);
    }
    this.#finish(status === undefined ? Code.OK : status.code);
    stream.owner = undefined;
    this.#connection.ended(stream);
  }

  /** The call is over, this way or another: counted once. */
  #finish(code: Code): void {
    this.done = true;
    if (this.wheelSlot >= 0) this.#host.deadlines.remove(this);
    if (this.#assembled > 0) this.#account(0);
    this.#reader = undefined;
    this.#request = undefined;
    this.#countEnd(code);
    this.#time();
    if (this.#host.onHandled !== undefined) this.#host.onHandled(this, code);
  }

  /** As etcd's interceptors: a handler that ends with an error counts as one reply, a stream's last, failing receive as one message. */
  #countEnd(code: Code): void {
    const { bidi, method, stats } = this.route;
    if (bidi) stats.received.add(1);
    else if (method.kind === "unary" && code !== Code.OK) stats.sent.add(1);
    stats.handled[code]!.add(1);
  }

  #time(): void {
    const host = this.#host;
    const { method, stats } = this.route;
    if (stats.seconds !== undefined) stats.seconds.observe((host.now() - this.#startedMillis) / 1000);
    if (method.kind !== "unary") return;
    const millis = host.turnNow() - this.#startedMillis;
    if (millis > host.slowUnaryMillis) host.slowUnary(this, millis);
  }

  // ── ends that others make ──

  reset(): void {
    this.#stop(CANCELED);
  }

  deadlinePassed(): void {
    const stream = this.#stream;
    this.#connection.sender.discard(stream);
    if (!this.#ended) {
      // A client whose clock runs behind ours learns the true reason from trailers, not from a reset.
      if (stream.headersSent) writeTrailers(this.#connection, stream.id, DEADLINE_EXCEEDED);
      else writeTrailersOnly(this.#connection, stream.id, DEADLINE_EXCEEDED, 200);
      stream.owner = undefined;
      this.#connection.ended(stream);
      this.#stop(DEADLINE_EXCEEDED);
    } else {
      this.#connection.resetStream(stream, ErrorCode.Cancel);
    }
  }

  #stop(reason: EtcdError): void {
    const told = this.#ended ? undefined : this.onCancel;
    this.#finish(this.#ended ? (this.#status?.code ?? Code.OK) : reason.code);
    told?.(reason);
  }

  drained(): void {
    this.onDrain?.();
  }
}

function prefixOf(length: number): Uint8Array {
  return Uint8Array.of(0, length >>> 24, length >>> 16, length >>> 8, length);
}

function gunzipFailed(error: unknown, max: number): EtcdError {
  const code = (error as { code?: unknown }).code;
  if (code === "ERR_BUFFER_TOO_LARGE") {
    const text = `grpc: received message after decompression larger than max ${max}`;
    return etcdError(Code.ResourceExhausted, text);
  }
  if (code === "Z_DATA_ERROR" && (error as Error).message === "incorrect header check") {
    return internal("grpc: failed to decompress the message: gzip: invalid header");
  }
  return internal("grpc: failed to read decompressed data: unexpected EOF");
}
