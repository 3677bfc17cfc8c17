// What a decoder throws when bytes are not the message they claim to be. The texts are protobuf-go's, because grpc-go sends them
// to the caller; service and edge catch it, turn it into a status, and never let it end the process.
import { Code, type EtcdError, etcdError } from "../base/errors.ts";

/** Any structural fault: truncation, lengths that overrun, bad tags, groups that do not match, nesting without end. */
const INVALID_WIRE_FORMAT = "proto: cannot parse invalid wire-format data";
const INVALID_UTF8 = "string field contains invalid UTF-8";

export class DecodeError extends Error {
  override readonly name = "DecodeError";
}

export function invalidWireFormat(): never {
  throw new DecodeError(INVALID_WIRE_FORMAT);
}

export function invalidUtf8(): never {
  throw new DecodeError(INVALID_UTF8);
}

/** The status grpc-go's server answers with when the one request of a unary or server-streaming call does not decode. */
export function requestDecodeError(error: DecodeError): EtcdError {
  return etcdError(Code.Internal, `grpc: error unmarshalling request: ${error.message}`);
}

/** The status grpc-go answers with when a message of a running stream does not decode (either side). */
export function messageDecodeError(error: DecodeError): EtcdError {
  return etcdError(Code.Internal, `grpc: failed to unmarshal the received message: ${error.message}`);
}
