// The contract between what a call means (src/service) and how it travels (src/grpc, which implements ServerCall on HTTP/2).
// Nothing here is a promise: a method is called with the bytes of a message and answers through the call, now or later.
//
// Who owns which bytes: a message given to a handler is a view of the socket's buffer, valid until the handler returns.
// Bytes given to `send` belong to the call from then on, except those given to `sendCopy`, which may be reused at once.
import type { EtcdError } from "../base/errors.ts";

/** Produces one long message piece by piece, so that its whole length never stands in memory. */
export interface MessageSource {
  /** The message's length in bytes, known before the first piece. */
  readonly totalBytes: number;
  /**
   * The next piece, about `bytesMax` long and never empty, or undefined while more is being prepared (call `wake` then).
   * The pieces add up to totalBytes exactly. Returning an EtcdError ends the stream with RST (the length is already promised).
   */
  next(bytesMax: number, wake: () => void): Uint8Array | EtcdError | undefined;
  /** Called once, when all is sent or the call is gone: give pinned things back. */
  release(): void;
}

export interface ServerCall {
  /** First value of a metadata key (lower case), or undefined. Binary (`-bin`) values come decoded as latin1. */
  metadata(name: string): string | undefined;
  /** Remote address as etcd logs it (`127.0.0.1:53412`, or `@` for a unix socket). */
  readonly remoteAddress: string;
  /** Common name of the verified client certificate, or undefined. */
  readonly commonName: string | undefined;
  /** Monotonic milliseconds (Clock.now) at which the caller gives up, or Infinity. */
  readonly deadline: number;
  /** True after cancellation, deadline, reset or loss of the connection: sends are ignored from then on. */
  readonly done: boolean;

  /** Sends one message and takes the bytes over. */
  send(message: Uint8Array): void;
  /** Sends one message and copies its bytes before it returns: for scratch buffers. */
  sendCopy(message: Uint8Array): void;
  /** Sends one message whose pieces are asked for as the peer takes them. */
  sendFrom(source: MessageSource): void;
  /**
   * Sends one message made of `head` (copied) and `tail` (shared, never changed by anyone): a watch response whose event bytes
   * go to many watchers.
   */
  sendShared(head: Uint8Array, tail: Uint8Array): void;
  /** Bytes accepted by send that flow control or the socket has not yet taken. */
  readonly bufferedBytes: number;
  /** Bytes that the socket has not taken, at most: bufferedBytes and what waits on the whole connection. */
  readonly unsentBytes: number;
  /** Called each time bufferedBytes falls back below the call's low-water mark (64 KiB). At most one listener. */
  onDrain: (() => void) | undefined;
  /** Called once when the call is done before the handler has ended it; the reason is canceled or deadlineExceeded. */
  onCancel: ((reason: EtcdError) => void) | undefined;

  /** Ends the call with status OK, after everything sent. */
  end(): void;
  /** Ends the call with an error status (trailers-only when nothing was sent). */
  fail(error: EtcdError): void;
}

/** One request message, at once, one reply (or a stream of them): `handle` is called with the whole request. */
export type UnaryMethod = {
  readonly kind: "unary" | "server-stream";
  handle(call: ServerCall, message: Uint8Array): void;
};

/** What a handler of a stream of requests gives back when the call opens. */
export interface RequestStream {
  message(bytes: Uint8Array): void;
  /** The client half-closed. */
  requestsEnded(): void;
}

export type BidiMethod = {
  readonly kind: "bidi";
  open(call: ServerCall): RequestStream;
};

export type Method = UnaryMethod | BidiMethod;

/** Full path ("/etcdserverpb.KV/Range") → method. Complete: what is not in it is UNIMPLEMENTED. */
export type MethodTable = ReadonlyMap<string, Method>;
