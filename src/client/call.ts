// One gRPC call on an HTTP/2 session of node:http2: message frames both ways, status from trailers, deadline, cancellation.
// Everything the client does goes through here; nothing here knows etcd.
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from "node:http2";
import { constants } from "node:http2";
import { Code } from "../base/errors.ts";
import type { Connection } from "./connection.ts";
import { canceled, deadlineExceeded, RpcError } from "./errors.ts";

export type Metadata = Readonly<Record<string, string>>;

export type CallSettings = {
  readonly path: string;
  readonly metadata: Metadata;
  /** Date.now milliseconds, or Infinity. */
  readonly deadline: number;
  readonly signal: AbortSignal | undefined;
  readonly receiveBytesMax: number;
  readonly sendBytesMax: number;
};

export interface CallListener {
  /** The bytes belong to the listener. */
  onMessage(message: Uint8Array): void;
  /** Once, last: undefined when the call ended well. */
  onEnd(error: RpcError | undefined): void;
}

const PREFIX_BYTES = 5;
const USER_AGENT = "cairn-client/0.1";

/** The largest value a grpc-timeout may carry has eight digits. */
function timeoutHeader(millis: number): string {
  const rounded = Math.max(1, Math.ceil(millis));
  return rounded < 1e8 ? `${rounded}m` : `${Math.ceil(rounded / 1000)}S`;
}

export class Call {
  readonly #connection: Connection;
  readonly #settings: CallSettings;
  readonly #listener: CallListener;
  readonly #session: ClientHttp2Session;
  readonly #stream: ClientHttp2Stream;
  readonly #frames: FrameReader;
  #timer: NodeJS.Timeout | undefined;
  #headers: IncomingHttpHeaders = {};
  #trailers: IncomingHttpHeaders | undefined;
  #ended = false;
  readonly #abort = (): void => this.#finish(canceled(), true);

  constructor(connection: Connection, settings: CallSettings, listener: CallListener) {
    this.#connection = connection;
    this.#settings = settings;
    this.#listener = listener;
    this.#frames = new FrameReader(settings.receiveBytesMax);
    const timed = Number.isFinite(settings.deadline);
    const left = settings.deadline - Date.now();
    this.#session = connection.session!;
    this.#stream = this.#session.request({
      ":method": "POST",
      ":path": settings.path,
      ":authority": connection.authority,
      "content-type": "application/grpc",
      "user-agent": USER_AGENT,
      te: "trailers",
      ...(timed ? { "grpc-timeout": timeoutHeader(left) } : {}),
      ...settings.metadata,
    });
    connection.hold();
    if (timed) this.#timer = setTimeout(() => this.#finish(deadlineExceeded(), true), Math.max(0, left));
    settings.signal?.addEventListener("abort", this.#abort);
    this.#listen();
  }

  #listen(): void {
    const stream = this.#stream;
    stream.on("response", (headers) => {
      this.#headers = headers;
    });
    stream.on("trailers", (trailers) => {
      this.#trailers = trailers;
    });
    stream.on("data", (chunk: Buffer) => this.#data(chunk));
    stream.on("end", () => {
      if (this.#trailers !== undefined || this.#headers["grpc-status"] !== undefined)
        this.#finish(this.#status(), false);
    });
    stream.on("error", () => {});
    stream.on("close", () => this.#finish(this.#lost(), false));
  }

  #data(chunk: Buffer): void {
    const error = this.#frames.push(chunk, (message) => {
      if (!this.#ended) this.#listener.onMessage(message);
    });
    if (error !== undefined) this.#finish(error, true);
  }

  /** The status that came in the trailers, or in the only headers there were. */
  #status(): RpcError | undefined {
    const source = this.#trailers ?? this.#headers;
    const status = source["grpc-status"];
    if (typeof status === "string") {
      const code = Number(status);
      if (code === Code.OK) return undefined;
      return new RpcError(code, decodeGrpcMessage(String(source["grpc-message"] ?? "")));
    }
    const http = Number(this.#headers[":status"] ?? 200);
    if (http !== 200) {
      return new RpcError(httpCode(http), `unexpected HTTP status code received from server: ${http}`);
    }
    return new RpcError(Code.Internal, "server closed the stream without sending trailers");
  }

  /** The stream is gone without its end. */
  #lost(): RpcError | undefined {
    if (this.#trailers !== undefined) return this.#status();
    if (this.#session.destroyed || this.#session.closed) {
      return new RpcError(Code.Unavailable, "error reading from server: EOF");
    }
    const code = this.#stream.rstCode ?? constants.NGHTTP2_NO_ERROR;
    if (code === constants.NGHTTP2_NO_ERROR) return this.#status();
    const name = RESET_NAMES[code] ?? String(code);
    return new RpcError(resetCode(code), `stream terminated by RST_STREAM with error code: ${name}`);
  }

  #finish(error: RpcError | undefined, reset: boolean): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#settings.signal?.removeEventListener("abort", this.#abort);
    this.#connection.drop();
    if (reset) this.#stream.close(constants.NGHTTP2_CANCEL);
    this.#listener.onEnd(error);
  }

  /** Sends a message. Returns false when the transport wants a pause. */
  send(message: Uint8Array): boolean {
    if (this.#ended || this.#stream.destroyed) return true;
    const { sendBytesMax } = this.#settings;
    if (message.length > sendBytesMax) {
      const text = `trying to send message larger than max (${message.length} vs. ${sendBytesMax})`;
      this.#finish(new RpcError(Code.ResourceExhausted, text), true);
      return true;
    }
    const frame = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
    frame[0] = 0;
    frame.writeUInt32BE(message.length, 1);
    frame.set(message, PREFIX_BYTES);
    return this.#stream.write(frame);
  }

  /** No more messages will be sent. */
  endRequests(): void {
    if (!this.#ended && !this.#stream.destroyed) this.#stream.end();
  }

  /** Ends the call at once; the listener hears "context canceled". */
  cancel(): void {
    this.#finish(canceled(), true);
  }

  /** Stops and restarts the flow of messages, and by it the server's. */
  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }
}

