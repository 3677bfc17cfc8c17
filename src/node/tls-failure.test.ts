// Goal: a failed handshake is told in Go's words. Method: errors as Node 20 and 24 gave them for real clients.
import assert from "node:assert/strict";
import { test } from "node:test";
import { tlsFailureText } from "./tls-failure.ts";

const OPENSSL = "809CA2C7887F0000:error:0A000418:SSL routines";
const TEXTS: readonly (readonly [Error, string])[] = [
  [
    new Error(
      `${OPENSSL}:ssl3_read_bytes:sslv3 alert bad certificate:../rec_layer_s3.c:1601:SSL alert number 42\n`,
    ),
    "remote error: tls: bad certificate",
  ],
  [
    new Error(
      `${OPENSSL}:ssl3_read_bytes:tlsv1 alert unknown ca:../rec_layer_s3.c:1601:SSL alert number 48\n`,
    ),
    "remote error: tls: unknown certificate authority",
  ],
  [
    new Error(`${OPENSSL}:ssl3_read_bytes:reason(255):../a.c:1:SSL alert number 255\n`),
    "remote error: tls: alert(255)",
  ],
  [
    new Error(`${OPENSSL}:ssl3_get_record:http request:../ssl3_record.c:341:\n`),
    "tls: first record does not look like a TLS handshake",
  ],
  [
    new Error(`${OPENSSL}:tls_post_process_client_hello:no shared cipher:../statem_srvr.c:2226:\n`),
    "tls: no cipher suite supported by both client and server",
  ],
  [
    new Error(`${OPENSSL}:tls_early_post_process_client_hello:unsupported protocol:../statem_srvr.c:1664:\n`),
    "tls: client offered only unsupported versions",
  ],
  [Object.assign(new Error("socket hang up"), { code: "ECONNRESET" }), "EOF"],
  [Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" }), "read: connection reset by peer"],
  [new Error("something new"), "something new"],
];

for (const [error, text] of TEXTS) {
  test(`${error.message.trim()} is told as ${text}`, () => assert.equal(tlsFailureText(error), text));
}
