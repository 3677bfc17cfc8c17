// The server's side of one HTTP/2 connection: takes frames, keeps the streams' states by RFC 9113, and hands requests to its
// host. Made by src/grpc/server for each h2 socket. Every violation has a defined answer (stream reset or GOAWAY), every flood
// a bound (limits.ts). One write per turn: everything that is to go out goes through the sender.
import type { Socket } from "node:net";
import { IdTable } from "../base/id-table.ts";
import { FrameReader, type FrameSink } from "./frame-reader.ts";
import { HeaderIntake } from "./header-intake.ts";
import { Keepalive } from "./keepalive.ts";
import {
  ASSEMBLY_BYTES_MAX,
  CLOSE_LINGER_MS,
  CONNECTION_WINDOW_BYTES,
  HEADER_LIST_BYTES_MAX,
  IDLE_FRAMES_BURST,
  IDLE_FRAMES_PER_SECOND,
  PREFACE_TIMEOUT_MS,
  QUEUED_BYTES_MAX,
  QUEUED_BYTES_REFUSE,
  RECENT_RESETS_KEPT,
  RESETS_BURST,
  RESETS_PER_SECOND,
  STREAM_WINDOW_BYTES,
} from "./limits.ts";
import type { SlabPool } from "./output.ts";
import { type PingLimits, PingPolicy } from "./ping-policy.ts";
import {
  ErrorCode,
  Flag,
  FRAME_BYTES,
  FRAME_BYTES_MAX,
  FrameType,
  HEADER_TABLE_BYTES,
  INITIAL_WINDOW_BYTES,
  Setting,
  STREAM_ID_MAX,
  WINDOW_BYTES_MAX,
} from "./protocol.ts";
import type { RequestHead } from "./request-head.ts";
import { Sender, type SenderHost } from "./sender.ts";
import { Stream } from "./stream.ts";
import { TokenBucket } from "./token-bucket.ts";

/** What the connection asks of the server that owns it. */
export interface ConnectionHost {
  readonly slabs: SlabPool;
  readonly maxConcurrentStreams: number;
  readonly now: () => number;
  /** Undefined: pings on this socket are not counted. */
  pingLimitsOf(socket: Socket): PingLimits | undefined;
  /** A request came in: sets stream.owner. `last`: it has no body. */
  open(connection: Connection, stream: Stream, head: RequestHead, last: boolean): void;
  /** Calls connection.sender.flush() at the end of this turn; a little later if that is not urgent. Asked as often as one likes. */
  wantsFlush(connection: Connection): void;
  closed(connection: Connection): void;
  countSent(bytes: number): void;
  countReceived(bytes: number): void;
}

const PING_DATA_KEEPALIVE = Buffer.from("keepaliv", "latin1");
const PING_DATA_DRAIN = Buffer.from("draining", "latin1");
const EMPTY = Buffer.alloc(0);
/** Peers choose their streams' numbers; where these stand in a table they shall not know. */
const PLACES_SEED = Math.floor(Math.random() * 2 ** 32);

/** open → draining (GOAWAY sent, streams go on) → closing (nothing is read any more) → closed. */
type State = "open" | "draining" | "closing" | "closed";

export class Connection implements FrameSink, SenderHost {
  readonly socket: Socket;
  readonly sender: Sender;
  /** How our encoder stands: kept here for the layer above, which writes the header blocks (src/grpc/header-blocks). */
  encoderState = 0;
  /** The peer shrank its table: the next block must begin with a size update. */
  encoderMustShrink = false;
  /** Bytes of half-received messages, counted by the layer above. */
  assemblyBytes = 0;
  /** The host has it on its list of those to flush. */
  awaitsFlush = false;
  /** For the layer above: what it wants to remember about this connection's peer. */
  peer: unknown = undefined;

  readonly #host: ConnectionHost;
  readonly #reader: FrameReader;
  readonly #intake = new HeaderIntake();
  readonly #streams = new IdTable<Stream>(PLACES_SEED);
  readonly #pings: PingPolicy | undefined;
  readonly #resets: TokenBucket;
  readonly #idleFrames: TokenBucket;
  readonly #now: () => number;
  #state: State = "open";
  #lastStreamId = 0;
  #receiveWindow: number = CONNECTION_WINDOW_BYTES;
  #receivedUncredited = 0;
  #settingsSeen = false;
  readonly #recentResets = new Int32Array(RECENT_RESETS_KEPT);
  #recentResetAt = 0;
  readonly #keepalive: Keepalive;
  #closingAt = 0;

