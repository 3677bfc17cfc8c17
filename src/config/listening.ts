// The part of the configuration that listeners need, in the form that src/node and src/peer take: addresses of URLs, and TLS towards
// clients and members (with certificates made on the spot for --auto-tls and --peer-auto-tls). Called by the wiring before it listens.
import { join } from "node:path";
import type { ListenAddress } from "../node/listener.ts";
import { TlsContext, type TlsOptions } from "../node/tls-context.ts";
import { selfSignedCertificate } from "../node/tls-self-signed.ts";
import type { Logger } from "../ports/logger.ts";
import { opensslCiphers } from "./cipher-suites.ts";
import type { Config, TlsConfig, TlsVersion } from "./config.ts";
import { memberLocalAddress } from "./local-address.ts";
import { type EndpointUrl, isSecure, isUnix, urlAddress, urlTexts } from "./urls.ts";

export function listenAddress(url: EndpointUrl): ListenAddress {
  if (isUnix(url)) return { kind: "unix", path: urlAddress(url) };
  return { kind: "tcp", host: url.hostname, port: Number(url.port) };
}

/** One socket to listen on, and what comes to it: TLS, plain text, or either of them. */
export type ListenTarget = {
  readonly address: ListenAddress;
  readonly secure: boolean;
  readonly plain: boolean;
};

/** URLs of one address share its socket, as in etcd: http and https on one port. In the order of the URLs. */
export function listenTargets(urls: readonly EndpointUrl[]): ListenTarget[] {
  const targets = new Map<string, ListenTarget>();
  for (const url of urls) {
    const key = urlAddress(url);
    const { secure, plain } = targets.get(key) ?? { secure: false, plain: false };
    const isTls = isSecure(url);
    targets.set(key, { address: listenAddress(url), secure: secure || isTls, plain: plain || !isTls });
  }
  return [...targets.values()];
}

/** Undefined when no URL for clients or metrics is https. Rejects when the files cannot be used: then nothing may be served. */
export async function clientTlsContext(config: Config, logger: Logger): Promise<TlsContext | undefined> {
  const clientUrls = [...config.listenClientUrls, ...config.listenClientHttpUrls];
  if (![...clientUrls, ...config.listenMetricsUrls].some(isSecure)) return undefined;
  const given = config.clientTls.certFile !== "" || config.clientTls.keyFile !== "";
  if (config.clientTls.autoTls && given) logger.warn("ignoring client auto TLS since certs given");
  if (given || !config.clientTls.autoTls) return new TlsContext(tlsOptions(config, config.clientTls), logger);
  const files = await selfSignedCertificate({
    directory: join(config.dataDir, "fixtures", "client"),
    hosts: clientUrls.map((url) => url.host),
    validityYears: config.selfSignedCertValidityYears,
    clientUsage: false,
    logger,
  });
  return new TlsContext(tlsOptions(config, { ...config.clientTls, ...files }), logger);
}

/** What src/peer opens a network with, as far as the configuration says it. */
export type PeerSettings = {
  readonly listen: readonly { readonly address: ListenAddress; readonly secure: boolean }[];
  /** Where the others call this member. */
  readonly peerUrls: readonly string[];
  readonly tls: TlsOptions & {
    readonly clientCertFile: string;
    readonly clientKeyFile: string;
    readonly skipClientSanVerification: boolean;
    readonly selfSigned: boolean;
  };
  /** Where this member calls from; undefined: the system chooses. */
  readonly localAddress: string | undefined;
  readonly dialTimeoutMillis: number;
  readonly timings: { readonly readTimeoutMillis: number; readonly writeTimeoutMillis: number };
};

/** A dial may take so much longer than an election: etcd's peerDialTimeout. */
const PEER_DIAL_EXTRA_MILLIS = 1000;

/** Rejects when --peer-auto-tls cannot make its certificate. */
export async function peerSettings(config: Config, logger: Logger): Promise<PeerSettings> {
  return {
    listen: config.listenPeerUrls.map((url) => ({ address: listenAddress(url), secure: isSecure(url) })),
    peerUrls: urlTexts(config.advertisePeerUrls),
    tls: await peerTls(config, logger),
    localAddress: localAddress(config, logger),
    dialTimeoutMillis: PEER_DIAL_EXTRA_MILLIS + config.electionTimeoutMillis,
    timings: {
      readTimeoutMillis: config.raftReadTimeoutMillis,
      writeTimeoutMillis: config.raftWriteTimeoutMillis,
    },
  };
}

function localAddress(config: Config, logger: Logger): string | undefined {
  if (!config.featureGates.enabled("SetMemberLocalAddr")) return undefined;
  const fields = { "advertise-peer-urls": urlTexts(config.advertisePeerUrls) };
  logger.info("searching for a suitable member local address in AdvertisePeerURLs", fields);
  const address = memberLocalAddress(config);
  if (address !== undefined) logger.info("setting member local address", { LocalAddr: address });
  else logger.warn("unable to set a member local address due to lack of suitable local addresses", fields);
  return address;
}

async function peerTls(config: Config, logger: Logger): Promise<PeerSettings["tls"]> {
  const given = config.peerTls;
  const { clientCertFile, clientKeyFile, skipClientSanVerification } = given;
  const asGiven = { clientCertFile, clientKeyFile, skipClientSanVerification, selfSigned: false };
  if (!given.autoTls) return { ...tlsOptions(config, given), ...asGiven };
  if (given.certFile !== "" || given.keyFile !== "") {
    logger.warn("ignoring peer auto TLS since certs given");
    return { ...tlsOptions(config, given), ...asGiven };
  }
  const files = await selfSignedCertificate({
    directory: join(config.dataDir, "fixtures", "peer"),
    hosts: config.listenPeerUrls.map((url) => url.host),
    validityYears: config.selfSignedCertValidityYears,
    clientUsage: true,
    logger,
  });
  // As in etcd, the made certificate takes the place of everything that was given: nobody's certificate can be verified.
  return {
    ...tlsOptions(config, { ...given, ...files, trustedCaFile: "", clientCertAuth: false, crlFile: "" }),
    allowedCommonNames: [],
    allowedHostnames: [],
    clientCertFile: "",
    clientKeyFile: "",
    skipClientSanVerification,
    selfSigned: true,
  };
}

export function tlsOptions(config: Config, tls: TlsConfig): TlsOptions {
  return {
    certFile: tls.certFile,
    keyFile: tls.keyFile,
    trustedCaFile: tls.trustedCaFile,
    clientCertAuth: tls.clientCertAuth,
    crlFile: tls.crlFile,
    allowedCommonNames: tls.allowedCommonNames,
    allowedHostnames: tls.allowedHostnames,
    ciphers: opensslCiphers(config.cipherSuites),
    minVersion: nodeVersion(config.tlsVersionMin),
    maxVersion: nodeVersion(config.tlsVersionMax),
  };
}

function nodeVersion(version: TlsVersion | undefined): "TLSv1.2" | "TLSv1.3" | undefined {
  switch (version) {
    case "TLS1.2":
      return "TLSv1.2";
    case "TLS1.3":
      return "TLSv1.3";
    case undefined:
      return undefined;
  }
}
