// Certificate and key files of the command line, read and checked as Go's crypto/tls does before anything is dialed: what is
// wrong with them ends the program with exit code 128 and Go's words.
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { Exit, fail } from "./environment.ts";

const ERRNO: Record<string, string> = {
  ENOENT: "no such file or directory",
  EACCES: "permission denied",
  EISDIR: "is a directory",
};

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    return fail(
      Exit.BadArgs,
      `${code === "EISDIR" ? "read" : "open"} ${path}: ${ERRNO[code] ?? String(error)}`,
    );
  }
}

type Block = { readonly type: string; readonly text: string };

function pemBlocks(bytes: Buffer): Block[] {
  const blocks: Block[] = [];
  for (const match of bytes.toString("latin1").matchAll(/-----BEGIN ([^-]+)-----[\s\S]*?-----END \1-----/g)) {
    blocks.push({ type: match[1]!, text: match[0] });
  }
  return blocks;
}

const isKey = (type: string): boolean => type === "PRIVATE KEY" || type.endsWith(" PRIVATE KEY");

/** What is wrong with a pair of PEM files, in the words of tls.X509KeyPair. */
export function keyPairError(cert: Buffer, key: Buffer): string | undefined {
  const certBlocks = pemBlocks(cert);
  const leaf = certBlocks.find((block) => block.type === "CERTIFICATE");
  if (leaf === undefined) {
    const skipped = certBlocks.map((block) => block.type);
    if (skipped.length === 0) return "tls: failed to find any PEM data in certificate input";
    if (skipped.length === 1 && isKey(skipped[0]!)) {
      return "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched";
    }
    return `tls: failed to find "CERTIFICATE" PEM block in certificate input after skipping PEM blocks of the following types: [${skipped.join(" ")}]`;
  }
  const keyBlocks = pemBlocks(key);
  const secret = keyBlocks.find((block) => isKey(block.type));
  if (secret === undefined) {
    const skipped = keyBlocks.map((block) => block.type);
    if (skipped.length === 0) return "tls: failed to find any PEM data in key input";
    if (skipped.length === 1 && skipped[0] === "CERTIFICATE") {
      return "tls: found a certificate rather than a key in the PEM for the private key";
    }
    return `tls: failed to find PEM block with type ending in "PRIVATE KEY" in key input after skipping PEM blocks of the following types: [${skipped.join(" ")}]`;
  }
  return mismatch(leaf.text, secret.text);
}

function mismatch(leaf: string, secret: string): string | undefined {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(leaf);
  } catch {
    return "x509: malformed certificate";
  }
  try {
    return certificate.checkPrivateKey(createPrivateKey(secret))
      ? undefined
      : "tls: private key does not match public key";
  } catch {
    return "tls: failed to parse private key";
  }
}

export function readKeyPair(certPath: string, keyPath: string): { cert: Buffer; key: Buffer } {
  const pair = { cert: read(certPath), key: read(keyPath) };
  const error = keyPairError(pair.cert, pair.key);
  if (error !== undefined) fail(Exit.BadArgs, error);
  return pair;
}

export function readAuthorities(path: string): Buffer {
  const bytes = read(path);
  for (const block of pemBlocks(bytes)) {
    try {
      new X509Certificate(block.text);
    } catch {
      fail(Exit.BadArgs, "x509: malformed tbs certificate");
    }
  }
  return bytes;
}
