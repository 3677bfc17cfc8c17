// The certificate of --auto-tls and --peer-auto-tls: self-signed, ECDSA on P-521, O=etcd, for the hosts that are listened on; kept in
// a directory and used again when it is there. Called by main before it opens listeners. The fields are those of etcd's SelfCert
// (client/pkg/transport/listener.go); keys and signature are OpenSSL's, only the frame around them is written here.
import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import { join, resolve } from "node:path";
import type { Logger } from "../ports/logger.ts";
import * as der from "./tls-der.ts";

export type SelfSignedFiles = { readonly certFile: string; readonly keyFile: string };

export type SelfSignedRequest = {
  /** `<data-dir>/fixtures/client` or `…/peer`. */
  readonly directory: string;
  /** `host:port` of the URLs that are listened on. */
  readonly hosts: readonly string[];
  readonly validityYears: number;
  /** Peers call each other with the same certificate. */
  readonly clientUsage: boolean;
  readonly logger: Logger;
};

const YEAR_MS = 365 * 24 * 60 * 60 * 1000;

const Oid = {
  ecdsaWithSha512: "1.2.840.10045.4.3.4",
  organization: "2.5.4.10",
  subjectKeyId: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  extKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
  clientAuth: "1.3.6.1.5.5.7.3.2",
} as const;

/** digitalSignature, keyEncipherment and cRLSign: bits 0, 2 and 6, one unused. */
const KEY_USAGE = [1, 0b1010_0010];

export async function selfSignedCertificate(request: SelfSignedRequest): Promise<SelfSignedFiles> {
  const { directory, logger } = request;
  if (request.validityYears === 0) {
    throw new Error("selfSignedCertValidity is invalid,it should be greater than 0");
  }
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const certFile = resolve(join(directory, "cert.pem"));
  const keyFile = resolve(join(directory, "key.pem"));
  if (existsSync(certFile) && existsSync(keyFile)) return { certFile, keyFile };
  const made = makeCertificate(request);
  await writeFile(certFile, made.cert);
  logger.info("created cert file", { path: certFile });
  await writeFile(keyFile, made.key, { mode: 0o600 });
  logger.info("created key file", { path: keyFile });
  return { certFile, keyFile };
}

function makeCertificate(request: SelfSignedRequest): { cert: string; key: string } {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-521" });
  const notBefore = new Date();
  const notAfter = new Date(notBefore.getTime() + request.validityYears * YEAR_MS);
  request.logger.warn("automatically generate certificates", {
    "certificate-validity-bound-not-after": notAfter.toISOString(),
  });
  const spki = publicKey.export({ format: "der", type: "spki" });
  const algorithm = der.sequence(der.oid(Oid.ecdsaWithSha512));
  const name = der.sequence(der.set(der.sequence(der.oid(Oid.organization), der.printable("etcd"))));
  const body = der.sequence(
    der.explicit(0, der.integer(Uint8Array.of(2))), // version 3
    der.integer(randomBytes(16)),
    algorithm,
    name,
    der.sequence(der.time(notBefore), der.time(notAfter)),
    name,
    spki,
    der.explicit(3, der.sequence(...extensions(request, spki))),
  );
  const certificate = der.sequence(body, algorithm, der.bitString(0, sign("sha512", body, privateKey)));
  return {
    cert: pem("CERTIFICATE", certificate),
    key: String(privateKey.export({ format: "pem", type: "sec1" })), // "EC PRIVATE KEY", as etcd writes it
  };
}

function extensions(request: SelfSignedRequest, spki: Uint8Array): Uint8Array[] {
  const usages = request.clientUsage ? [Oid.serverAuth, Oid.clientAuth] : [Oid.serverAuth];
  const keyId = createHash("sha1").update(spki).digest();
  const all = [
    extension(Oid.keyUsage, true, der.bitString(KEY_USAGE[0]!, Uint8Array.of(KEY_USAGE[1]!))),
    extension(Oid.extKeyUsage, false, der.sequence(...usages.map((usage) => der.oid(usage)))),
    extension(Oid.basicConstraints, true, der.sequence(der.boolean(true))),
    extension(Oid.subjectKeyId, false, der.octets(keyId)),
  ];
  const names = request.hosts.map((host) => hostOf(host)).filter((host) => host !== "");
  if (names.length > 0) {
    all.push(extension(Oid.subjectAltName, false, der.sequence(...[...new Set(names)].map(generalName))));
  }
  return all;
}

function extension(id: string, critical: boolean, value: Uint8Array): Uint8Array {
  return der.sequence(der.oid(id), ...(critical ? [der.boolean(true)] : []), der.octets(value));
}

function generalName(host: string): Uint8Array {
  if (isIP(host) === 0) return der.tagged(2, Buffer.from(host, "latin1"));
  return der.tagged(7, addressBytes(host));
}

/** Go's SplitHostPort for what URLs hold: the host, without brackets. */
function hostOf(hostPort: string): string {
  const host = hostPort.slice(0, Math.max(hostPort.lastIndexOf(":"), 0));
  return host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host;
}

/** An IP address in network order. */
export function addressBytes(address: string): Uint8Array {
  if (isIP(address) === 4) return Uint8Array.from(address.split("."), Number);
  const [head = "", tail] = address.toLowerCase().split("::");
  const words = (text: string): number[] =>
    text === ""
      ? []
      : text.split(":").flatMap((word) => (word.includes(".") ? quad(word) : [parseInt(word, 16)]));
  const before = words(head);
  const after = tail === undefined ? [] : words(tail);
  const zeros = new Array<number>(8 - before.length - after.length).fill(0);
  return Uint8Array.from([...before, ...zeros, ...after].flatMap((word) => [word >>> 8, word & 0xff]));
}

/** The dotted end of a mixed IPv6 address, as two words. */
function quad(text: string): number[] {
  const [a = 0, b = 0, c = 0, d = 0] = text.split(".").map(Number);
  return [(a << 8) | b, (c << 8) | d];
}

function pem(label: string, bytes: Uint8Array): string {
  const base64 = Buffer.from(bytes)
    .toString("base64")
    .replace(/(.{64})(?=.)/g, "$1\n");
  return `-----BEGIN ${label}-----\n${base64}\n-----END ${label}-----\n`;
}