  constructor(socket: Socket, host: ConnectionHost) {
    this.socket = socket;
    this.#host = host;
    this.#now = host.now;
    const now = host.now();
    this.#keepalive = new Keepalive(now);
    this.sender = new Sender(socket, this, host.slabs);
    this.#reader = new FrameReader(this);
    const pingLimits = host.pingLimitsOf(socket);
    this.#pings = pingLimits === undefined ? undefined : new PingPolicy(pingLimits);
    this.#resets = new TokenBucket(RESETS_BURST, RESETS_PER_SECOND, now);
    this.#idleFrames = new TokenBucket(IDLE_FRAMES_BURST, IDLE_FRAMES_PER_SECOND, now);
  }

  /** Takes the socket over. `head`: what was already read from it. */
  start(head: Buffer): void {
    const socket = this.socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("end", () => this.destroy());
    socket.on("error", () => this.destroy());
    socket.on("close", () => this.destroy());
    this.#sendSettings();
    if (head.length > 0) this.#read(head);
  }

  get streamCount(): number {
    return this.#streams.size;
  }

  describe(): string {
    return `http2 connection ${this.#state}: ${this.#streams.size} streams, last ${this.#lastStreamId}, backlog ${this.sender.backlog} B, queued ${this.sender.queuedBytes} B`;
  }

  #read(chunk: Buffer): void {
    this.#keepalive.heard = true;
    this.#host.countReceived(chunk.length);
    if (this.#state === "open" || this.#state === "draining") this.#reader.read(chunk);
  }

  #sendSettings(): void {
    const limited = this.#host.maxConcurrentStreams < 0xffffffff;
    const output = this.sender.control(limited ? 18 : 12, FrameType.Settings, 0, 0);
    setting(output, Setting.InitialWindowSize, STREAM_WINDOW_BYTES);
    setting(output, Setting.MaxHeaderListSize, HEADER_LIST_BYTES_MAX);
    if (limited) setting(output, Setting.MaxConcurrentStreams, this.#host.maxConcurrentStreams);
    this.sender.windowUpdate(0, CONNECTION_WINDOW_BYTES - INITIAL_WINDOW_BYTES);
  }

  // ── SenderHost ──

  wantsFlush(): void {
    this.#host.wantsFlush(this);
  }

  sourceFailed(stream: Stream): void {
    this.resetStream(stream, ErrorCode.InternalError);
  }

  countSent(bytes: number): void {
    this.#host.countSent(bytes);
  }

  // ── FrameSink ──

  preface(): void {
    this.#keepalive.heard = true;
  }

  badPreface(): void {
    this.fail(ErrorCode.ProtocolError, "bad preface");
  }

  frameTooLong(_type: number, _streamId: number): void {
    this.fail(ErrorCode.FrameSizeError, "frame too long");
  }

  frame(type: number, flags: number, streamId: number, buffer: Buffer, start: number, end: number): boolean {
    const block = this.#intake.openStreamId;
    if (block !== 0 && (type !== FrameType.Continuation || streamId !== block)) {
      return this.fail(ErrorCode.ProtocolError, "expected CONTINUATION");
    }
    if (!this.#settingsSeen && type !== FrameType.Settings) {
      return this.fail(ErrorCode.ProtocolError, "expected SETTINGS first");
    }
    switch (type) {
      case FrameType.Data:
        return this.#data(flags, streamId, buffer, start, end);
      case FrameType.Headers:
        return this.#headers(flags, streamId, buffer, start, end);
      case FrameType.Priority:
        return this.#priority(streamId, buffer, start, end);
      case FrameType.RstStream:
        return this.#rstStream(streamId, end - start);
      case FrameType.Settings:
        return this.#settings(flags, streamId, buffer, start, end);
      case FrameType.PushPromise:
        return this.fail(ErrorCode.ProtocolError, "PUSH_PROMISE from a client");
      case FrameType.Ping:
        return this.#ping(flags, streamId, buffer, start, end);
      case FrameType.Goaway:
        if (streamId !== 0) return this.fail(ErrorCode.ProtocolError, "GOAWAY on a stream");
        return end - start >= 8 ? this.#idleFrame() : this.fail(ErrorCode.FrameSizeError, "short GOAWAY");
      case FrameType.WindowUpdate:
        return this.#windowUpdate(streamId, buffer, start, end);
      case FrameType.Continuation:
        return this.#continuation(flags, streamId, buffer, start, end);
      default:
        return this.#idleFrame();
    }
  }

