// Calls with clientv3's rules on top of Channel and Call: waiting for a connection, retries, tokens, deadlines, limits. The
// services (kv, watch, lease …) are thin layers over this.

import { createSecureContext } from "node:tls";
import { errorText } from "../base/error-text.ts";
import { Code, errors } from "../base/errors.ts";
import { DecodeError, messageDecodeError } from "../wire/decode-error.ts";
import {
  createAuthenticateRequest,
  decodeAuthenticateResponse,
  encodeAuthenticateRequest,
} from "../wire/generated/etcdserverpb.ts";
import { Call, type CallListener, type CallSettings } from "./call.ts";
import { Channel } from "./channel.ts";
import type { Connection, TlsOptions } from "./connection.ts";
import { canceled, clientError, RpcError } from "./errors.ts";

export type CallOptions = {
  /** Gives up after so many milliseconds; 0 or absent = the client's default. */
  readonly timeoutMillis?: number;
  readonly signal?: AbortSignal;
  /** Fails with "etcdserver: no leader" instead of waiting when the member has lost its leader. */
  readonly requireLeader?: boolean;
};

export type ClientOptions = {
  /** host:port, http://…, https://…, unix:path, unixs:path. */
  readonly endpoints: readonly string[];
  readonly tls?: TlsOptions;
  readonly username?: string;
  readonly password?: string;
  /** A token made elsewhere (JWT), instead of username and password. */
  readonly token?: string;
  /** Default of CallOptions.timeoutMillis; 0 or absent = no limit. */
  readonly timeoutMillis?: number;
  /** For the first authentication; 0 or absent = no limit. */
  readonly dialTimeoutMillis?: number;
  readonly keepaliveTimeMillis?: number;
  readonly keepaliveTimeoutMillis?: number;
  readonly sendBytesMax?: number;
  readonly receiveBytesMax?: number;
  /** Told of every attempt that failed, retried or not. */
  readonly onFailedAttempt?: (attempt: FailedAttempt) => void;
};

export type FailedAttempt = {
  readonly path: string;
  readonly attempt: number;
  readonly error: RpcError;
  /** Both ends of the connection, or undefined when there was none. */
  readonly remoteAddress: string | undefined;
  readonly localAddress: string | undefined;
  readonly tls: boolean;
};

/** "repeatable": reads and what may safely happen twice. */
export type RetryPolicy = "repeatable" | "once";

const SEND_BYTES_MAX = 2 * 1024 * 1024;
const RECEIVE_BYTES_MAX = 2 ** 31 - 1;
const ATTEMPTS_MAX = 100;
const BACKOFF_MILLIS = 25;
const BACKOFF_JITTER = 0.1;
const API_VERSION = "3.7";
const AUTHENTICATE = "/etcdserverpb.Auth/Authenticate";

export class Rpc {
  readonly options: ClientOptions;
  readonly channel: Channel;
  #token = "";
  /** A cluster without authentication has been asked for a token as well, and has none to give. */
  #hasAsked = false;
  #authenticating: Promise<void> | undefined;

  constructor(options: ClientOptions) {
    if (options.endpoints.length === 0) throw clientError("etcdclient: no available endpoints");
    const { token, username, password, sendBytesMax = 0, receiveBytesMax = 0 } = options;
    if ((token ?? "") !== "" && (username ?? password ?? "") !== "") {
      throw clientError("username/password and token are mutually exclusive");
    }
    if (receiveBytesMax > 0 && sendBytesMax > receiveBytesMax) {
      throw clientError(
        `gRPC message recv limit (${receiveBytesMax} bytes) must be greater than send limit (${sendBytesMax} bytes)`,
      );
    }
    checkTls(options.tls);
    this.options = options;
    this.#token = token ?? "";
    this.channel = new Channel(options.endpoints, {
      tls: options.tls,
      keepaliveTimeMillis: options.keepaliveTimeMillis ?? 0,
      keepaliveTimeoutMillis: options.keepaliveTimeoutMillis ?? 20_000,
    });
  }

