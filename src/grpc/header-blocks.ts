// The header blocks of gRPC answers, as prebuilt bytes. A connection's first answer puts `content-type: application/grpc` and
// `grpc-status: 0` into the client's dynamic table; from then on an OK answer has two bytes of headers and one of trailers.
// connection.encoderState: 0 nothing put yet, 1 content-type, 2 both, -1 the client's table is too small, use literals.
// Must be called in the order in which the blocks go out.
import type { EtcdError } from "../base/errors.ts";
import type { Connection } from "../http2/connection.ts";
import { encodeMessage } from "./status.ts";

const SIZE_UPDATE_0 = 0x20;
const STATUS_200 = 0x88;
const CONTENT_TYPE = "application/grpc";

function ascii(text: string): number[] {
  return [...Buffer.from(text, "latin1")];
}

/** An HPACK string without Huffman. */
function hpackString(text: string): number[] {
  const bytes = ascii(text);
  if (bytes.length < 127) return [bytes.length, ...bytes];
  const length = [127];
  let rest = bytes.length - 127;
  for (; rest >= 128; rest = Math.floor(rest / 128)) length.push((rest & 0x7f) | 0x80);
  length.push(rest);
  return length.concat(bytes);
}

/** A field that leaves the client's table alone. */
function literal(name: string, value: string): number[] {
  return [0x00, ...hpackString(name), ...hpackString(value)];
}

// content-type is entry 31 of the static table.
const CONTENT_TYPE_LITERAL = [0x0f, 31 - 15, ...hpackString(CONTENT_TYPE)];
const CONTENT_TYPE_INDEXING = [0x40 | 31, ...hpackString(CONTENT_TYPE)];
const STATUS_OK_INDEXING = [0x40, ...hpackString("grpc-status"), ...hpackString("0")];
const NEWEST = 0x80 | 62;

/** By encoderState + 1. */
const RESPONSE: readonly Uint8Array[] = [
  Uint8Array.of(STATUS_200, ...CONTENT_TYPE_LITERAL),
  Uint8Array.of(STATUS_200, ...CONTENT_TYPE_INDEXING),
  Uint8Array.of(STATUS_200, NEWEST),
  Uint8Array.of(STATUS_200, NEWEST + 1),
];
const TRAILERS_OK: readonly Uint8Array[] = [
  Uint8Array.from(literal("grpc-status", "0")),
  Uint8Array.from(literal("grpc-status", "0")),
  Uint8Array.from(STATUS_OK_INDEXING),
  Uint8Array.of(NEWEST),
];

function withShrink(connection: Connection, block: Uint8Array): Uint8Array {
  if (!connection.encoderMustShrink) return block;
  connection.encoderMustShrink = false;
  return Uint8Array.of(SIZE_UPDATE_0, ...block);
}

/** Status 200 and the content type. */
export function writeResponseHeaders(connection: Connection, streamId: number): void {
  const state = connection.encoderState;
  if (state === 0) connection.encoderState = 1;
  connection.sender.headers(streamId, withShrink(connection, RESPONSE[state + 1]!), false);
}

/** After writeResponseHeaders: grpc-status 0. */
export function writeTrailersOk(connection: Connection, streamId: number): void {
  const state = connection.encoderState;
  if (state === 1) connection.encoderState = 2;
  connection.sender.headers(streamId, withShrink(connection, TRAILERS_OK[state + 1]!), true);
}

function statusFields(error: EtcdError): number[] {
  return [
    ...literal("grpc-status", String(error.code)),
    ...literal("grpc-message", encodeMessage(error.message)),
  ];
}

export function writeTrailers(connection: Connection, streamId: number, error: EtcdError): void {
  connection.sender.headers(streamId, withShrink(connection, Uint8Array.from(statusFields(error))), true);
}

/** An error before anything else was sent: one block for headers and trailers. `httpStatus` as grpc-go's early aborts have it. */
export function writeTrailersOnly(
  connection: Connection,
  streamId: number,
  error: EtcdError,
  httpStatus: number,
): void {
  const status = httpStatus === 200 ? [STATUS_200] : [0x08, ...hpackString(String(httpStatus))];
  const block = Uint8Array.of(...status, ...CONTENT_TYPE_LITERAL, ...statusFields(error));
  connection.sender.headers(streamId, withShrink(connection, block), true);
}

/** Any response, for plain HTTP requests. Names are lower case. */
export function writePlainHeaders(
  connection: Connection,
  streamId: number,
  httpStatus: number,
  headers: readonly (readonly [name: string, value: string])[],
  endStream: boolean,
): void {
  const block = [0x08, ...hpackString(String(httpStatus))];
  for (const [name, value] of headers) block.push(...literal(name, value));
  connection.sender.headers(streamId, withShrink(connection, Uint8Array.from(block)), endStream);
}
