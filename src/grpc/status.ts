// gRPC status as it goes into trailers: the statuses that the transport itself makes (with grpc-go's texts), and the percent
// encoding of grpc-message. The only place where an EtcdError becomes header bytes is header-blocks.ts, which uses this.
import { Code, type EtcdError, etcdError } from "../base/errors.ts";
import { STATUS_MESSAGE_CHARACTERS_MAX } from "../http2/limits.ts";

export const CANCELED: EtcdError = etcdError(Code.Canceled, "context canceled");
export const DEADLINE_EXCEEDED: EtcdError = etcdError(Code.DeadlineExceeded, "context deadline exceeded");

const PLAIN = /^[ -$&-~]*$/;

/** Printable ASCII but "%" stays; every other byte of the UTF-8 text becomes %XX. */
export function encodeMessage(message: string): string {
  const text =
    message.length > STATUS_MESSAGE_CHARACTERS_MAX
      ? message.slice(0, STATUS_MESSAGE_CHARACTERS_MAX)
      : message;
  if (PLAIN.test(text)) return text;
  let encoded = "";
  for (const byte of Buffer.from(text, "utf8")) {
    const plain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    encoded += plain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}

/** Go's %q of a latin1 header value, near enough for what clients send by mistake. */
export function quote(text: string): string {
  return JSON.stringify(text);
}

export function messageTooLarge(length: number, max: number): EtcdError {
  return etcdError(Code.ResourceExhausted, `grpc: received message larger than max (${length} vs. ${max})`);
}

/** grpc-go's answer to a path that is in no table. */
export function unknownMethod(path: string, services: ReadonlySet<string>): EtcdError {
  const cut = path.lastIndexOf("/");
  if (path.charCodeAt(0) !== 0x2f || cut === 0) {
    return etcdError(Code.Unimplemented, `malformed method name: ${quote(path)}`);
  }
  const service = path.slice(1, cut);
  if (!services.has(service)) return etcdError(Code.Unimplemented, `unknown service ${service}`);
  return etcdError(Code.Unimplemented, `unknown method ${path.slice(cut + 1)} for service ${service}`);
}
