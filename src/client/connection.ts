// One HTTP/2 connection to one endpoint: dialed when wanted, redialed with growing pauses, watched by pings. Owned by Channel.
import type { ClientHttp2Session } from "node:http2";
import { connect as http2Connect } from "node:http2";
import { isIP, connect as netConnect, type Socket } from "node:net";
import { type ConnectionOptions, connect as tlsConnect } from "node:tls";
import { GO_TRUST } from "../node/go-trust.ts";
import { unixPathFits } from "../node/unix-path.ts";
import { authorityOf, dialAddress, type Endpoint } from "./endpoint.ts";

/** What TLS connections are made with; PEM texts. */
export type TlsOptions = {
  readonly ca?: string | Buffer;
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  /** The name that certificates are checked against, instead of the endpoint's host. */
  readonly serverName?: string;
  readonly insecureSkipVerify?: boolean;
};

export type ConnectionSettings = {
  readonly tls: TlsOptions | undefined;
  /** 0 = no pings. */
  readonly keepaliveTimeMillis: number;
  readonly keepaliveTimeoutMillis: number;
};

const BACKOFF_MILLIS_MIN = 250;
const BACKOFF_MILLIS_MAX = 10_000;
const BACKOFF_FACTOR = 1.6;
const CONNECT_TIMEOUT_MILLIS = 20_000;
/** Receive windows: one stream may fill a whole connection's, since lists and snapshots come on one. */
const WINDOW_BYTES = 4 * 1024 * 1024;

export class Connection {
  readonly endpoint: Endpoint;
  /** What its calls say in :authority. */
  readonly authority: string;
  readonly #settings: ConnectionSettings;
  /** Called whenever the connection has become ready or has failed. */
  readonly #changed: () => void;
  session: ClientHttp2Session | undefined;
  /** Text of the last failure to connect, as grpc-go words it. */
  lastError = "";
  #backoff = BACKOFF_MILLIS_MIN;
  #timer: NodeJS.Timeout | undefined;
  #pings: NodeJS.Timeout | undefined;
  #socket: Socket | undefined;
  #closed = false;
  /** Calls in flight; a connection without any does not keep the process alive. */
  #calls = 0;

  constructor(endpoint: Endpoint, settings: ConnectionSettings, changed: () => void) {
    this.endpoint = endpoint;
    this.authority = authorityOf(endpoint);
    this.#settings = settings;
    this.#changed = changed;
  }

  get ready(): boolean {
    return this.session !== undefined && !this.session.closed && !this.session.destroyed;
  }

  /** Begins to connect unless that is under way, waited for, or done. */
  wake(): void {
    if (this.#closed || this.session !== undefined || this.#socket !== undefined || this.#timer !== undefined)
      return;
    this.#dial();
  }

  #dial(): void {
    const { endpoint } = this;
    const tls = this.#tlsOptions();
    const where =
      endpoint.path !== "" ? { path: endpoint.path } : { host: endpoint.host, port: endpoint.port };
    const socket: Socket = tls === undefined ? netConnect(where) : tlsConnect({ ...where, ...tls });
    this.#socket = socket;
    socket.setNoDelay(true);
    if (!unixPathFits(endpoint.path)) socket.destroy(new Error("connect: invalid argument"));
    const timer = setTimeout(() => socket.destroy(new Error("i/o timeout")), CONNECT_TIMEOUT_MILLIS);
    timer.unref();
    const fail = (error: Error): void => {
      clearTimeout(timer);
      socket.removeAllListeners("close");
      this.#failed(connectErrorText(endpoint, error, tls !== undefined));
    };
    socket.once("error", fail);
    socket.once("close", () => fail(new Error("EOF")));
    socket.once(tls === undefined ? "connect" : "secureConnect", () => {
      clearTimeout(timer);
      socket.removeListener("error", fail);
      socket.removeAllListeners("close");
      this.#established(socket, tls !== undefined);
    });
  }

