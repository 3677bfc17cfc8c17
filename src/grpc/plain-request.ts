// A request on an HTTP/2 connection that is not gRPC: etcd serves its HTTP mux on TLS h2. Collects the body (bounded), hands it to
// the handler that the server was given, and sends one response. Made by server.ts.
import type { Connection } from "../http2/connection.ts";
import { PLAIN_BODY_BYTES_MAX } from "../http2/limits.ts";
import { Flag, FrameType } from "../http2/protocol.ts";
import type { RequestHead } from "../http2/request-head.ts";
import type { Stream, StreamOwner } from "../http2/stream.ts";
import { writePlainHeaders } from "./header-blocks.ts";
import type { Peer } from "./peer.ts";

export type PlainHeaders = readonly (readonly [name: string, value: string])[];

export type PlainHandler = (request: PlainRequest) => void;

export class PlainRequest implements StreamOwner {
  readonly #connection: Connection;
  readonly #stream: Stream;
  readonly #head: RequestHead;
  readonly #handler: PlainHandler;
  #parts: Buffer[] = [];
  #bodyBytes = 0;
  #responded = false;
  body: Uint8Array = new Uint8Array(0);
  /** The client has gone away: respond does nothing. */
  gone = false;

  constructor(connection: Connection, stream: Stream, head: RequestHead, handler: PlainHandler) {
    this.#connection = connection;
    this.#stream = stream;
    this.#head = head;
    this.#handler = handler;
  }

  get method(): string {
    return this.#head.method;
  }

  /** With its query. */
  get path(): string {
    return this.#head.path;
  }

  get peer(): Peer {
    return this.#connection.peer as Peer;
  }

  get authority(): string | undefined {
    return this.#head.authority;
  }

  header(name: string): string | undefined {
    return this.#head.value(name);
  }

  /** All headers, in order, without the pseudo ones. */
  headers(): [name: string, value: string][] {
    const out: [string, string][] = [];
    for (const field of this.#head.fields)
      if (!field.name.startsWith(":")) out.push([field.name, field.value]);
    return out;
  }

  begin(last: boolean): void {
    if (last) this.#handler(this);
  }

  data(buffer: Buffer, start: number, end: number, last: boolean): void {
    if (this.#responded) return;
    this.#bodyBytes += end - start;
    if (this.#bodyBytes > PLAIN_BODY_BYTES_MAX) {
      this.#parts = [];
      this.respond(413, [["content-type", "text/plain; charset=utf-8"]], "request body too large\n");
      return;
    }
    if (end > start) this.#parts.push(Buffer.from(buffer.subarray(start, end)));
    if (!last) return;
    this.body = Buffer.concat(this.#parts);
    this.#parts = [];
    this.#handler(this);
  }

  /** Once. Header names are lower case; content-length is ours to set. */
  respond(status: number, headers: PlainHeaders, body: Uint8Array | string): void {
    if (this.#responded || this.gone) return;
    this.#responded = true;
    const bytes = typeof body === "string" ? Buffer.from(body, "utf8") : body;
    const all = headers.concat([["content-length", String(bytes.length)]]);
    const none = bytes.length === 0 || this.#head.method === "HEAD";
    writePlainHeaders(this.#connection, this.#stream.id, status, all, none);
    this.#stream.headersSent = true;
    if (none) {
      this.#close();
      return;
    }
    this.#connection.sender.enqueue(this.#stream, bytes);
    this.#connection.sender.endAfterQueue(this.#stream);
  }

  writeEnd(): void {
    this.#connection.sender.control(0, FrameType.Data, Flag.EndStream, this.#stream.id);
    this.#close();
  }

  #close(): void {
    this.#stream.owner = undefined;
    this.#connection.ended(this.#stream);
  }

  reset(): void {
    this.gone = true;
  }

  drained(): void {}
}