/** Puts message frames together from chunks. A message inside one chunk is a view of it. */
class FrameReader {
  readonly #bytesMax: number;
  #parts: Buffer[] = [];
  #held = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  push(chunk: Buffer, deliver: (message: Uint8Array) => void): RpcError | undefined {
    this.#parts.push(chunk);
    this.#held += chunk.length;
    while (this.#held >= PREFIX_BYTES) {
      if (this.#parts[0]!.length < PREFIX_BYTES) this.#parts = [Buffer.concat(this.#parts)];
      const first = this.#parts[0]!;
      const length = first.readUInt32BE(1);
      if (length > this.#bytesMax) {
        const text = `grpc: received message larger than max (${length} vs. ${this.#bytesMax})`;
        return new RpcError(Code.ResourceExhausted, text);
      }
      if (first[0] !== 0)
        return new RpcError(Code.Internal, "grpc: compressed flag set with identity or empty encoding");
      if (this.#held < PREFIX_BYTES + length) return undefined;
      const whole = this.#parts.length === 1 ? first : Buffer.concat(this.#parts);
      const rest = whole.subarray(PREFIX_BYTES + length);
      this.#parts = rest.length > 0 ? [rest] : [];
      this.#held = rest.length;
      deliver(new Uint8Array(whole.buffer, whole.byteOffset + PREFIX_BYTES, length));
    }
    return undefined;
  }
}

/** grpc-message is percent-encoded UTF-8. */
function decodeGrpcMessage(text: string): string {
  if (!text.includes("%")) return text;
  const bytes: number[] = [];
  for (let i = 0; i < text.length; i++) {
    const hex = text[i] === "%" ? /^[0-9a-fA-F]{2}/.exec(text.slice(i + 1, i + 3)) : null;
    if (hex === null) bytes.push(text.charCodeAt(i) & 0xff);
    else {
      bytes.push(Number.parseInt(hex[0], 16));
      i += 2;
    }
  }
  return Buffer.from(bytes).toString("utf8");
}

const RESET_NAMES: Readonly<Record<number, string>> = {
  0: "NO_ERROR",
  1: "PROTOCOL_ERROR",
  2: "INTERNAL_ERROR",
  3: "FLOW_CONTROL_ERROR",
  5: "STREAM_CLOSED",
  6: "FRAME_SIZE_ERROR",
  7: "REFUSED_STREAM",
  8: "CANCEL",
  9: "COMPRESSION_ERROR",
  11: "ENHANCE_YOUR_CALM",
  12: "INADEQUATE_SECURITY",
};

function resetCode(code: number): number {
  if (code === constants.NGHTTP2_REFUSED_STREAM) return Code.Unavailable;
  if (code === constants.NGHTTP2_CANCEL) return Code.Canceled;
  if (code === constants.NGHTTP2_ENHANCE_YOUR_CALM) return Code.ResourceExhausted;
  if (code === constants.NGHTTP2_INADEQUATE_SECURITY) return Code.PermissionDenied;
  return Code.Internal;
}

function httpCode(status: number): number {
  if (status === 400) return Code.Internal;
  if (status === 401) return Code.Unauthenticated;
  if (status === 403) return Code.PermissionDenied;
  if (status === 404) return Code.Unimplemented;
  if (status === 429 || status === 502 || status === 503 || status === 504) return Code.Unavailable;
  return Code.Unknown;
}
