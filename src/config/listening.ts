// The part of the configuration that listeners need, in the form that src/node takes: addresses of URLs, and the TLS context of the
// client port (with a certificate made on the spot for --auto-tls). Called by the wiring before it listens.
import { join } from "node:path";
import type { ListenAddress } from "../node/listener.ts";
import { TlsContext, type TlsOptions } from "../node/tls-context.ts";
import { selfSignedCertificate } from "../node/tls-self-signed.ts";
import type { Logger } from "../ports/logger.ts";
import { opensslCiphers } from "./cipher-suites.ts";
import type { Config, TlsConfig, TlsVersion } from "./config.ts";
import { type EndpointUrl, isSecure, isUnix, urlAddress } from "./urls.ts";

export function listenAddress(url: EndpointUrl): ListenAddress {
  if (isUnix(url)) return { kind: "unix", path: urlAddress(url) };
  return { kind: "tcp", host: url.hostname, port: Number(url.port) };
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
