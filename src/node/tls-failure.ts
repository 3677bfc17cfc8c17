// Why a handshake failed, in Go's words: runbooks and alerts look for them in etcd's log. OpenSSL's own text names its source files.
// It judges nobody: whether a certificate will do is tls-context's to say.

/** Go's texts of the alerts that a peer may send (RFC 8446, 6). */
const ALERTS: Readonly<Record<number, string>> = {
  10: "unexpected message",
  20: "bad record MAC",
  22: "record overflow",
  40: "handshake failure",
  42: "bad certificate",
  43: "unsupported certificate",
  44: "revoked certificate",
  45: "expired certificate",
  46: "unknown certificate",
  47: "illegal parameter",
  48: "unknown certificate authority",
  49: "access denied",
  50: "error decoding message",
  51: "error decrypting message",
  70: "protocol version not supported",
  71: "insufficient security level",
  80: "internal error",
  86: "inappropriate fallback",
  90: "user canceled",
  109: "missing extension",
  110: "unsupported extension",
  112: "unrecognized name",
  116: "certificate required",
  120: "no application protocol",
};

/** OpenSSL's reasons, as they stand between the colons of its text. */
const REASONS: Readonly<Record<string, string>> = {
  "http request": "tls: first record does not look like a TLS handshake",
  "wrong version number": "tls: first record does not look like a TLS handshake",
  "packet length too long": "tls: oversized record received",
  "no shared cipher": "tls: no cipher suite supported by both client and server",
  "unsupported protocol": "tls: client offered only unsupported versions",
  "no suitable signature algorithm":
    "tls: peer doesn't support any of the certificate's signature algorithms",
};

/** What is not known here is said as it came. */
export function tlsFailureText(error: Error & { readonly code?: string }): string {
  const { message, code } = error;
  if (message === "socket hang up") return "EOF";
  if (code === "ECONNRESET") return "read: connection reset by peer";
  if (code === "ERR_TLS_HANDSHAKE_TIMEOUT") return "i/o timeout";
  const alert = /SSL alert number (\d+)/.exec(message);
  if (alert !== null) return `remote error: tls: ${ALERTS[Number(alert[1])] ?? `alert(${alert[1]})`}`;
  // id:error:number:library:function:reason:file:line
  const reason = message.split(":")[5] ?? "";
  return REASONS[reason] ?? message.trim();
}
