// etcd's check of a calling member's certificate against the address it calls from (listener_tls.go): one of its IP names is that address,
// or one of its DNS names stands for it, by reverse or by forward lookup. Names are looked up only when a certificate asks for it.

import type { X509Certificate } from "node:crypto";
import { lookup as dnsLookup, reverse as dnsReverse } from "node:dns/promises";
import { isIP } from "node:net";
import { errorText } from "../base/error-text.ts";

export type Resolver = {
  /** Names of an address. */
  reverse(address: string): Promise<readonly string[]>;
  /** Addresses of a name. */
  lookup(name: string): Promise<readonly string[]>;
};

/** As the machine is configured, /etc/hosts included where the system includes it. */
export const systemResolver: Resolver = {
  reverse: (address) => dnsReverse(address),
  lookup: async (name) => (await dnsLookup(name, { all: true })).map((found) => found.address),
};

/** Why the certificate does not fit, or undefined. A certificate without such names fits everywhere. */
export async function sanProblem(
  certificate: X509Certificate,
  remoteAddress: string,
  resolver: Resolver,
): Promise<string | undefined> {
  const { addresses, names } = alternativeNames(certificate.subjectAltName ?? "");
  if (addresses.length === 0 && names.length === 0) return undefined;
  const host = remoteAddress.replace(/^::ffff:(?=\d+\.)/, "");
  if (addresses.length > 0) {
    if (isIP(host) > 0 && certificate.checkIP(host) !== undefined) return undefined;
    if (names.length === 0) {
      const list = addresses.join(", ");
      return `tls: failed to verify certificate: x509: certificate is valid for ${list}, not ${host}`;
    }
  }
  const found = await hostInNames(host, names, resolver);
  if (found.ok) return undefined;
  const list = names.map((name) => JSON.stringify(name)).join(" ");
  return `tls: "${host}" does not match any of DNSNames [${list}]${found.error === "" ? "" : ` (${found.error})`}`;
}

/** Node prints them in one line: `DNS:a, IP Address:1.2.3.4`; a name with odd characters is quoted as JSON. */
function alternativeNames(text: string): { readonly addresses: string[]; readonly names: string[] } {
  const addresses: string[] = [];
  const names: string[] = [];
  for (const [, kind, value] of text.matchAll(/(?:^|, )(DNS|IP Address):("(?:[^"\\]|\\.)*"|[^,]*)/g)) {
    const name = value!.startsWith('"') ? String(JSON.parse(value!)) : value!;
    if (kind === "DNS") names.push(name);
    else addresses.push(name);
  }
  return { addresses, names };
}

async function hostInNames(
  host: string,
  dnsNames: readonly string[],
  resolver: Resolver,
): Promise<{ readonly ok: boolean; readonly error: string }> {
  const wildcards = dnsNames.filter((name) => name.startsWith("*.")).map((name) => name.slice(1));
  const names = dnsNames.filter((name) => !name.startsWith("*."));
  let error = "";
  try {
    for (const found of await resolver.reverse(host)) {
      const name = found.replace(/\.$/, "");
      if (wildcards.some((end) => name.endsWith(end)) || names.includes(name)) return { ok: true, error };
    }
  } catch (thrown) {
    error = `lookup ${host}: ${textOf(thrown)}`;
  }
  for (const name of names) {
    try {
      if ((await resolver.lookup(name)).includes(host)) return { ok: true, error };
    } catch (thrown) {
      error = `lookup ${name}: ${textOf(thrown)}`;
    }
  }
  return { ok: false, error };
}

function textOf(thrown: unknown): string {
  if (thrown instanceof Error && "code" in thrown && thrown.code === "ENOTFOUND") return "no such host";
  return errorText(thrown);
}
