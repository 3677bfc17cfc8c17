// Requests to other members over HTTP/1.1, plain, TLS or a unix socket. Streams get connections of their own that must never be silent;
// everything else shares kept ones. Used by all that calls; it knows no path and no message.
import {
  Agent,
  type AgentOptions,
  type ClientRequestArgs,
  request as httpRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
} from "node:http";
import {
  type IpcNetConnectOpts,
  isIP,
  connect as netConnect,
  type Socket,
  type TcpNetConnectOpts,
} from "node:net";
import { connect as tlsConnect } from "node:tls";
import type { DialTls } from "./dial-tls.ts";
import type { PeerTimings } from "./limits.ts";

export type DialerOptions = {
  /** A second more than the election timeout, as in etcd. */
  readonly dialTimeoutMillis: number;
  /** Undefined: the system chooses where we call from. */
  readonly localAddress?: string | undefined;
  /** For https and unixs; undefined: such URLs cannot be called. */
  readonly tls: DialTls | undefined;
  readonly timings: PeerTimings;
};

/** etcd keeps up to 1,024 idle connections per host; ours are never that many. */
const IDLE_SOCKETS_MAX = 64;
const KEEPALIVE = { keepAlive: true, keepAliveInitialDelay: 30_000 };

export type CallOptions = {
  readonly method: "GET" | "POST";
  /** A member's URL, without a path. */
  readonly url: string;
  readonly path: string;
  readonly headers: OutgoingHttpHeaders;
  /** Streams use no kept connection. */
  readonly stream: boolean;
};

export class Dialer {
  readonly #options: DialerOptions;
  readonly #kept: Agent;
  readonly #fresh: Agent;
  readonly #sockets = new Set<Socket>();
  #closed = false;

  constructor(options: DialerOptions) {
    this.#options = options;
    const connect = (target: Target): Socket => this.#connect(target);
    this.#kept = new Pool({ keepAlive: true, maxFreeSockets: IDLE_SOCKETS_MAX, scheduling: "lifo" }, connect);
    this.#fresh = new Pool({ keepAlive: false }, connect);
  }

  /** The request under way: the caller writes its body, and ends or destroys it. Errors come as Go words them where that is known. */
  call(
    options: CallOptions,
    answered: (response: IncomingMessage) => void,
    failed: (error: Error) => void,
  ): Call {
    const target = parseTarget(options.url);
    const call = httpRequest({
      agent: options.stream ? this.#fresh : this.#kept,
      host: target.host,
      port: target.port,
      socketPath: target.socketPath,
      defaultPort: target.secure ? 443 : 80,
      method: options.method,
      path: options.path,
      headers: { Host: target.authority, ...options.headers },
      target,
    } as PooledRequest);
    call.setNoDelay(true);
    call.on("error", (error) => failed(dialError(error, target)));
    call.on("response", answered);
    return call;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Every connection ends now. */
  close(): void {
    this.#closed = true;
    this.#kept.destroy();
    this.#fresh.destroy();
    for (const socket of this.#sockets) socket.destroy();
  }

  #connect(target: Target): Socket {
    const { dialTimeoutMillis, localAddress, timings } = this.#options;
    const from = localAddress === undefined ? {} : { localAddress };
    const where =
      target.socketPath === undefined
        ? { host: target.host, port: target.port, ...from, ...KEEPALIVE }
        : { path: target.socketPath };
    const socket = target.secure ? this.#secure(where, target) : netConnect(where);
    socket.setNoDelay(true);
    deadline(socket, "connect", dialTimeoutMillis, "i/o timeout");
    if (target.secure) {
      const millis = dialTimeoutMillis + timings.handshakeTimeoutMillis;
      deadline(socket, "secureConnect", millis, "net/http: TLS handshake timeout");
    }
    if (this.#closed) socket.destroy();
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    return socket;
  }

  #secure(where: TcpNetConnectOpts | IpcNetConnectOpts, target: Target): Socket {
    const { tls } = this.#options;
    const options = tls === undefined ? { rejectUnauthorized: true } : tls.connectOptions();
    // Go sends no name for an address, and Node must not.
    const named = isIP(target.host) > 0 || target.socketPath !== undefined ? {} : { servername: target.host };
    const socket = tlsConnect({ ...options, ...named, ...where });
    socket.once("secureConnect", () => {
      const refusal = tls?.refusal(socket);
      if (refusal !== undefined) socket.destroy(new Error(refusal));
    });
    return socket;
  }
}

/** Node hands the options of a request on to the pool, with our target among them. */
type PooledRequest = ClientRequestArgs & { readonly target: Target };

/** node:http's pool of connections, made by us. */
class Pool extends Agent {
  readonly #connect: (target: Target) => Socket;