  #tlsOptions(): ConnectionOptions | undefined {
    const { endpoint } = this;
    const { tls } = this.#settings;
    if (endpoint.tls === "dropped" || (tls === undefined && endpoint.tls === "optional")) return undefined;
    const name = tls?.serverName ?? endpoint.serverName;
    return {
      ALPNProtocols: ["h2"],
      minVersion: "TLSv1.2",
      servername: isIP(name) === 0 ? name : "",
      rejectUnauthorized: tls?.insecureSkipVerify !== true,
      ...GO_TRUST,
      ...(tls?.ca === undefined ? {} : { ca: tls.ca }),
      ...(tls?.cert === undefined ? {} : { cert: tls.cert }),
      ...(tls?.key === undefined ? {} : { key: tls.key }),
    };
  }

  #established(socket: Socket, tls: boolean): void {
    const target = `${tls ? "https" : "http"}://${this.endpoint.path === "" ? this.authority : "localhost"}`;
    const session = http2Connect(target, {
      createConnection: () => socket,
      maxSessionMemory: 1000,
      settings: { initialWindowSize: WINDOW_BYTES, enablePush: false },
    });
    session.setLocalWindowSize(WINDOW_BYTES);
    const early = (): void => {
      session.destroy();
      this.#failed('connection error: desc = "error reading server preface: EOF"');
    };
    session.on("error", () => {});
    session.once("close", early);
    // Ready is a server that has sent its settings: one that wants TLS closes the connection instead.
    session.once("remoteSettings", () => {
      session.off("close", early);
      session.on("error", () => this.#lost(session));
      session.on("goaway", () => this.#lost(session));
      session.on("close", () => this.#lost(session));
      this.#ready(session);
    });
  }

  #ready(session: ClientHttp2Session): void {
    this.#socket = undefined;
    if (this.#closed) {
      session.destroy();
      return;
    }
    this.session = session;
    this.#backoff = BACKOFF_MILLIS_MIN;
    this.lastError = "";
    if (this.#calls === 0) session.unref();
    this.#startPings(session);
    this.#changed();
  }

  #startPings(session: ClientHttp2Session): void {
    const { keepaliveTimeMillis, keepaliveTimeoutMillis } = this.#settings;
    if (keepaliveTimeMillis <= 0) return;
    this.#pings = setInterval(() => {
      if (this.#calls === 0 || session.destroyed) return;
      const timer = setTimeout(() => session.destroy(), keepaliveTimeoutMillis);
      timer.unref();
      session.ping(() => clearTimeout(timer));
    }, keepaliveTimeMillis);
    this.#pings.unref();
  }

  /** The session takes no new calls; those in flight may still end. */
  #lost(session: ClientHttp2Session): void {
    if (this.session !== session) return;
    this.session = undefined;
    clearInterval(this.#pings);
    if (!session.closed) session.close();
    this.#changed();
  }

  #failed(text: string): void {
    this.#socket = undefined;
    this.lastError = text;
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.wake();
    }, this.#backoff);
    this.#timer.unref();
    this.#backoff = Math.min(this.#backoff * BACKOFF_FACTOR, BACKOFF_MILLIS_MAX);
    this.#changed();
  }

  /** Counts a call; the process stays alive while there are any. */
  hold(): void {
    if (this.#calls++ === 0) this.session?.ref();
  }

  drop(): void {
    if (--this.#calls === 0) this.session?.unref();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearInterval(this.#pings);
    this.#socket?.destroy();
    this.session?.destroy();
    this.session = undefined;
  }
}

const ERRNO_TEXT: Record<string, string> = {
  ECONNREFUSED: "connect: connection refused",
  EINVAL: "connect: invalid argument",
  ECONNRESET: "read: connection reset by peer",
  ETIMEDOUT: "connect: connection timed out",
  EHOSTUNREACH: "connect: no route to host",
  ENETUNREACH: "connect: network is unreachable",
  ENOENT: "connect: no such file or directory",
  EACCES: "connect: permission denied",
};

const CERTIFICATE_TEXT: Record<string, string> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: "x509: certificate signed by unknown authority",
  SELF_SIGNED_CERT_IN_CHAIN: "x509: certificate signed by unknown authority",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "x509: certificate signed by unknown authority",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "x509: certificate signed by unknown authority",
  CERT_HAS_EXPIRED: "x509: certificate has expired or is not yet valid",
  CERT_NOT_YET_VALID: "x509: certificate has expired or is not yet valid",
};

function connectErrorText(endpoint: Endpoint, error: Error & { code?: string }, tls: boolean): string {
  const code = error.code ?? "";
  const certificate = CERTIFICATE_TEXT[code];
  if (certificate !== undefined) {
    return connectionError(
      `transport: authentication handshake failed: tls: failed to verify certificate: ${certificate}`,
    );
  }
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return connectionError(
      `transport: authentication handshake failed: tls: failed to verify certificate: x509: ${error.message}`,
    );
  }
  const errno = ERRNO_TEXT[code];
  if (errno !== undefined && !(tls && code === "ECONNRESET")) {
    return connectionError(`transport: Error while dialing: ${dialAddress(endpoint)}: ${errno}`);
  }
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") {
    return connectionError(`transport: Error while dialing: dial tcp: lookup ${endpoint.host}: no such host`);
  }
  if (tls) return connectionError(`transport: authentication handshake failed: ${error.message}`);
  return connectionError(`transport: Error while dialing: ${dialAddress(endpoint)}: ${error.message}`);
}

function connectionError(text: string): string {
  return `connection error: desc = ${JSON.stringify(text)}`;
}
