// Writes the few DER forms that a certificate is made of (X.690). Used by tls-self-signed and by tests; lengths up to 64 KiB.

function element(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const body = Buffer.concat(parts);
  const length = body.length;
  const head =
    length < 0x80
      ? [tag, length]
      : length < 0x100
        ? [tag, 0x81, length]
        : [tag, 0x82, length >>> 8, length & 0xff];
  return Buffer.concat([Uint8Array.from(head), body]);
}

export function sequence(...parts: readonly Uint8Array[]): Uint8Array {
  return element(0x30, ...parts);
}

export function set(...parts: readonly Uint8Array[]): Uint8Array {
  return element(0x31, ...parts);
}

/** Constructed, context-specific: [n] EXPLICIT. */
export function explicit(n: number, inner: Uint8Array): Uint8Array {
  return element(0xa0 | n, inner);
}

/** Primitive, context-specific: [n] IMPLICIT. */
export function tagged(n: number, bytes: Uint8Array): Uint8Array {
  return element(0x80 | n, bytes);
}

export function boolean(value: boolean): Uint8Array {
  return element(0x01, Uint8Array.of(value ? 0xff : 0));
}

/** Not negative, from big-endian bytes. */
export function integer(bytes: Uint8Array): Uint8Array {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const magnitude = bytes.subarray(start);
  return element(0x02, magnitude[0]! >= 0x80 ? Buffer.concat([Uint8Array.of(0), magnitude]) : magnitude);
}

export function bitString(unused: number, bytes: Uint8Array): Uint8Array {
  return element(0x03, Uint8Array.of(unused), bytes);
}

export function octets(bytes: Uint8Array): Uint8Array {
  return element(0x04, bytes);
}

export function oid(text: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = text.split(".").map(Number);
  const out = [first * 40 + second];
  for (const arc of rest) {
    const groups = [arc & 0x7f];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) {
      groups.unshift((left & 0x7f) | 0x80);
    }
    out.push(...groups);
  }
  return element(0x06, Uint8Array.from(out));
}

export function printable(text: string): Uint8Array {
  return element(0x13, Buffer.from(text, "latin1"));
}

/** UTCTime up to 2049, GeneralizedTime from then on. */
export function time(date: Date): Uint8Array {
  const digits = `${date.toISOString().replace(/[-:T]/g, "").slice(0, 14)}Z`;
  if (date.getUTCFullYear() < 2050) return element(0x17, Buffer.from(digits.slice(2), "latin1"));
  return element(0x18, Buffer.from(digits, "latin1"));
}