  /** A frame that moves nothing: harmless, unless there are masses of them. */
  #idleFrame(): boolean {
    if (this.#idleFrames.take(this.#now)) return true;
    return this.fail(ErrorCode.EnhanceYourCalm, "too_many_frames");
  }

  // ── DATA ──

  #data(flags: number, streamId: number, buffer: Buffer, start: number, end: number): boolean {
    if (streamId === 0) return this.fail(ErrorCode.ProtocolError, "DATA on stream 0");
    const length = end - start;
    let from = start;
    let to = end;
    if ((flags & Flag.Padded) !== 0) {
      const padding = buffer[start]!;
      if (length === 0 || padding >= length) return this.fail(ErrorCode.ProtocolError, "bad padding");
      from++;
      to -= padding;
    }
    if (!this.#takeConnectionWindow(length)) return false;
    const last = (flags & Flag.EndStream) !== 0;
    const stream = this.#streams.get(streamId);
    if (stream === undefined || stream.remoteClosed) return this.#strayData(streamId, stream);
    if (length === 0 && !last && !this.#idleFrame()) return false;
    if (!this.#takeStreamWindow(stream, length, last)) return true;
    if (stream.contentLength >= 0) {
      stream.contentReceived += to - from;
      const over = stream.contentReceived > stream.contentLength;
      if (over || (last && stream.contentReceived < stream.contentLength)) {
        this.resetStream(stream, ErrorCode.ProtocolError);
        return true;
      }
    }
    if (last) stream.remoteClosed = true;
    stream.owner?.data(buffer, from, to, last);
    return this.#state !== "closing" && this.#state !== "closed";
  }

  #takeConnectionWindow(length: number): boolean {
    this.#receiveWindow -= length;
    if (this.#receiveWindow < 0) return this.fail(ErrorCode.FlowControlError, "connection window passed");
    this.#receivedUncredited += length;
    if (this.#receivedUncredited * 2 >= CONNECTION_WINDOW_BYTES) {
      this.sender.windowUpdate(0, this.#receivedUncredited);
      this.#receiveWindow += this.#receivedUncredited;
      this.#receivedUncredited = 0;
    }
    return true;
  }

  #takeStreamWindow(stream: Stream, length: number, last: boolean): boolean {
    stream.receiveWindow -= length;
    if (stream.receiveWindow < 0) {
      this.resetStream(stream, ErrorCode.FlowControlError);
      return false;
    }
    stream.receivedUncredited += length;
    if (stream.receivedUncredited * 2 >= STREAM_WINDOW_BYTES && !last) {
      this.sender.windowUpdate(stream.id, stream.receivedUncredited);
      stream.receiveWindow += stream.receivedUncredited;
      stream.receivedUncredited = 0;
    }
    return true;
  }

  /** DATA for a stream that takes none: dropped quietly when it was under way as we reset the stream. */
  #strayData(streamId: number, stream: Stream | undefined): boolean {
    if (stream !== undefined) {
      this.resetStream(stream, ErrorCode.StreamClosed);
      return this.#idleFrame();
    }
    if (streamId > this.#lastStreamId || (streamId & 1) === 0) {
      return this.fail(ErrorCode.ProtocolError, "DATA on an idle stream");
    }
    if (!this.#recentResets.includes(streamId)) this.sender.resetStream(streamId, ErrorCode.StreamClosed);
    return this.#idleFrame();
  }

  // ── HEADERS ──

  #headers(flags: number, streamId: number, buffer: Buffer, start: number, end: number): boolean {
    if (streamId === 0 || (streamId & 1) === 0) {
      return this.fail(ErrorCode.ProtocolError, "received an illegal stream id");
    }
    let from = start;
    let to = end;
    if ((flags & Flag.Padded) !== 0) {
      if (from >= to) return this.fail(ErrorCode.FrameSizeError, "short HEADERS");
      to -= buffer[from]!;
      from++;
    }
    let selfDependent = false;
    if ((flags & Flag.Priority) !== 0) {
      if (to - from < 5) return this.fail(ErrorCode.ProtocolError, "bad padding");
      selfDependent = (buffer.readUInt32BE(from) & 0x7fffffff) === streamId;
      from += 5;
    }
    if (from > to) return this.fail(ErrorCode.ProtocolError, "bad padding");
    const last = (flags & Flag.EndStream) !== 0;
    if (selfDependent) return this.fail(ErrorCode.ProtocolError, "stream depends on itself");
    if ((flags & Flag.EndHeaders) !== 0) return this.#block(streamId, last, buffer, from, to);
    this.#intake.begin(streamId, last, buffer, from, to);
    return true;
  }

  #continuation(flags: number, streamId: number, buffer: Buffer, start: number, end: number): boolean {
    const intake = this.#intake;
    if (intake.openStreamId === 0) return this.fail(ErrorCode.ProtocolError, "CONTINUATION without HEADERS");
    if (!intake.add(buffer, start, end)) return this.fail(ErrorCode.EnhanceYourCalm, "header block too long");
    if ((flags & Flag.EndHeaders) === 0) return true;
    const block = intake.take();
    return this.#block(streamId, intake.endsStream, block, 0, block.length);
  }

