// Listening sockets of the client port: TCP or unix, plain or TLS. Finds out what each connection speaks (ALPN, or the first
// bytes) and hands it on: HTTP/2 to the gRPC server, HTTP/1.x to node:http. Wired by main; knows neither of them itself.

import { rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, TLSSocket, type Server as TlsServer } from "node:tls";
import { errorText } from "../base/error-text.ts";
import { joinHostPort } from "../base/host-port.ts";
import type { Logger } from "../ports/logger.ts";
import { trustAsGo } from "./go-trust.ts";
import { SILENCE_MS, sniff } from "./listener-sniff.ts";
import type { TlsContext } from "./tls-context.ts";
import { tlsFailureText } from "./tls-failure.ts";
import { unixPathFits } from "./unix-path.ts";

export type ListenAddress =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

export type ListenerOptions = {
  readonly address: ListenAddress;
  /** Undefined: plain text. */
  readonly tls: TlsContext | undefined;
  /** With `tls`: plain connections are served on the same port, too. */
  readonly alsoPlain?: boolean;
  /** `head`: what was already read. Undefined: HTTP/2 is not served here; over TLS it is not offered, and plain ones that speak it are closed. */
  readonly onHttp2: ((socket: Socket, head: Buffer) => void) | undefined;
  /** What was already read has been pushed back. Undefined: HTTP/1.x is not served here. */
  readonly onHttp1: ((socket: Socket) => void) | undefined;
  readonly logger: Logger;
  /** Connections at a time; more are closed as they come. Absent: no limit. */
  readonly connectionsMax?: number;
  /** Whose endpoint a rejected connection's line names; clients' by default. */
  readonly endpoint?: "client" | "peer";
  /** Asked after the handshake and the context's own judgement: why this connection is refused all the same. */
  readonly admit?: (socket: TLSSocket) => Promise<string | undefined>;
};

/** etcd's tlsHandshakeTimeout. */
const HANDSHAKE_TIMEOUT_MS = 10_000;
/** Connections that the system holds until they are taken. */
const BACKLOG = 4096;
/** Go's default. */
const KEEPALIVE_DELAY_MS = 15_000;

/** Both halves close on their own (a client may half-close); small answers leave at once; dead peers are found. */
const SOCKET_OPTIONS = {
  allowHalfOpen: true,
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: KEEPALIVE_DELAY_MS,
};

export class Listener {
  readonly #options: ListenerOptions;
  readonly #server: Server;
  /** Shakes hands, whoever accepts. */
  readonly #secure: TlsServer | undefined;
  /** Connections that have not said what they speak. */
  readonly #undecided = new Set<Socket>();

  private constructor(options: ListenerOptions) {
    this.#options = options;
    this.#secure = options.tls === undefined ? undefined : this.#tlsServer(options.tls);
    const takesPlain = this.#secure === undefined || options.alsoPlain === true;
    this.#server = takesPlain ? this.#plainServer() : this.#secure!;
  }

  /** Listens, or fails with Go's words for the reason. */
  static async open(options: ListenerOptions): Promise<Listener> {
    const listener = new Listener(options);
    const { address } = options;
    if (address.kind === "unix" && !unixPathFits(address.path))
      throw new Error(`listen unix ${address.path}: bind: invalid argument`);
    // A socket file that a dead process left behind would stand in our way.
    if (address.kind === "unix") await rm(address.path, { force: true });
    const server = listener.#server;
    const { connectionsMax = Number.POSITIVE_INFINITY } = options;
    if (Number.isFinite(connectionsMax)) server.maxConnections = connectionsMax;
    await listenOn(server, address);
    server.on("error", (error) => options.logger.warn("listener failed", { error: error.message }));
    return listener;
  }

  /** Rejects as `open` would, when a TCP address cannot be taken now. Nothing is served meanwhile. */
  static async probe(address: ListenAddress): Promise<void> {
    if (address.kind === "unix" || address.port === 0) return;
    const server = createServer((socket) => socket.destroy());
    await listenOn(server, address);
    await new Promise((resolve) => server.close(resolve));
  }

  /** The port that is listened on (as asked for, or as the system chose for 0); 0 for unix. */
  get port(): number {
    const address = this.#server.address();
    return address !== null && typeof address === "object" ? address.port : 0;
  }

  /** As Go prints it: host and port as really taken, the path of a unix socket. */
  get address(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") return address ?? "";
    return joinHostPort(address.address, address.port);
  }

  /** Accepts nothing more. Connections handed on are no concern of ours. */
  close(): void {
    this.#server.close();
    for (const socket of this.#undecided) socket.destroy();
  }

  #plainServer(): Server {
    return createServer(SOCKET_OPTIONS, (socket) => this.#sniff(socket));
  }

  #tlsServer(tls: TlsContext): TlsServer {
    const server = createTlsServer({
      ...SOCKET_OPTIONS,
      // TLS knows no half-closed connections before 1.3; and one that is closed within the handshake would be held until its timeout.
      allowHalfOpen: false,
      ...tls.secureContextOptions,
      ALPNProtocols: this.#offeredProtocols(),
      requestCert: tls.requiresClientCertificate,
      // Node would cut the connection without saying why; tls.refusal judges instead, before anybody else sees the socket.
      rejectUnauthorized: false,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    });
    trustAsGo(server);
    let generation = tls.generation;
    server.prependListener("connection", (socket) => {
      rememberPeer(socket);
      tls.refresh();
      if (tls.generation === generation) return;
      generation = tls.generation;
      server.setSecureContext(tls.secureContextOptions);
      trustAsGo(server);
    });
    server.on("tlsClientError", (error, socket) => {
      this.#rejected(socket, tlsFailureText(error));
      socket.destroy();
    });
    server.on("secureConnection", (socket) => this.#secured(socket, tls));
    return server;
  }

  /** What is not served is not offered: clients then take the other one. */
  #offeredProtocols(): string[] {
    const { onHttp1, onHttp2 } = this.#options;
    return [...(onHttp2 === undefined ? [] : ["h2"]), ...(onHttp1 === undefined ? [] : ["http/1.1"])];
  }

