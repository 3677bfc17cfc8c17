// TLS for a listener: etcd's files (certificate, key, CA bundle, CRL) as one secure context that follows the files. Looked at
// when a connection comes in, before its handshake: a changed file gives a new context, and a broken one leaves the old in
// force and is logged. Used by listener (clients) and by the peer's listener.

import type { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { createSecureContext, type SecureContextOptions, type SecureVersion, type TLSSocket } from "node:tls";
import { errorText } from "../base/error-text.ts";
import type { Logger } from "../ports/logger.ts";
import { GO_TRUST } from "./go-trust.ts";
import { commonNameOf, peerCertificate, peerSerials } from "./peer-certificate.ts";
import { revokedSerials } from "./tls-crl.ts";
import { FollowedFile } from "./tls-files.ts";

export type TlsOptions = {
  readonly certFile: string;
  readonly keyFile: string;
  /** Given = client certificates are required and verified, as in etcd, even without clientCertAuth. Empty: not given. */
  readonly trustedCaFile: string;
  readonly clientCertAuth: boolean;
  /** DER, as etcd has it, or PEM. Empty: none. */
  readonly crlFile: string;
  readonly allowedCommonNames: readonly string[];
  readonly allowedHostnames: readonly string[];
  /** OpenSSL names joined by ":" for TLS 1.2 (src/config/cipher-suites makes them); undefined: Node's choice. */
  readonly ciphers: string | undefined;
  readonly minVersion: SecureVersion | undefined;
  readonly maxVersion: SecureVersion | undefined;
};

/** As in Go, TLS 1.3's suites are not for choice. */
const TLS13_CIPHERS = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

function withTls13(ciphers: string): string {
  const older = ciphers.split(":").filter((name) => !name.startsWith("TLS_"));
  return [TLS13_CIPHERS, ...older].join(":");
}

export class TlsContext {
  readonly #options: TlsOptions;
  readonly #logger: Logger;
  readonly #cert: FollowedFile;
  readonly #key: FollowedFile;
  readonly #ca: FollowedFile | undefined;
  readonly #crl: FollowedFile | undefined;
  #revoked: ReadonlySet<string> = new Set();
  #current: SecureContextOptions;
  /** Counts the contexts: the listener asks its server to change when it has grown. */
  generation = 1;

  /** Throws when the files cannot be used: the member must not start then. */
  constructor(options: TlsOptions, logger: Logger) {
    if (options.certFile === "" || options.keyFile === "") {
      throw new Error(
        `KeyFile and CertFile must both be present[key: ${options.keyFile}, cert: ${options.certFile}]`,
      );
    }
    this.#options = options;
    this.#logger = logger;
    this.#cert = new FollowedFile(options.certFile);
    this.#key = new FollowedFile(options.keyFile);
    this.#ca = options.trustedCaFile === "" ? undefined : new FollowedFile(options.trustedCaFile);
    this.#crl = options.crlFile === "" ? undefined : new FollowedFile(options.crlFile);
    for (const file of this.#files()) file.refresh();
    this.#current = this.#build();
    if (this.#crl !== undefined) this.#revoked = revokedSerials(this.#crl.content);
  }

  #files(): FollowedFile[] {
    return [this.#cert, this.#key, this.#ca, this.#crl].filter((file) => file !== undefined);
  }

  get requiresClientCertificate(): boolean {
    return this.#options.trustedCaFile !== "" || this.#options.clientCertAuth;
  }

  /** What tls.createServer and setSecureContext take. */
  get secureContextOptions(): SecureContextOptions {
    return this.#current;
  }

  #build(): SecureContextOptions {
    const { ciphers, minVersion, maxVersion } = this.#options;
    const built: SecureContextOptions = {
      cert: this.#cert.content,
      key: this.#key.content,
      minVersion: minVersion ?? "TLSv1.2",
      honorCipherOrder: true,
      ...GO_TRUST,
    };
    if (this.#ca !== undefined) built.ca = this.#ca.content;
    if (maxVersion !== undefined) built.maxVersion = maxVersion;
    if (ciphers !== undefined) built.ciphers = withTls13(ciphers);
    createSecureContext(built); // throws for a bad file, or a key that is not the certificate's
    return built;
  }

  /** Takes changed files in. Costs a stat per file; called before each handshake. */
  refresh(): void {
    try {
      let changed = false;
      for (const file of [this.#cert, this.#key, this.#ca]) if (file?.refresh() === true) changed = true;
      if (changed) {
        this.#current = this.#build();
        this.generation++;
        this.#logger.info("reloaded TLS certificates", { "cert-file": this.#options.certFile });
      }
      if (this.#crl?.refresh() === true) this.#revoked = revokedSerials(this.#crl.content);
    } catch (error) {
      this.#logger.warn("failed to reload TLS files, keeping those in force", {
        "cert-file": this.#options.certFile,
        "key-file": this.#options.keyFile,
        error: errorText(error),
      });
    }
  }

  /** After the handshake: why this client is refused all the same, or undefined. Texts are etcd's. */
  refusal(socket: TLSSocket): string | undefined {
    const peer = peerCertificate(socket);
    if (this.requiresClientCertificate && !socket.authorized) {
      if (peer === undefined) return "tls: client didn't provide a certificate";
      return `tls: failed to verify certificate: ${socket.authorizationError?.message ?? socket.authorizationError}`;
    }
    const { allowedCommonNames, allowedHostnames } = this.#options;
    if (allowedCommonNames.length > 0 || allowedHostnames.length > 0) {
      const allowed = peer !== undefined && this.#allows(peer);
      if (!allowed) return "client certificate authentication failed";
    }
    if (this.#revoked.size === 0) return undefined;
    const revoked = peerSerials(socket)
      .map(normalSerial)
      .find((serial) => this.#revoked.has(serial));
    return revoked === undefined ? undefined : `transport: certificate serial ${revoked} revoked`;
  }

  #allows(certificate: X509Certificate): boolean {
    const { allowedCommonNames, allowedHostnames } = this.#options;
    if (allowedCommonNames.length > 0) {
      const name = commonNameOf(certificate.toLegacyObject().subject);
      return name !== undefined && allowedCommonNames.includes(name);
    }
    return allowedHostnames.some((host) =>
      isIP(host) > 0
        ? certificate.checkIP(host) !== undefined
        : certificate.checkHost(host, { subject: "never" }) !== undefined,
    );
  }
}

/** Hexadecimal in lower case without leading zeros, as tls-crl gives them. */
function normalSerial(serial: string): string {
  return serial.toLowerCase().replace(/^0+(?=.)/, "");
}
