// The certificate of the other side of a TLS connection. Node's own getPeerX509Certificate (20 and 24) never frees what it gives, seven
// kilobytes a connection, and on the side that dialled it takes the certificate out of what getPeerCertificate sees. It must never be called.
import { X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";

/** Undefined: it has shown none. */
export function peerCertificate(socket: TLSSocket): X509Certificate | undefined {
  const { raw } = socket.getPeerCertificate();
  return raw === undefined ? undefined : new X509Certificate(raw);
}

/** Of several names the last: what Go calls the common name of a subject. Undefined without one. */
export function commonNameOf(subject: { readonly CN?: unknown } | undefined): string | undefined {
  const names = subject?.CN;
  const name: unknown = Array.isArray(names) ? names.at(-1) : names;
  return typeof name === "string" ? name : undefined;
}

/** Serial numbers of the certificate and of those that it was issued by, up to its root, in Node's spelling. */
export function peerSerials(socket: TLSSocket): string[] {
  const serials: string[] = [];
  let certificate = socket.getPeerCertificate(true);
  while (certificate?.serialNumber !== undefined) {
    serials.push(certificate.serialNumber);
    if (certificate.issuerCertificate === certificate) break;
    certificate = certificate.issuerCertificate;
  }
  return serials;
}