  /** A whole header block: a new request, or the trailers of one. */
  #block(streamId: number, last: boolean, buffer: Buffer, start: number, end: number): boolean {
    const head = this.#intake.decode(buffer, start, end);
    if (head === undefined) return this.fail(ErrorCode.CompressionError, "bad header block");
    if (streamId <= this.#lastStreamId) return this.#trailers(streamId, head, last);
    this.#lastStreamId = streamId;
    if (this.#intake.tooLarge) return this.#refuse(streamId, ErrorCode.EnhanceYourCalm);
    if (head.malformed || !head.complete) return this.#refuse(streamId, ErrorCode.ProtocolError);
    if (last && head.contentLength > 0) return this.#refuse(streamId, ErrorCode.ProtocolError);
    return this.#open(streamId, head, last);
  }

  #open(streamId: number, head: RequestHead, last: boolean): boolean {
    const full = this.#streams.size >= this.#host.maxConcurrentStreams;
    if (full || this.#draining || this.sender.queuedBytes > QUEUED_BYTES_REFUSE) {
      return this.#refuse(streamId, ErrorCode.RefusedStream);
    }
    const stream = new Stream(streamId, this.sender.initialWindow, STREAM_WINDOW_BYTES);
    stream.remoteClosed = last;
    stream.contentLength = head.contentLength;
    this.#streams.set(streamId, stream);
    this.#idleFrames.give(); // for the reset of a stream that has just ended
    this.#host.open(this, stream, head, last);
    return this.#state !== "closing" && this.#state !== "closed";
  }