  constructor(options: AgentOptions, connect: (target: Target) => Socket) {
    super(options);
    this.#connect = connect;
  }

  override createConnection(options: ClientRequestArgs): Socket {
    return this.#connect((options as PooledRequest).target);
  }
}

export type Call = ReturnType<typeof httpRequest>;

type Target = {
  readonly secure: boolean;
  readonly host: string;
  readonly port: number;
  readonly socketPath: string | undefined;
  /** For the Host header. */
  readonly authority: string;
};

/** Peer URLs have been checked when they came into the cluster; what is still no URL fails when it is dialled. */
function parseTarget(text: string): Target {
  const match = /^(https?|unixs?):\/\/([^/?#]*)([^?#]*)/.exec(text);
  if (match === null) return { secure: false, host: "", port: 0, socketPath: undefined, authority: "" };
  const [, scheme = "", authority = "", path = ""] = match;
  const secure = scheme === "https" || scheme === "unixs";
  if (scheme.startsWith("unix")) {
    return { secure, host: authority, port: 0, socketPath: authority + path, authority };
  }
  const [, bracketed, plain = "", port] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(authority) ?? [];
  return {
    secure,
    host: bracketed ?? plain,
    port: port === undefined ? (secure ? 443 : 80) : Number(port),
    socketPath: undefined,
    authority,
  };
}

function deadline(socket: Socket, until: string, millis: number, text: string): void {
  const timer = setTimeout(() => socket.destroy(new Error(text)), millis).unref();
  socket.once(until, () => clearTimeout(timer));
  socket.once("close", () => clearTimeout(timer));
}

/** As Go words it, since people search for it. */
function dialError(error: Error, target: Target): Error {
  const code = "code" in error ? String(error.code) : "";
  const reasons: Readonly<Record<string, string>> = {
    ECONNREFUSED: "connect: connection refused",
    EHOSTUNREACH: "connect: no route to host",
    ENETUNREACH: "connect: network is unreachable",
    ENOTFOUND: `lookup ${target.host}: no such host`,
    ENOENT: "connect: no such file or directory",
  };
  const reason = reasons[code];
  if (reason === undefined) {
    return code === "ECONNRESET" && error.message === "socket hang up"
      ? new Error("EOF", { cause: error })
      : error;
  }
  const where = target.socketPath === undefined ? `tcp ${target.authority}` : `unix ${target.socketPath}`;
  return new Error(`dial ${where}: ${reason}`, { cause: error });
}

/** The whole body as bytes; rejects when it is longer than `bytesMax` or the connection ends before it does. */
export function readBody(message: IncomingMessage, bytesMax: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    message.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size > bytesMax) {
        message.destroy();
        reject(new BodyTooLarge());
        return;
      }
      chunks.push(chunk);
    });
    message.once("end", () => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)));
    message.once("error", reject);
    message.once("close", () => reject(new Error("unexpected EOF")));
  });
}

export class BodyTooLarge extends Error {
  override readonly name = "BodyTooLarge";
  constructor() {
    super("response body exceeds its limit");
  }
}
