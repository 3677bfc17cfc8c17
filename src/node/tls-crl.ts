// The serial numbers of a certificate revocation list (RFC 5280, section 5.1), which is all that etcd looks at. A plain walk over
// DER: the checks happen in a handshake, and must not wait for a library to load. Called by tls-context; throws for anything
// that is not a CRL.

type Element = { readonly tag: number; readonly start: number; readonly end: number };

const SEQUENCE = 0x30;
const INTEGER = 0x02;
const UTC_TIME = 0x17;
const GENERALIZED_TIME = 0x18;

function bad(): never {
  throw new Error("x509: malformed crl");
}

function element(der: Uint8Array, at: number, end: number): Element {
  if (at + 2 > end) bad();
  const tag = der[at]!;
  let length = der[at + 1]!;
  let start = at + 2;
  if (length >= 0x80) {
    const count = length & 0x7f;
    if (count === 0 || count > 4 || start + count > end) bad();
    length = 0;
    for (let i = 0; i < count; i++) length = length * 256 + der[start + i]!;
    start += count;
  }
  if (start + length > end) bad();
  return { tag, start, end: start + length };
}

function children(der: Uint8Array, parent: Element): Element[] {
  const found: Element[] = [];
  for (let at = parent.start; at < parent.end; ) {
    const child = element(der, at, parent.end);
    found.push(child);
    at = child.end;
  }
  return found;
}

function derOf(content: Buffer): Uint8Array {
  const text = content.toString("latin1");
  const pem = /-----BEGIN X509 CRL-----([A-Za-z0-9+/=\s]+)-----END X509 CRL-----/.exec(text);
  return pem === null ? content : Buffer.from(pem[1]!, "base64");
}

/** Hexadecimal in lower case, without leading zeros. */
export function revokedSerials(content: Buffer): ReadonlySet<string> {
  const der = derOf(content);
  const outer = element(der, 0, der.length);
  if (outer.tag !== SEQUENCE || outer.end !== der.length) bad();
  const [list, algorithm, signature] = children(der, outer);
  if (list?.tag !== SEQUENCE || algorithm?.tag !== SEQUENCE || signature?.tag !== 0x03) bad();
  const fields = children(der, list);
  let at = fields[0]?.tag === INTEGER ? 1 : 0; // version
  if (fields[at]?.tag !== SEQUENCE || fields[at + 1]?.tag !== SEQUENCE) bad(); // algorithm, issuer
  at += 2;
  const isTime = (field: Element | undefined): boolean =>
    field?.tag === UTC_TIME || field?.tag === GENERALIZED_TIME;
  if (!isTime(fields[at])) bad(); // thisUpdate
  at++;
  if (isTime(fields[at])) at++; // nextUpdate
  const revoked = fields[at];
  const serials = new Set<string>();
  if (revoked?.tag !== SEQUENCE) return serials;
  for (const entry of children(der, revoked)) {
    const serial = element(der, entry.start, entry.end);
    if (entry.tag !== SEQUENCE || serial.tag !== INTEGER) bad();
    const hex = Buffer.from(der.subarray(serial.start, serial.end)).toString("hex");
    serials.add(hex.replace(/^0+(?=.)/, ""));
  }
  return serials;
}