  get #hasCredentials(): boolean {
    return (this.options.username ?? "") !== "" && (this.options.password ?? "") !== "";
  }

  /** Gets a token if a user is configured; calls do it by themselves, this does it early. */
  authenticate(signal?: AbortSignal): Promise<void> {
    if (!this.#hasCredentials) return Promise.resolve();
    this.#authenticating ??= this.#fetchToken(signal).finally(() => {
      this.#authenticating = undefined;
    });
    return this.#authenticating;
  }

  async #fetchToken(signal: AbortSignal | undefined): Promise<void> {
    const request = createAuthenticateRequest();
    request.name = this.options.username!;
    request.password = this.options.password!;
    const timeoutMillis = this.options.dialTimeoutMillis ?? 0;
    try {
      const bytes = encodeAuthenticateRequest(request);
      const options = { timeoutMillis, ...(signal === undefined ? {} : { signal }) };
      const response = await this.unary(AUTHENTICATE, bytes, decodeAuthenticateResponse, "once", options);
      this.#token = response.token;
      this.#hasAsked = true;
    } catch (error) {
      if (!(error instanceof RpcError) || !error.is(errors.authNotEnabled)) throw error;
      this.#token = "";
      this.#hasAsked = true;
    }
  }

  settings(path: string, options: CallOptions | undefined, deadline: number): CallSettings {
    return {
      path,
      metadata: {
        "client-api-version": API_VERSION,
        ...(this.#token === "" || path === AUTHENTICATE ? {} : { token: this.#token }),
        ...(options?.requireLeader === true ? { hasleader: "true" } : {}),
      },
      deadline,
      signal: options?.signal,
      sendBytesMax: (this.options.sendBytesMax ?? 0) > 0 ? this.options.sendBytesMax! : SEND_BYTES_MAX,
      receiveBytesMax:
        (this.options.receiveBytesMax ?? 0) > 0 ? this.options.receiveBytesMax! : RECEIVE_BYTES_MAX,
    };
  }

  #deadline(options: CallOptions | undefined): number {
    const millis = options?.timeoutMillis ?? this.options.timeoutMillis ?? 0;
    return millis > 0 ? Date.now() + millis : Number.POSITIVE_INFINITY;
  }

  async unary<T>(
    path: string,
    request: Uint8Array,
    decode: (bytes: Uint8Array) => T,
    policy: RetryPolicy,
    options?: CallOptions,
  ): Promise<T> {
    const deadline = this.#deadline(options);
    if (this.#hasCredentials && !this.#hasAsked && path !== AUTHENTICATE) await this.authenticate();
    for (let attempt = 0; ; attempt++) {
      if (attempt > 0) await this.#backoff(attempt, deadline, options?.signal);
      const connection: { it: Connection | undefined } = { it: undefined };
      try {
        connection.it = await this.channel.ready(deadline, options?.signal);
        return await this.#once(connection.it, this.settings(path, options, deadline), request, decode);
      } catch (error) {
        if (!(error instanceof RpcError)) throw error;
        this.#report(path, attempt, error, connection.it);
        if (attempt + 1 >= ATTEMPTS_MAX || !(await this.#mayRetry(error, policy, path, deadline)))
          throw error;
      }
    }
  }

  #report(path: string, attempt: number, error: RpcError, connection: Connection | undefined): void {
    const socket = connection?.session?.socket;
    const address = (host?: string, port?: number): string => `${host ?? ""}:${port ?? ""}`;
    this.options.onFailedAttempt?.({
      path,
      attempt,
      error,
      remoteAddress: socket === undefined ? undefined : address(socket.remoteAddress, socket.remotePort),
      localAddress: socket === undefined ? undefined : address(socket.localAddress, socket.localPort),
      tls: socket !== undefined && (socket as { encrypted?: boolean }).encrypted === true,
    });
  }

  async #mayRetry(error: RpcError, policy: RetryPolicy, path: string, deadline: number): Promise<boolean> {
    if (Date.now() >= deadline) return false;
    if (path !== AUTHENTICATE && (this.options.token ?? "") === "") {
      const stale = error.is(errors.invalidAuthToken) || error.is(errors.authOldRevision);
      if (error.is(errors.userEmpty) && this.#hasCredentials) {
        await this.authenticate();
        return true;
      }
      if (stale) {
        await this.authenticate();
        return true;
      }
    }
    // A learner among the endpoints, which nobody needs to know: another of them may be a voter.
    if (error.is(errors.notSupportedForLearner)) return this.channel.endpoints.length > 1;
    return policy === "repeatable" && error.code === Code.Unavailable;
  }

  #backoff(attempt: number, deadline: number, signal: AbortSignal | undefined): Promise<void> {
    const quorum = Math.floor(this.options.endpoints.length / 2) + 1;
    if (attempt % quorum !== 0) return Promise.resolve();
    const millis = BACKOFF_MILLIS * (1 + BACKOFF_JITTER * (Math.random() * 2 - 1));
    return sleep(Math.min(millis, Math.max(0, deadline - Date.now())), signal);
  }

  #once<T>(
    connection: Connection,
    settings: CallSettings,
    request: Uint8Array,
    decode: (bytes: Uint8Array) => T,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      let reply: Uint8Array | undefined;
      const call = new Call(connection, settings, {
        onMessage: (message) => {
          reply = message;
        },
        onEnd: (error) => {
          if (error !== undefined) reject(error);
          else if (reply === undefined)
            reject(new RpcError(Code.Internal, "cardinality violation: expected a response"));
          else settleDecoded(reply, decode, resolve, reject);
        },
      });
      call.send(request);
      call.endRequests();
    });
  }

  /** Opens a stream on a ready connection. The token is fresh: streams outlive the ones that calls use. */
  async stream(path: string, listener: CallListener, options?: CallOptions): Promise<Call> {
    const deadline =
      (options?.timeoutMillis ?? 0) > 0 ? Date.now() + options!.timeoutMillis! : Number.POSITIVE_INFINITY;
    await this.authenticate(options?.signal);
    const connection = await this.channel.ready(deadline, options?.signal);
    return new Call(connection, this.settings(path, options, deadline), listener);
  }

  /** A server stream as an async iterable; leaving the loop cancels the call. `opened` is called when it is on its way. */
  async *serverStream<T>(
    path: string,
    request: Uint8Array,
    decode: (bytes: Uint8Array) => T,
    options?: CallOptions,
    opened?: () => void,
  ): AsyncGenerator<T, void, undefined> {
    const queue = new MessageQueue();
    const call = await this.stream(path, queue, options);
    opened?.();
    queue.attach(call);
    call.send(request);
    call.endRequests();
    try {
      for (let message = await queue.next(); message !== undefined; message = await queue.next()) {
        yield decodeMessage(message, decode);
      }
    } finally {
      call.cancel();
    }
  }

  close(): void {
    this.channel.close();
  }
}