  #rejected(socket: TLSSocket, reason: string): void {
    const { logger, endpoint = "client" } = this.#options;
    const text = `rejected connection on ${endpoint} endpoint`;
    const fields = {
      "remote-addr": peerOf(socket),
      "server-name": typeof socket.servername === "string" ? socket.servername : "",
      error: reason,
    };
    // As etcd: whoever only looks whether the port is open shall not fill the log.
    if (reason === "EOF") logger.debug(text, fields);
    else logger.warn(text, fields);
  }

  #secured(socket: TLSSocket, tls: TlsContext): void {
    socket.setNoDelay(true);
    const refusal = tls.refusal(socket);
    const { admit } = this.#options;
    if (refusal !== undefined) {
      this.#rejected(socket, refusal);
      socket.destroy();
    } else if (admit === undefined) {
      this.#admitted(socket);
    } else {
      this.#judge(socket, admit);
    }
  }

  /** While the answer is looked for, nothing is read. */
  #judge(socket: TLSSocket, admit: (socket: TLSSocket) => Promise<string | undefined>): void {
    const gone = (): void => {
      socket.destroy();
    };
    socket.on("error", gone);
    this.#undecided.add(socket);
    socket.once("close", () => this.#undecided.delete(socket));
    void admit(socket)
      .catch((error: unknown) => errorText(error))
      .then((problem) => {
        this.#undecided.delete(socket);
        socket.off("error", gone);
        if (socket.destroyed) return;
        if (problem === undefined) {
          this.#admitted(socket);
          return;
        }
        this.#rejected(socket, problem);
        socket.destroy();
      });
  }

  #admitted(socket: TLSSocket): void {
    if (socket.alpnProtocol === "h2") {
      this.#http2(socket, Buffer.alloc(0));
    } else if (socket.alpnProtocol === "http/1.1") {
      this.#http1(socket);
    } else {
      this.#sniff(socket);
    }
  }

  #sniff(socket: Socket): void {
    this.#undecided.add(socket);
    const decided = (): void => {
      this.#undecided.delete(socket);
    };
    socket.once("close", decided);
    const { onHttp1, onHttp2 } = this.#options;
    const isPlain = !(socket instanceof TLSSocket);
    // Under TLS, and on ports that serve one protocol, etcd has no multiplexer: there bad requests are answered.
    const strict = isPlain && onHttp1 !== undefined && onHttp2 !== undefined;
    const tls = isPlain ? this.#secure : undefined;
    sniff(socket, { silenceMs: SILENCE_MS, strict, tls: tls !== undefined }, (speaks, head) => {
      socket.off("close", decided);
      decided();
      if (speaks === "http2") {
        this.#http2(socket, head);
        return;
      }
      socket.pause();
      socket.unshift(head);
      if (speaks === "tls") {
        socket.allowHalfOpen = false;
        tls!.emit("connection", socket);
        return;
      }
      this.#http1(socket);
      socket.resume();
    });
  }

  #http2(socket: Socket, head: Buffer): void {
    if (this.#options.onHttp2 === undefined) socket.destroy();
    else this.#options.onHttp2(socket, head);
  }

  #http1(socket: Socket): void {
    if (this.#options.onHttp1 === undefined) socket.destroy();
    else this.#options.onHttp1(socket);
  }
}

/** Resolves when it listens; rejects in Go's words for the reason. */
async function listenOn(server: Server, address: ListenAddress): Promise<void> {
  const where = address.kind === "unix" ? { path: address.path } : { host: address.host, port: address.port };
  await new Promise<void>((resolve, reject) => {
    const failed = (error: Error): void => reject(listenError(address, error));
    server.once("error", failed);
    server.listen({ ...where, backlog: BACKLOG }, () => {
      server.off("error", failed);
      resolve();
    });
  });
}

/** A socket that has failed does not say any more whose it was, unless it was asked before. */
function rememberPeer(socket: Socket): void {
  void socket.remoteAddress;
}

/** Of the connection below when the handshake took its handle with it. */
function peerOf(socket: TLSSocket & { readonly _parent?: Socket | null }): string {
  const { remoteAddress, remotePort } =
    socket.remoteAddress === undefined ? (socket._parent ?? socket) : socket;
  if (remoteAddress === undefined) return "";
  return joinHostPort(remoteAddress, remotePort);
}

/** As Go words it, since people search for it. */
function listenError(address: ListenAddress, error: Error): Error {
  const code = "code" in error ? String(error.code) : "";
  const where =
    address.kind === "unix"
      ? `listen unix ${address.path}`
      : `listen tcp ${joinHostPort(address.host, address.port)}`;
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: "bind: address already in use",
    EADDRNOTAVAIL: "bind: cannot assign requested address",
    EACCES: "bind: permission denied",
    ENOENT: "bind: no such file or directory",
  };
  return new Error(`${where}: ${reasons[code] ?? error.message}`, { cause: error });
}
