// The network between members, whole: listeners on the peer URLs, the Transport that a member sends with, and the client that asks others.
// src/embed opens one, asks with its client before there is a member, and then lets it serve one. Everything ends with close.
import type { TLSSocket } from "node:tls";
import type { Connect } from "../member/network/network.ts";
import type { PeerClient, Transport } from "../member/network/transport.ts";
import { type ListenAddress, Listener } from "../node/listener.ts";
import { peerCertificate } from "../node/peer-certificate.ts";
import { TlsContext, type TlsOptions } from "../node/tls-context.ts";
import type { Clock } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import type { Metrics } from "../ports/metrics.ts";
import { HttpPeerClient } from "./client.ts";
import type { Introduction } from "./compatibility.ts";
import { DialTls } from "./dial-tls.ts";
import { Dialer } from "./dialer.ts";
import { createPeerHandler } from "./handler.ts";
import { type PeerTimings, peerTimings } from "./limits.ts";
import { PeerMetrics } from "./peer-metrics.ts";
import { PeerServer } from "./peer-server.ts";
import { type Resolver, sanProblem, systemResolver } from "./san-check.ts";
import { HttpTransport } from "./transport.ts";

export type PeerTlsOptions = TlsOptions & {
  /** With which we call, when not certFile and keyFile. Empty: not given. */
  readonly clientCertFile: string;
  readonly clientKeyFile: string;
  readonly skipClientSanVerification: boolean;
  /** --peer-auto-tls: certificates that nobody can verify. */
  readonly selfSigned: boolean;
};

export type PeerListenUrl = { readonly address: ListenAddress; readonly secure: boolean };

export type PeerNetworkOptions = {
  /** --listen-peer-urls. */
  readonly listen: readonly PeerListenUrl[];
  /** --initial-advertise-peer-urls: told to members that do not know us yet. */
  readonly peerUrls: readonly string[];
  /** All empty: plain HTTP, or https members with certificates of public authorities. */
  readonly tls: PeerTlsOptions;
  /** Where this member calls from; undefined: the system chooses. */
  readonly localAddress?: string | undefined;
  /** A second more than the election timeout. */
  readonly dialTimeoutMillis: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** A member of our cluster says that this one was removed for good: it must end. May be called more than once. */
  readonly onRemoved: () => void;
  readonly connectionsMax?: number;
  /** Other than etcd's. */
  readonly timings?: Partial<PeerTimings>;
  readonly resolver?: Resolver;
};

export class PeerNetwork {
  readonly #options: PeerNetworkOptions;
  readonly #timings: PeerTimings;
  readonly #dialer: Dialer;
  readonly #client: HttpPeerClient;
  readonly #transport = new HttpTransport();
  readonly #server: PeerServer;
  readonly #tls: TlsContext | undefined;
  readonly #listeners: Listener[] = [];

  /** Throws when the TLS files cannot be used. */
  constructor(options: PeerNetworkOptions) {
    const { tls, logger } = options;
    const timings = peerTimings(options.timings ?? {});
    this.#options = options;
    this.#timings = timings;
    this.#tls = options.listen.some((url) => url.secure) ? new TlsContext(tls, logger) : undefined;
    this.#dialer = new Dialer({
      dialTimeoutMillis: options.dialTimeoutMillis,
      localAddress: options.localAddress,
      tls: dialTls(tls, logger),
      timings,
    });
    this.#client = new HttpPeerClient(this.#dialer, logger);
    this.#server = new PeerServer(timings);
  }

  get client(): PeerClient {
    return this.#client;
  }

  /** Peers added before `connect` are dialled from then on. */
  get transport(): Transport {
    return this.#transport;
  }

  /** Ports in the order of the listen URLs, as really taken. */
  get ports(): readonly number[] {
    return this.#listeners.map((listener) => listener.port);
  }

  /** Binds the peer URLs; who calls before `connect` is told to come again. Rejects, with nothing left open, in Go's words. */
  async listen(): Promise<void> {
    const { listen, tls, logger, resolver = systemResolver, connectionsMax } = this.#options;
    const admit = (socket: TLSSocket): Promise<string | undefined> => judge(socket, resolver);
    try {
      for (const { address, secure } of listen) {
        if (!secure) this.#warnOfPlain(address);
        this.#listeners.push(
          await Listener.open({
            address,
            tls: secure ? this.#tls : undefined,
            onHttp2: undefined,
            onHttp1: (socket) => this.#server.accept(socket),
            logger,
            endpoint: "peer",
            ...(connectionsMax === undefined ? {} : { connectionsMax }),
            ...(tls.skipClientSanVerification ? {} : { admit }),
          }),
        );
      }
    } catch (error) {
      for (const listener of this.#listeners) listener.close();
      this.#listeners.length = 0;
      throw error;
    }
  }

  /** There is a member: its peers are dialled, and who calls is answered for it. Once. Bound: to be handed to the member. */
  readonly connect: Connect = (receiver, service) => {
    const { logger, clock, peerUrls, onRemoved } = this.#options;
    const introduction: Introduction = {
      clusterId: receiver.clusterId,
      localId: receiver.localId,
      serverVersion: receiver.serverVersion,
      peerUrls,
    };
    const metrics = new PeerMetrics(this.#options.metrics, receiver.localId);
    const common = { introduction, receiver, metrics, logger, timings: this.#timings };
    this.#client.clusterId = receiver.clusterId;
    this.#server.serve(createPeerHandler({ ...common, service, transport: this.#transport }));
    this.#transport.start({ ...common, dialer: this.#dialer, clock, onRemoved });
    return { transport: this.#transport, peers: this.#client };
  };

  async close(): Promise<void> {
    for (const listener of this.#listeners) listener.close();
    await this.#transport.close();
    this.#dialer.close();
    this.#server.close();
  }

  #warnOfPlain(address: ListenAddress): void {
    const { tls, logger } = this.#options;
    const url = address.kind === "unix" ? `unix://${address.path}` : `http://${address.host}:${address.port}`;
    if (tls.certFile !== "" || tls.keyFile !== "") {
      const line = "scheme is HTTP while key and cert files are present; ignoring key and cert files";
      logger.warn(line, { "peer-url": url });
    }
    if (tls.clientCertAuth) {
      const line =
        "scheme is HTTP while --peer-client-cert-auth is enabled; ignoring client cert auth for this URL";
      logger.warn(line, { "peer-url": url });
    }
  }
}

export function openPeerNetwork(options: PeerNetworkOptions): PeerNetwork {
  return new PeerNetwork(options);
}

function dialTls(tls: PeerTlsOptions, logger: Logger): DialTls {
  if ((tls.clientCertFile === "") !== (tls.clientKeyFile === "")) {
    const files = `key: ${tls.clientKeyFile}, cert: ${tls.clientCertFile}`;
    throw new Error(`ClientKeyFile and ClientCertFile must both be present or both absent: ${files}]`);
  }
  const own = tls.clientCertFile !== "" && tls.certFile !== "";
  const files = own ? { certFile: tls.clientCertFile, keyFile: tls.clientKeyFile } : {};
  return new DialTls({ ...tls, ...files, skipVerification: tls.selfSigned }, logger);
}

/** The certificate of who calls must fit the address that it calls from. */
async function judge(socket: TLSSocket, resolver: Resolver): Promise<string | undefined> {
  const certificate = peerCertificate(socket);
  if (certificate === undefined) return undefined;
  return sanProblem(certificate, socket.remoteAddress ?? "", resolver);
}
