// TLS towards other members: our certificate, and how theirs is judged. Follows the files as the listeners do: a changed certificate or
// CA bundle counts from the next connection on. Used by dialer; with --peer-auto-tls the other side's certificate is not verified.
import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import type { ConnectionOptions, PeerCertificate, TLSSocket } from "node:tls";
import { GO_TRUST } from "../node/go-trust.ts";
import { TlsContext, type TlsOptions } from "../node/tls-context.ts";
import { FollowedFile } from "../node/tls-files.ts";
import type { Logger } from "../ports/logger.ts";

export type DialTlsOptions = TlsOptions & {
  /** Self-signed on both sides: nothing to verify with. */
  readonly skipVerification: boolean;
};

export class DialTls {
  readonly #options: DialTlsOptions;
  readonly #context: TlsContext | undefined;
  /** Without a certificate of our own. */
  readonly #ca: FollowedFile | undefined;

  /** Throws when the files cannot be used. */
  constructor(options: DialTlsOptions, logger: Logger) {
    this.#options = options;
    const bare = options.certFile === "" && options.keyFile === "";
    // The revocation list is about who calls us.
    this.#context = bare ? undefined : new TlsContext({ ...options, crlFile: "" }, logger);
    this.#ca = bare && options.trustedCaFile !== "" ? new FollowedFile(options.trustedCaFile) : undefined;
    this.#ca?.refresh();
  }

  connectOptions(): ConnectionOptions {
    const verified: ConnectionOptions = {
      ...GO_TRUST,
      rejectUnauthorized: !this.#options.skipVerification,
      checkServerIdentity: checkIdentity,
    };
    if (this.#context !== undefined) {
      this.#context.refresh();
      return { ...this.#context.secureContextOptions, ...verified };
    }
    if (this.#ca === undefined) return verified;
    try {
      this.#ca.refresh();
    } catch {
      // The bundle that was read last stays in force.
    }
    return { ca: this.#ca.content, ...verified };
  }

  /** After the handshake: allowed names hold for the members that we call, too. */
  refusal(socket: TLSSocket): string | undefined {
    const { allowedCommonNames, allowedHostnames } = this.#options;
    if (allowedCommonNames.length === 0 && allowedHostnames.length === 0) return undefined;
    return this.#context?.refusal(socket);
  }
}

/** As Go: alternative names only, never the common name. */
function checkIdentity(host: string, peer: PeerCertificate): Error | undefined {
  const certificate = new X509Certificate(peer.raw);
  const matches =
    isIP(host) > 0
      ? certificate.checkIP(host) !== undefined
      : certificate.checkHost(host, { subject: "never" }) !== undefined;
  if (matches) return undefined;
  return new Error(
    isIP(host) > 0
      ? `tls: failed to verify certificate: x509: certificate is not valid for ${host}`
      : `tls: failed to verify certificate: x509: certificate is not valid for the name ${host}`,
  );
}
