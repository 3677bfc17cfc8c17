// The head of one request: its header list, checked once (RFC 9113, section 8) and with what we need picked out. Shared by all
// requests whose header block was the same bytes under the same table (header-memo.ts): immutable but for `route`, where the
// layer above keeps what it looked up for this head.
import { FieldKind, type HeaderField } from "./header-field.ts";

export class RequestHead {
  readonly fields: readonly HeaderField[];
  method = "";
  path = "";
  scheme = "";
  authority: string | undefined = undefined;
  contentType: string | undefined = undefined;
  timeout: string | undefined = undefined;
  encoding: string | undefined = undefined;
  /** -1: not said. */
  contentLength = -1;
  /** Not a request in HTTP/2's sense: the stream is reset with PROTOCOL_ERROR. */
  malformed = false;
  /** A pseudo header is in the list. In trailers that is malformed. */
  hasPseudo = false;
  route: unknown = undefined;

  constructor(fields: readonly HeaderField[]) {
    this.fields = fields;
    let regularSeen = false;
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i]!;
      if (field.valueIsBad) this.malformed = true;
      if (field.kind >= FieldKind.Method && field.kind <= FieldKind.Authority) {
        this.hasPseudo = true;
        if (regularSeen) this.malformed = true;
        this.#pseudo(field);
      } else {
        regularSeen = true;
        if (field.kind !== FieldKind.Other) this.#special(field);
      }
    }
  }

  /** A request needs these three. */
  get complete(): boolean {
    return this.method !== "" && this.path !== "" && this.scheme !== "";
  }

  #pseudo(field: HeaderField): void {
    switch (field.kind) {
      case FieldKind.Method:
        if (this.method !== "") this.malformed = true;
        this.method = field.value;
        break;
      case FieldKind.Path:
        if (this.path !== "") this.malformed = true;
        this.path = field.value;
        break;
      case FieldKind.Scheme:
        if (this.scheme !== "") this.malformed = true;
        this.scheme = field.value;
        break;
      default:
        if (this.authority !== undefined) this.malformed = true;
        this.authority = field.value;
    }
  }

  #special(field: HeaderField): void {
    switch (field.kind) {
      case FieldKind.ContentType:
        this.contentType = field.value;
        break;
      case FieldKind.Timeout:
        this.timeout = field.value;
        break;
      case FieldKind.Encoding:
        this.encoding = field.value;
        break;
      case FieldKind.Te:
        if (field.value !== "trailers") this.malformed = true;
        break;
      case FieldKind.ContentLength:
        if (!/^[0-9]{1,15}$/.test(field.value)) this.malformed = true;
        else if (this.contentLength >= 0 && this.contentLength !== Number(field.value)) this.malformed = true;
        else this.contentLength = Number(field.value);
        break;
      case FieldKind.ConnectionSpecific:
      case FieldKind.UnknownPseudo:
      case FieldKind.BadName:
        this.malformed = true;
        if (field.kind === FieldKind.UnknownPseudo) this.hasPseudo = true;
        break;
    }
  }

  /** First value of a header, by its lower-case name. */
  value(name: string): string | undefined {
    const fields = this.fields;
    for (let i = 0; i < fields.length; i++) if (fields[i]!.name === name) return fields[i]!.value;
    return undefined;
  }
}