/** Certificates and keys that cannot be used are an error of whoever makes the client, not of its first call. */
function checkTls(tls: TlsOptions | undefined): void {
  if (tls === undefined) return;
  try {
    createSecureContext({ ca: tls.ca, cert: tls.cert, key: tls.key });
  } catch (error) {
    throw clientError(`tls: ${errorText(error)}`);
  }
}

/** Decodes a reply; bad bytes are the error that grpc-go makes of them. */
export function decodeMessage<T>(bytes: Uint8Array, decode: (bytes: Uint8Array) => T): T {
  try {
    return decode(bytes);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    const status = messageDecodeError(error);
    throw new RpcError(status.code, status.message);
  }
}

function settleDecoded<T>(
  bytes: Uint8Array,
  decode: (bytes: Uint8Array) => T,
  resolve: (value: T) => void,
  reject: (error: unknown) => void,
): void {
  try {
    resolve(decodeMessage(bytes, decode));
  } catch (error) {
    reject(error);
  }
}

export function sleep(millis: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(canceled());
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, millis);
    if (signal?.aborted === true) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}

/** How many messages wait for their reader before the server is asked to pause. */
const QUEUE_MESSAGES_MAX = 64;

/** Holds a stream's messages for one reader that takes them one by one. */
export class MessageQueue implements CallListener {
  readonly #messages: Uint8Array[] = [];
  #call: Call | undefined;
  #paused = false;
  #ended = false;
  #error: RpcError | undefined;
  #waiting: { resolve(message: Uint8Array | undefined): void; reject(error: RpcError): void } | undefined;

  attach(call: Call): void {
    this.#call = call;
  }

  onMessage(message: Uint8Array): void {
    const waiting = this.#waiting;
    if (waiting !== undefined) {
      this.#waiting = undefined;
      waiting.resolve(message);
      return;
    }
    this.#messages.push(message);
    if (this.#messages.length >= QUEUE_MESSAGES_MAX && !this.#paused) {
      this.#paused = true;
      this.#call?.pause();
    }
  }

  onEnd(error: RpcError | undefined): void {
    this.#ended = true;
    this.#error = error;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) return;
    if (error === undefined) waiting.resolve(undefined);
    else waiting.reject(error);
  }

  /** The next message, or undefined at a good end. One reader at a time. */
  next(): Promise<Uint8Array | undefined> {
    const message = this.#messages.shift();
    if (message !== undefined) {
      if (this.#paused && this.#messages.length === 0) {
        this.#paused = false;
        this.#call?.resume();
      }
      return Promise.resolve(message);
    }
    if (this.#ended)
      return this.#error === undefined ? Promise.resolve(undefined) : Promise.reject(this.#error);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }
}
