// One header field, as the HPACK tables hold it: the strings, and what we need to know about the name, found out once. Made by
// hpack-decoder, read by request-head; immutable, so that tables, memo and requests share it.

/** What a name means to us; everything else is Other. */
export const FieldKind = {
  Other: 0,
  Method: 1,
  Path: 2,
  Scheme: 3,
  Authority: 4,
  ContentType: 5,
  Te: 6,
  Timeout: 7,
  Encoding: 8,
  ContentLength: 9,
  Host: 10,
  /** connection, keep-alive, proxy-connection, transfer-encoding, upgrade: forbidden in HTTP/2. */
  ConnectionSpecific: 11,
  UnknownPseudo: 12,
  /** Upper case, a space, a control character, or empty. */
  BadName: 13,
} as const;
export type FieldKind = (typeof FieldKind)[keyof typeof FieldKind];

const KINDS: ReadonlyMap<string, FieldKind> = new Map<string, FieldKind>([
  [":method", FieldKind.Method],
  [":path", FieldKind.Path],
  [":scheme", FieldKind.Scheme],
  [":authority", FieldKind.Authority],
  ["content-type", FieldKind.ContentType],
  ["te", FieldKind.Te],
  ["grpc-timeout", FieldKind.Timeout],
  ["grpc-encoding", FieldKind.Encoding],
  ["content-length", FieldKind.ContentLength],
  ["host", FieldKind.Host],
  ["connection", FieldKind.ConnectionSpecific],
  ["keep-alive", FieldKind.ConnectionSpecific],
  ["proxy-connection", FieldKind.ConnectionSpecific],
  ["transfer-encoding", FieldKind.ConnectionSpecific],
  ["upgrade", FieldKind.ConnectionSpecific],
]);

/** RFC 9110's token characters in lower case: what a field name may be made of. */
const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;

export function fieldKind(name: string): FieldKind {
  const known = KINDS.get(name);
  if (known !== undefined) return known;
  if (name.charCodeAt(0) === 0x3a) return FieldKind.UnknownPseudo;
  return NAME.test(name) ? FieldKind.Other : FieldKind.BadName;
}

/** NUL, CR and LF cannot stand in a value: they would split headers behind us. */
function badValue(value: string): boolean {
  for (let i = 0; i < value.length; i++) {
    const c = value.charCodeAt(i);
    if (c === 0 || c === 10 || c === 13) return true;
  }
  return false;
}

export class HeaderField {
  readonly name: string;
  readonly value: string;
  readonly kind: FieldKind;
  readonly valueIsBad: boolean;
  /** As HPACK counts it. */
  readonly size: number;
  constructor(name: string, value: string, kind: FieldKind) {
    this.name = name;
    this.value = value;
    this.kind = kind;
    this.valueIsBad = badValue(value);
    this.size = name.length + value.length + 32;
  }
}