  /** Our second GOAWAY has named the last stream that we serve. */
  get #draining(): boolean {
    return this.#state === "draining" && this.#closingAt > 0;
  }

  #refuse(streamId: number, code: ErrorCode): boolean {
    this.#rememberReset(streamId);
    this.sender.resetStream(streamId, code);
    return this.#idleFrame();
  }

  #trailers(streamId: number, head: RequestHead, last: boolean): boolean {
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      if (this.#recentResets.includes(streamId)) return this.#idleFrame();
      return this.fail(ErrorCode.StreamClosed, "HEADERS on a closed stream");
    }
    if (stream.remoteClosed) return this.fail(ErrorCode.StreamClosed, "HEADERS after END_STREAM");
    const short = stream.contentLength >= 0 && stream.contentReceived !== stream.contentLength;
    if (!last || head.hasPseudo || head.malformed || short) {
      this.resetStream(stream, ErrorCode.ProtocolError);
      return this.#idleFrame();
    }
    stream.remoteClosed = true;
    stream.owner?.data(EMPTY, 0, 0, true);
    return this.#state !== "closing" && this.#state !== "closed";
  }

  // ── the small frames ──

  #priority(streamId: number, buffer: Buffer, start: number, end: number): boolean {
    if (streamId === 0) return this.fail(ErrorCode.ProtocolError, "PRIORITY on stream 0");
    const bad =
      end - start !== 5
        ? ErrorCode.FrameSizeError
        : (buffer.readUInt32BE(start) & 0x7fffffff) === streamId
          ? ErrorCode.ProtocolError
          : undefined;
    if (bad !== undefined) {
      const stream = this.#streams.get(streamId);
      if (stream === undefined) return this.fail(bad, "bad PRIORITY");
      this.resetStream(stream, bad);
    }
    return this.#idleFrame();
  }

  #rstStream(streamId: number, length: number): boolean {
    if (length !== 4) return this.fail(ErrorCode.FrameSizeError, "RST_STREAM is four bytes");
    if (streamId === 0 || streamId > this.#lastStreamId) {
      return this.fail(ErrorCode.ProtocolError, "RST_STREAM on an idle stream");
    }
    const stream = this.#streams.get(streamId);
    if (stream === undefined) return this.#idleFrame();
    this.#streams.delete(streamId);
    this.#lose(stream);
    this.#closeWhenDrained();
    // Answered to the end: not one of those resets that leave the work to us.
    if (stream.ending) return true;
    if (this.#resets.take(this.#now)) return true;
    return this.fail(ErrorCode.EnhanceYourCalm, "too_many_resets");
  }

  #settings(flags: number, streamId: number, buffer: Buffer, start: number, end: number): boolean {
    if (streamId !== 0) return this.fail(ErrorCode.ProtocolError, "SETTINGS on a stream");
    if ((flags & Flag.Ack) !== 0) {
      if (end !== start) return this.fail(ErrorCode.FrameSizeError, "SETTINGS ack with a payload");
      return this.#idleFrame();
    }
    if ((end - start) % 6 !== 0) return this.fail(ErrorCode.FrameSizeError, "bad SETTINGS length");
    this.#settingsSeen = true;
    for (let at = start; at < end; at += 6) {
      const bad = this.#setting(buffer.readUInt16BE(at), buffer.readUInt32BE(at + 2));
      if (bad !== undefined) return this.fail(bad, "bad setting");
    }
    this.sender.control(0, FrameType.Settings, Flag.Ack, 0);
    return this.#idleFrame();
  }

  #setting(id: number, value: number): ErrorCode | undefined {
    switch (id) {
      case Setting.HeaderTableSize:
        if (value < HEADER_TABLE_BYTES && this.encoderState >= 0) {
          this.encoderState = -1;
          this.encoderMustShrink = true;
        }
        return undefined;
      case Setting.EnablePush:
        return value > 1 ? ErrorCode.ProtocolError : undefined;
      case Setting.InitialWindowSize:
        return this.#initialWindow(value);
      case Setting.MaxFrameSize:
        // We never send more than the smallest maximum.
        return value < FRAME_BYTES || value > FRAME_BYTES_MAX ? ErrorCode.ProtocolError : undefined;
      default:
        return undefined;
    }
  }

  #initialWindow(value: number): ErrorCode | undefined {
    if (value > WINDOW_BYTES_MAX) return ErrorCode.FlowControlError;
    const change = value - this.sender.initialWindow;
    this.sender.initialWindow = value;
    for (const stream of this.#streams.values()) {
      if (!this.sender.creditStream(stream, change)) return ErrorCode.FlowControlError;
    }
    return undefined;
  }

  #ping(flags: number, streamId: number, buffer: Buffer, start: number, end: number): boolean {
    if (streamId !== 0) return this.fail(ErrorCode.ProtocolError, "PING on a stream");
    if (end - start !== 8) return this.fail(ErrorCode.FrameSizeError, "PING is eight bytes");
    if ((flags & Flag.Ack) !== 0) {
      if (this.#state === "draining" && PING_DATA_DRAIN.compare(buffer, start, end) === 0)
        this.#nameLastStream();
      return this.#idleFrame();
    }
    this.sender.pong(buffer, start, end);
    const answered = this.sender.answered;
    this.sender.answered = false;
    if (this.#pings !== undefined && !this.#pings.ping(this.#now(), answered, this.#streams.size)) {
      return this.fail(ErrorCode.EnhanceYourCalm, "too_many_pings");
    }
    // grpc-go measures the way with a ping for every answer that it reads, thousands a second on a busy connection.
    return answered || this.#idleFrame();
  }

  #windowUpdate(streamId: number, buffer: Buffer, start: number, end: number): boolean {
    if (end - start !== 4) return this.fail(ErrorCode.FrameSizeError, "WINDOW_UPDATE is four bytes");
    const bytes = buffer.readUInt32BE(start) & 0x7fffffff;
    if (streamId === 0) {
      if (bytes === 0) return this.fail(ErrorCode.ProtocolError, "WINDOW_UPDATE of 0");
      if (!this.sender.credit(bytes)) return this.fail(ErrorCode.FlowControlError, "window too large");
      return true;
    }
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      if (streamId > this.#lastStreamId)
        return this.fail(ErrorCode.ProtocolError, "WINDOW_UPDATE on an idle stream");
      return this.#idleFrame();
    }
    if (bytes === 0) this.resetStream(stream, ErrorCode.ProtocolError);
    else if (!this.sender.creditStream(stream, bytes)) this.resetStream(stream, ErrorCode.FlowControlError);
    else return true;
    return this.#idleFrame();
  }

  // ── ends ──

  /** The owner has sent END_STREAM. What the client still sends is of no use to anybody. */
  ended(stream: Stream): void {
    stream.localClosed = true;
    if (!stream.remoteClosed) {
      this.#rememberReset(stream.id);
      this.sender.resetStream(stream.id, ErrorCode.NoError);
    }
    this.#streams.delete(stream.id);
    this.#closeWhenDrained();
  }

  /** Resets a stream; its owner, if it has one still, learns of it. */
  resetStream(stream: Stream, code: ErrorCode): void {
    if (this.#streams.delete(stream.id) === undefined) return;
    this.#rememberReset(stream.id);
    this.sender.resetStream(stream.id, code);
    this.#lose(stream);
    this.#closeWhenDrained();
  }

  /** False when the connection holds too many half-received messages: the caller resets its stream. */
  addAssembly(bytes: number): boolean {
    this.assemblyBytes += bytes;
    return this.assemblyBytes <= ASSEMBLY_BYTES_MAX;
  }

  #lose(stream: Stream): void {
    const owner = stream.owner;
    stream.owner = undefined;
    stream.localClosed = true;
    this.sender.discard(stream);
    owner?.reset();
  }

  #rememberReset(streamId: number): void {
    this.#recentResets[this.#recentResetAt] = streamId;
    this.#recentResetAt = (this.#recentResetAt + 1) % RECENT_RESETS_KEPT;
  }

  /** Ends the connection for a fault of the peer's; always false, for the caller to return. */
  fail(code: ErrorCode, reason: string): false {
    if (this.#state === "closing" || this.#state === "closed") return false;
    this.#goaway(this.#lastStreamId, code, reason);
    this.#close();
    return false;
  }

  /** Says goodbye: running streams end in peace, new ones go elsewhere. */
  drain(): void {
    if (this.#state !== "open") return;
    this.#state = "draining";
    this.#goaway(STREAM_ID_MAX, ErrorCode.NoError, "graceful_stop");
    this.sender.control(8, FrameType.Ping, 0, 0).copy(PING_DATA_DRAIN, 0, 8);
  }

  /** All streams that the client opened before it saw the first GOAWAY are here now. */
  #nameLastStream(): void {
    this.#closingAt = this.#now();
    this.#goaway(this.#lastStreamId, ErrorCode.NoError, "");
    this.#closeWhenDrained();
  }

  #closeWhenDrained(): void {
    if (this.#draining && this.#streams.size === 0) this.#close();
  }

  #goaway(lastStreamId: number, code: ErrorCode, reason: string): void {
    const output = this.sender.control(8 + reason.length, FrameType.Goaway, 0, 0);
    output.u32(lastStreamId);
    output.u32(code);
    const debug = Buffer.from(reason, "latin1");
    output.copy(debug, 0, debug.length);
  }

  /** Sends what is ready and our FIN; sweep destroys what lingers. */
  #close(): void {
    this.#state = "closing";
    this.#closingAt = this.#now();
    this.#loseAll();
    this.sender.flush();
    this.socket.end();
  }

  #loseAll(): void {
    const streams = this.#streams.values();
    this.#streams.clear();
    for (const stream of streams) this.#lose(stream);
  }

  /** At once and without a word: the socket is gone, or shall be. */
  destroy(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.sender.stop();
    this.#loseAll();
    this.socket.destroy();
    this.#host.closed(this);
  }

  /** Looks after time limits; called about once a second. `intervalMs` 0: no keepalive pings. */
  sweep(now: number, intervalMs: number, timeoutMs: number): void {
    if (this.#state === "closing") {
      if (now - this.#closingAt >= CLOSE_LINGER_MS) this.destroy();
      return;
    }
    if (!this.#reader.started) {
      if (this.#keepalive.silence(now) >= PREFACE_TIMEOUT_MS) this.destroy();
      return;
    }
    if (this.sender.queuedBytes > QUEUED_BYTES_MAX) {
      this.fail(ErrorCode.EnhanceYourCalm, "too many bytes wait");
      return;
    }
    const verdict = this.#keepalive.sweep(now, intervalMs, timeoutMs);
    if (verdict === "dead") this.destroy();
    else if (verdict === "ping") {
      this.sender.control(8, FrameType.Ping, 0, 0).copy(PING_DATA_KEEPALIVE, 0, 8);
    }
  }
}

function setting(output: { u8(v: number): void; u32(v: number): void }, id: number, value: number): void {
  output.u8(0);
  output.u8(id);
  output.u32(value);
}
